// Package dbtest opens throw-away stores for tests and holds the one conformance suite that every engine passes.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// Opener opens an empty store that goes away with the test.
type Opener func(t testing.TB) *db.DB

// SQLite opens an embedded store in a temporary folder.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{URL: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// PostgresURL names an empty database on the server named by MODELYARD_TEST_POSTGRES, which goes away with the test; without a server
// the test is skipped.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("MODELYARD_TEST_POSTGRES")
	if base == "" {
		t.Skip("MODELYARD_TEST_POSTGRES is not set: `make test-pg` starts a server and sets it")
	}
	name := "t" + strings.ReplaceAll(id.New(), "-", "")
	admin := func(stmt string) {
		c, err := sql.Open("pgx", base)
		if err == nil {
			_, err = c.ExecContext(context.WithoutCancel(t.Context()), stmt)
			_ = c.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	admin("CREATE DATABASE " + name)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	t.Cleanup(func() { admin("DROP DATABASE " + name + " WITH (FORCE)") })
	return u.String()
}

// Postgres opens a database of its own, see PostgresURL.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{URL: PostgresURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// Each runs a test on every engine that is there: SQLite always, PostgreSQL when MODELYARD_TEST_POSTGRES is set.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	for name, open := range map[string]Opener{"sqlite": SQLite, "postgres": Postgres} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t)) })
	}
}

// Conformance is what every engine must do.
func Conformance(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *db.DB){
		"write is seen by readers":      writeIsSeen,
		"failed write leaves nothing":   failedWrite,
		"neighbours of a failure live":  neighbours,
		"nested write is an error":      nested,
		"panic becomes an error":        panics,
		"after commit runs once":        afterCommit,
		"parallel increments all count": increments,
		"migrations run once":           migrations,
		"upsert and returning":          upsert,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			err := d.Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec("CREATE TABLE kv (k TEXT PRIMARY KEY, v BIGINT NOT NULL, b BYTEA, f DOUBLE PRECISION, ok BOOLEAN)")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			test(t, d)
		})
	}
}

func put(k string, v int) func(tx *db.Tx) error {
	return func(tx *db.Tx) error {
		_, err := tx.Exec("INSERT INTO kv (k, v) VALUES (?, ?)", k, v)
		return err
	}
}

func count(t *testing.T, d *db.DB) int {
	t.Helper()
	var n int
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM kv").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func writeIsSeen(t *testing.T, d *db.DB) {
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("INSERT INTO kv (k, v, b, f, ok) VALUES (?, ?, ?, ?, ?)", "a?'", 7, []byte{0, 1, 255}, 0.1, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var v int64
	var b []byte
	var f float64
	var ok bool
	if err := d.QueryRow(t.Context(), "SELECT v, b, f, ok FROM kv WHERE k = ?", "a?'").Scan(&v, &b, &f, &ok); err != nil {
		t.Fatal(err)
	}
	if v != 7 || len(b) != 3 || b[2] != 255 || f != 0.1 || !ok {
		t.Fatalf("read back %d %v %v %v", v, b, f, ok)
	}
	if err := d.QueryRow(t.Context(), "SELECT v FROM kv WHERE k = ?", "none").Scan(&v); !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("want no rows, got %v", err)
	}
}

func failedWrite(t *testing.T, d *db.DB) {
	boom := errors.New("boom")
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		if err := put("a", 1)(tx); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) || count(t, d) != 0 {
		t.Fatalf("err %v, %d rows", err, count(t, d))
	}
	if err := d.Write(t.Context(), put("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), put("a", 1)); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a duplicate key is a conflict, got %v", err)
	}
}

func neighbours(t *testing.T, d *db.DB) {
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			err := d.Write(t.Context(), func(tx *db.Tx) error {
				if err := put(fmt.Sprint(i), i)(tx); err != nil {
					return err
				}
				if i%2 == 0 {
					return put(fmt.Sprint(i), i)(tx) // breaks the key: only this part may vanish
				}
				return nil
			})
			if (err != nil) != (i%2 == 0) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, d); n != 32 {
		t.Fatalf("%d rows, want 32", n)
	}
}

