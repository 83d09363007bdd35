package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Migrations are one domain's numbered files (0001_init.sql...), in a folder "migrations" of FS. A file may have a twin for one
// engine: 0002_x.postgres.sql and 0002_x.sqlite.sql.
type Migrations struct {
	Domain string
	FS     fs.FS
	Only   func(file string) bool // nil: all files; a restore makes the schema that a backup was taken of
}

const migrationTable = `CREATE TABLE IF NOT EXISTS schema_migration (
	domain TEXT NOT NULL, file TEXT NOT NULL, hash TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (domain, file))`

// Migrate brings the schema up to date: forward only, each file once, in one transaction each. A file that was applied with other
// contents, or a store written by a newer version, is refused with Precondition.
func (d *DB) Migrate(ctx context.Context, all ...Migrations) error {
	if err := d.Write(ctx, func(tx *Tx) error { _, err := tx.Exec(migrationTable); return err }); err != nil {
		return err
	}
	for _, m := range all {
		if err := d.migrateDomain(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) migrateDomain(ctx context.Context, m Migrations) error {
	files, err := m.files(d.engine)
	if err != nil {
		return err
	}
	for _, f := range files {
		body, err := fs.ReadFile(m.FS, path.Join("migrations", f))
		if err != nil {
			return errs.E(errs.Internal, "db.migrate", "cannot read migration "+f, err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		err = d.Write(ctx, func(tx *Tx) error {
			if d.engine == Postgres { // two servers that start together migrate one after the other
				if _, err := tx.Exec("LOCK TABLE schema_migration IN EXCLUSIVE MODE"); err != nil {
					return err
				}
			}
			return apply(tx, m.Domain, f, hash, string(body))
		})
		if err != nil {
			return fmt.Errorf("migration %s/%s: %w", m.Domain, f, err)
		}
	}
	return d.refuseNewer(ctx, m.Domain, files)
}

func apply(tx *Tx, domain, file, hash, body string) error {
	var have string
	err := tx.QueryRow("SELECT hash FROM schema_migration WHERE domain = ? AND file = ?", domain, file).Scan(&have)
	switch {
	case err == nil && have == hash:
		return nil
	case err == nil:
		return errs.E(errs.Precondition, "db.migrate", "this migration was applied with other contents", nil).
			WithHint("the store was written by a different build; use that build, or restore a backup")
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	for _, s := range statements(body) {
		if _, err := tx.Exec(s); err != nil {
			return err
		}
	}
	_, err = tx.Exec("INSERT INTO schema_migration (domain, file, hash, applied_at) VALUES (?, ?, ?, ?)", domain, file, hash, time.Now().UnixMicro())
	return err
}

func (d *DB) refuseNewer(ctx context.Context, domain string, files []string) error {
	known := map[string]bool{}
	for _, f := range files {
		known[f] = true
	}
	rows, err := d.Query(ctx, "SELECT file FROM schema_migration WHERE domain = ?", domain)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f string
		if err := rows.Scan(&f); err != nil {
			return err
		}
		if !known[f] {
			return errs.E(errs.Precondition, "db.migrate", "the store was written by a newer version of Modelyard ("+domain+"/"+f+")", nil).
				WithHint("upgrade this program")
		}
	}
	return rows.Err()
}

func (m Migrations) files(e Engine) ([]string, error) {
	entries, err := fs.ReadDir(m.FS, "migrations")
	if err != nil {
		return nil, errs.E(errs.Internal, "db.migrate", "no migrations of "+m.Domain, err)
	}
	var files []string
	for _, en := range entries {
		name := en.Name()
		base := strings.TrimSuffix(name, ".sql")
		other := map[Engine]string{SQLite: ".postgres", Postgres: ".sqlite"}[e]
		if base == name || strings.HasSuffix(base, other) || m.Only != nil && !m.Only(name) {
			continue
		}
		files = append(files, name)
	}
	sort.Strings(files)
	return files, nil
}

// statements splits a file at semicolons that end a line; our migrations have no bodies with such lines inside.
func statements(body string) []string {
	var out []string
	for part := range strings.SplitSeq(body, ";\n") {
		var lines []string
		for line := range strings.SplitSeq(part, "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "--") {
				lines = append(lines, line)
			}
		}
		if s := strings.TrimSuffix(strings.TrimSpace(strings.Join(lines, "\n")), ";"); s != "" {
			out = append(out, s)
		}
	}
	return out
}
