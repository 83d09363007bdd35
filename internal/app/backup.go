package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/backup"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/predlog"
)

// databaseFile is the embedded store in the data folder.
const databaseFile = "modelyard.db"

// backupRoutes streams one consistent backup at a time.
func (s *Server) backupRoutes(log *predlog.Service) error {
	f := &s.f
	tmp, err := f.ensureDir("tmp")
	if err != nil {
		return err
	}
	if err := emptyDir(tmp); err != nil { // of a process that was killed
		return errs.E(errs.Unavailable, "app.backup", "cannot empty "+tmp, err)
	}
	var one sync.Mutex
	f.router.Handle(http.MethodPost, "/api/v1/backup", "backup:create", func(w http.ResponseWriter, req *http.Request) {
		if !one.TryLock() {
			f.router.Error(w, req, errs.E(errs.Conflict, "app.backup", "another backup is being made", nil).WithHint("wait for its end"))
			return
		}
		defer one.Unlock()
		began := f.clock.Now()
		out := &counted{w: w}
		h := w.Header()
		h.Set("Content-Type", "application/zstd")
		h.Set("Content-Disposition", `attachment; filename="modelyard-`+began.UTC().Format("20060102-150405")+`.tar.zst"`)
		m, err := backup.Write(req.Context(), out, backup.Source{DB: f.db, Blobs: f.blobs, Clock: f.clock, Program: version, TempDir: tmp,
			Files: func(ctx context.Context) ([]backup.File, error) { return f.backupFiles(ctx, log) }})
		switch {
		case err != nil && out.n == 0:
			h.Del("Content-Disposition")
			f.router.Error(w, req, err)
			return
		case err != nil: // too late for a status: a stream without its end is refused by who reads it
			f.log.Error("a backup broke off", "component", "backup", "error", err)
			panic(http.ErrAbortHandler)
		}
		f.log.Info("a backup was made", "component", "backup", "bytes", out.n, "contents", m.Contents, "seconds", f.clock.Now().Sub(began).Seconds())
		err = f.db.Write(req.Context(), func(tx *db.Tx) error {
			return f.events.Append(req.Context(), tx, "backup.file.made", events.Resource{Kind: "backup", ID: m.CreatedAt.Format(time.RFC3339)},
				map[string]any{"bytes": out.n, "contents": m.Contents, "content_bytes": m.ContentBytes, "events": m.Events})
		})
		if err != nil {
			f.log.Error("cannot tell of a backup", "component", "backup", "error", err)
		}
	})
	return nil
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// backupFiles are what lies in the data folder beside metadata and contents: the prediction log, keys, and what pipeline steps printed.
// Caches, environments and working folders are not part of a backup.
func (f *frame) backupFiles(ctx context.Context, log *predlog.Service) ([]backup.File, error) {
	out, err := log.BackupFiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, pattern := range []string{"keys/*", "pipelines/*/steps/*/output-*.log"} {
		names, err := fs.Glob(os.DirFS(f.cfg.DataDir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			full := filepath.Join(f.cfg.DataDir, filepath.FromSlash(name))
			st, err := os.Lstat(full)
			if err != nil || !st.Mode().IsRegular() {
				continue
			}
			out = append(out, backup.File{Name: name, Size: st.Size(), Open: func() (io.ReadCloser, error) { return os.Open(full) }})
		}
	}
	return out, nil
}

// Restored says what Restore brought back.
type Restored struct {
	backup.Manifest
	DataDir string `json:"data_dir"`
	Before  string `json:"before,omitempty"` // where the folder that was there lies now
}

// Restore makes a data folder (and, for a backup of PostgreSQL, fills the empty database that cfg names) from a backup. The folder appears
// only when everything was read, checked and written. Kinds: Conflict (the folder or database is not empty, or a server runs on it),
// Invalid (no backup, or a damaged one), Precondition (of a newer version, or of another engine).
func Restore(ctx context.Context, cfg config.Config, r io.Reader, force bool) (Restored, error) {
	const op = "app.restore"
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return Restored{}, errs.E(errs.Invalid, op, "data_dir", err)
	}
	out := Restored{DataDir: dir}
	full, err := holdsFiles(dir)
	if err != nil {
		return out, err
	}
	if full && !force {
		return out, errs.E(errs.Conflict, op, "the folder "+dir+" is not empty", nil).WithHint("choose another with --data-dir, or add --force: the old folder is kept under another name")
	}
	if full {
		lock, err := lockDir(dir)
		if err != nil {
			return out, err
		}
		defer lock.release()
	}
	tmp := dir + ".restoring-" + id.Hex()[:8]
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return out, errs.E(errs.Unavailable, op, "cannot make "+tmp, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if out.Manifest, err = restoreInto(ctx, cfg, tmp, r); err != nil {
		return out, err
	}
	if full {
		out.Before = dir + ".before-" + time.Now().UTC().Format("20060102-150405")
		if err := os.Rename(dir, out.Before); err != nil {
			return out, errs.E(errs.Unavailable, op, "cannot move the old folder away", err)
		}
	} else if err := os.Remove(filepath.Join(dir, "server.lock")); err == nil || errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(dir) // empty
	}
	if err := os.Rename(tmp, dir); err != nil {
		return out, errs.E(errs.Unavailable, op, "cannot put the restored folder into its place", err)
	}
	return out, nil
}

// holdsFiles reports whether a folder holds anything but the lock file of a server that is gone.
func holdsFiles(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, errs.E(errs.Unavailable, "app.restore", "cannot look into "+dir, err)
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != "server.lock" }), nil
}