func nested(t *testing.T, d *db.DB) {
	err := d.Write(t.Context(), func(*db.Tx) error { return d.Write(t.Context(), put("a", 1)) })
	if !errs.Is(err, errs.Internal) || count(t, d) != 0 {
		t.Fatalf("got %v", err)
	}
}

func panics(t *testing.T, d *db.DB) {
	if err := d.Write(t.Context(), func(*db.Tx) error { panic("ouch") }); !errs.Is(err, errs.Internal) {
		t.Fatalf("got %v", err)
	}
	if err := d.Write(t.Context(), put("a", 1)); err != nil {
		t.Fatal(err)
	}
}

func afterCommit(t *testing.T, d *db.DB) {
	ran := 0
	_ = d.Write(t.Context(), func(tx *db.Tx) error { tx.AfterCommit(func() { ran += 100 }); return errors.New("no") })
	if err := d.Write(t.Context(), func(tx *db.Tx) error { tx.AfterCommit(func() { ran++ }); return put("a", 1)(tx) }); err != nil {
		t.Fatal(err)
	}
	if ran != 1 {
		t.Fatalf("ran %d", ran)
	}
}

func increments(t *testing.T, d *db.DB) {
	if err := d.Write(t.Context(), put("n", 0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				err := d.Write(t.Context(), func(tx *db.Tx) error {
					var v int
					if err := tx.QueryRow("SELECT v FROM kv WHERE k = ?", "n").Scan(&v); err != nil {
						return err
					}
					_, err := tx.Exec("UPDATE kv SET v = ? WHERE k = ?", v+1, "n")
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var v int
	if err := d.QueryRow(t.Context(), "SELECT v FROM kv WHERE k = ?", "n").Scan(&v); err != nil || v != 160 {
		t.Fatalf("n is %d, want 160 (%v)", v, err)
	}
}

func migrations(t *testing.T, d *db.DB) {
	fs := fstest.MapFS{
		"migrations/0001_init.sql":       {Data: []byte("-- a comment; with a semicolon\nCREATE TABLE a (x TEXT);\nCREATE INDEX a_x ON a (x);\n")},
		"migrations/0002_b.sqlite.sql":   {Data: []byte("INSERT INTO a (x) VALUES ('sqlite');\n")},
		"migrations/0002_b.postgres.sql": {Data: []byte("INSERT INTO a (x) VALUES ('postgres');\n")},
	}
	for range 2 {
		if err := d.Migrate(t.Context(), db.Migrations{Domain: "demo", FS: fs}); err != nil {
			t.Fatal(err)
		}
	}
	var x string
	if err := d.QueryRow(t.Context(), "SELECT x FROM a").Scan(&x); err != nil || x != string(d.Engine()) {
		t.Fatalf("%q %v", x, err)
	}
	fs["migrations/0001_init.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE a (y TEXT);\n")}
	if err := d.Migrate(t.Context(), db.Migrations{Domain: "demo", FS: fs}); !errs.Is(err, errs.Precondition) {
		t.Fatalf("a changed migration must be refused, got %v", err)
	}
	delete(fs, "migrations/0001_init.sql")
	if err := d.Migrate(t.Context(), db.Migrations{Domain: "demo", FS: fs}); !errs.Is(err, errs.Precondition) {
		t.Fatalf("a newer store must be refused, got %v", err)
	}
}

func upsert(t *testing.T, d *db.DB) {
	for i := 1; i <= 2; i++ {
		err := d.Write(t.Context(), func(tx *db.Tx) error {
			var v int
			err := tx.QueryRow("INSERT INTO kv (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = kv.v + excluded.v RETURNING v", "u", 5).Scan(&v)
			if err == nil && v != 5*i {
				err = fmt.Errorf("v is %d", v)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
