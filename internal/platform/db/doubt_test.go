package db_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// cutter passes bytes between the store and PostgreSQL. When armed, it cuts the line once PostgreSQL has answered the next COMMIT,
// before the answer arrives.
type cutter struct {
	armed atomic.Bool
}

func (c *cutter) serve(ctx context.Context, t *testing.T, to string) (addr string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		for {
			in, err := ln.Accept()
			if err != nil {
				return nil
			}
			out, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			var cut atomic.Bool
			pass := func(from, to net.Conn, look func([]byte) bool) {
				defer func() { _, _ = from.Close(), to.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := from.Read(buf)
					if err != nil || look(buf[:n]) {
						return
					}
					if _, err := to.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			g.Go(func() error {
				pass(in, out, func(b []byte) bool {
					if bytes.Contains(b, []byte("commit")) && c.armed.CompareAndSwap(true, false) {
						cut.Store(true)
					}
					return false
				})
				return nil
			})
			g.Go(func() error { pass(out, in, func([]byte) bool { return cut.Load() }); return nil })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); _ = g.Wait() })
	return ln.Addr().String()
}

// TestCommitInDoubt: the line breaks between a COMMIT and its answer. The caller hears that the database went away, and whoever keeps
// committed values in memory that these may be old, at once and when the database answers again.
func TestCommitInDoubt(t *testing.T) {
	t.Parallel()
	real := dbtest.PostgresURL(t)
	u, err := url.Parse(real)
	if err != nil {
		t.Fatal(err)
	}
	var c cutter
	u.Host = c.serve(t.Context(), t, u.Host)
	d, err := db.Open(t.Context(), db.Options{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	put := func(query string) error {
		return d.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query); return err })
	}
	if err := put("CREATE TABLE kv (k TEXT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 8)
	d.OnDoubt(func() { told <- struct{}{} })
	lock, err := d.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if err := put("INSERT INTO kv VALUES ('a'), ('a')"); !errs.Is(err, errs.Conflict) || len(told) != 0 {
		t.Fatalf("%v, told %d times: a refusal leaves no doubt", err, len(told))
	}
	c.armed.Store(true)
	if err := put("INSERT INTO kv VALUES ('b')"); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("the line was cut in the COMMIT: %v", err)
	}
	if len(told) != 1 {
		t.Fatalf("told %d times", len(told))
	}
	var n int
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM kv").Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d rows, %v: PostgreSQL had committed", n, err)
	}
	<-told
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- lock.Watch(ctx) }()
	<-told // the database answers
	stop()
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
}

// TestCallerLeaves: a caller who leaves before the COMMIT leaves nothing, and no doubt.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	d, err := db.Open(t.Context(), db.Options{URL: dbtest.PostgresURL(t), BeforeCommit: leave})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	d.OnDoubt(func() { t.Error("nothing is in doubt") })
	err = d.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec("CREATE TABLE kv (k TEXT PRIMARY KEY)"); return err })
	if !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
	var n int
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE tablename = 'kv'").Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d tables, %v", n, err)
	}
}