// restoreInto writes and checks everything below tmp.
func restoreInto(ctx context.Context, cfg config.Config, tmp string, r io.Reader) (backup.Manifest, error) {
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return backup.Manifest{}, errs.E(errs.Unavailable, "app.restore", "cannot open "+tmp, err)
	}
	defer func() { _ = root.Close() }()
	pg := &pgRestore{url: cfg.DatabaseURL}
	defer pg.close(ctx)
	m, err := backup.Read(r, &backup.Folder{Root: root, Database: databaseFile,
		OnStart: func(m backup.Manifest) error { return pg.begin(ctx, m) },
		Tables:  func(table string, r io.Reader) error { return pg.copy(ctx, table, r) }})
	if err != nil {
		return m, err
	}
	if m.Engine == db.Postgres {
		return m, pg.commit(ctx, m)
	}
	return m, checkRestored(ctx, filepath.Join(tmp, databaseFile))
}

// checkRestored looks whether a restored store is sound and its chain of events whole.
func checkRestored(ctx context.Context, file string) error {
	d, err := db.Open(ctx, db.Options{URL: file})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return sound(ctx, d)
}

func sound(ctx context.Context, d *db.DB) error {
	if err := d.Intact(ctx); err != nil {
		return err
	}
	_, err := events.NewLog(events.Deps{DB: d}).Verify(ctx)
	return err
}

// pgRestore fills an empty PostgreSQL database.
type pgRestore struct {
	url     string
	d       *db.DB
	load    *db.Load
	m       backup.Manifest
	columns map[string][]string
	done    bool
}

func (p *pgRestore) begin(ctx context.Context, m backup.Manifest) error {
	const op = "app.restore"
	p.m = m
	if m.Engine == db.SQLite {
		if p.url != "" {
			return errs.E(errs.Precondition, op, "the backup is of the embedded store and cannot go into "+string(db.Postgres)+" or another file", nil).WithHint("restore it without --database-url")
		}
		return nil
	}
	if _, ok := db.File(p.url); ok {
		return errs.E(errs.Precondition, op, "the backup is of a PostgreSQL database", nil).WithHint("name an empty database with --database-url postgres://user@host/name")
	}
	d, err := db.Open(ctx, db.Options{URL: p.url})
	if err != nil {
		return err
	}
	n, err := d.TableCount(ctx)
	if err == nil && n > 0 {
		err = errs.E(errs.Conflict, op, fmt.Sprintf("the database is not empty: it has %d tables", n), nil).WithHint("make a new database and name it with --database-url")
	}
	if err != nil {
		_ = d.Close()
		return err
	}
	p.d, p.columns = d, map[string][]string{}
	if err := p.schema(ctx, m); err != nil {
		return err
	}
	if p.load, err = d.BeginLoad(ctx); err != nil {
		return err
	}
	names := make([]string, len(m.Tables))
	for i, t := range m.Tables {
		p.columns[t.Name], names[i] = t.Columns, t.Name
	}
	return p.load.Clear(ctx, names)
}

// schema applies the migrations that the backup had, no others.
func (p *pgRestore) schema(ctx context.Context, m backup.Manifest) error {
	had := map[string]string{}
	for _, x := range m.Migrations {
		had[x.Domain+"/"+x.File] = x.Hash
	}
	all, err := allMigrations()
	if err != nil {
		return err
	}
	for i := range all {
		domain := all[i].Domain
		all[i].Only = func(file string) bool { return had[domain+"/"+file] != "" }
	}
	return p.d.Migrate(ctx, all...)
}

func (p *pgRestore) copy(ctx context.Context, table string, r io.Reader) error {
	cols, ok := p.columns[table]
	if !ok {
		return errs.E(errs.Invalid, "app.restore", "the backup is damaged: it holds a table that it does not name", nil)
	}
	return p.load.CopyIn(ctx, table, cols, r)
}

func (p *pgRestore) commit(ctx context.Context, m backup.Manifest) error {
	for name, next := range m.Sequences {
		if err := p.load.SetSequence(ctx, name, next); err != nil {
			return err
		}
	}
	if err := p.load.Commit(ctx); err != nil {
		return err
	}
	p.done = true
	return sound(ctx, p.d)
}

// close drops what a restore that failed has made, so that it can be tried again.
func (p *pgRestore) close(ctx context.Context) {
	if p.load != nil {
		p.load.Close()
	}
	if p.d == nil {
		return
	}
	if !p.done {
		var tables, sequences []string
		for _, t := range p.m.Tables {
			tables = append(tables, t.Name)
		}
		for s := range p.m.Sequences {
			sequences = append(sequences, s)
		}
		_ = p.d.Drop(context.WithoutCancel(ctx), append(tables, "schema_migration"), sequences)
	}
	_ = p.d.Close()
}

// allMigrations are the migrations of every domain of this build.
func allMigrations() ([]db.Migrations, error) {
	dir, err := os.MkdirTemp("", "modelyard-migrations-")
	if err != nil {
		return nil, errs.E(errs.Unavailable, "app.migrations", "cannot make a temporary folder", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := config.Default()
	cfg.DataDir = dir
	s, err := New(context.Background(), cfg, Options{offline: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.migrations(), nil
}

// CheckBackup reads a backup to its end and says what it holds.
func CheckBackup(r io.Reader) (backup.Manifest, error) { return backup.Read(r, backup.Nothing{}) }
