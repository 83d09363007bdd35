// Package backup writes everything a server keeps into one stream while it serves, and reads it back.
//
// The stream is a tar inside zstd. First comes manifest.json: what it holds. Then the metadata (database.sqlite, or the tables of
// PostgreSQL in its COPY text form in pieces of 8 MiB), the contents of the blob store under their digests, and further files of the
// data folder under their paths. Last comes checksums.json with the size and SHA-256 of every entry: a stream without it is not whole.
//
// Order makes it consistent. Contents are kept from the sweep first; then the metadata is frozen at one moment; contents never change, and
// all that the frozen metadata names are there. Append-only logs are copied after the metadata, so they hold at least what it refers to.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Format is the version of the stream that this build writes, and the newest that it reads.
const Format = 1

// The names of entries.
const (
	manifestName  = "manifest.json"
	checksumsName = "checksums.json"
	sqliteName    = "database.sqlite"
	tablesDir     = "tables"
	blobsDir      = "blobs"
	filesDir      = "files"
)

// Migration is one that the metadata had.
type Migration struct {
	Domain string `json:"domain"`
	File   string `json:"file"`
	Hash   string `json:"hash"`
}

// Table is a table of the metadata.
type Table struct {
	Name    string   `json:"name"`
	Rows    int64    `json:"rows"`
	Columns []string `json:"columns,omitempty"` // PostgreSQL
}

// Manifest says what a backup holds.
type Manifest struct {
	Format       int              `json:"format"`
	Program      string           `json:"program"` // version of Modelyard
	CreatedAt    time.Time        `json:"created_at"`
	Engine       db.Engine        `json:"engine"`
	Migrations   []Migration      `json:"migrations"`
	Tables       []Table          `json:"tables"`
	Sequences    map[string]int64 `json:"sequences,omitempty"`
	Events       int64            `json:"events"`               // length of the event chain
	LastHash     string           `json:"last_event,omitempty"` // its last hash
	Contents     int64            `json:"contents"`
	ContentBytes int64            `json:"content_bytes"`

	// Found while copying, so they stand at the end of the stream.
	Missing []string `json:"missing,omitempty"` // digests of contents that were not there
	Damaged []string `json:"damaged,omitempty"` // digests of contents that are damaged, copied as they are
}

// closing is the last entry.
type closing struct {
	Entries []Entry  `json:"entries"`
	Missing []string `json:"missing,omitempty"`
	Damaged []string `json:"damaged,omitempty"`
}

// Entry is the checksum of one entry.
type Entry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// File is a further file of the data folder: at most Size bytes of it are copied.
type File struct {
	Name string // relative to the data folder
	Size int64
	Open func() (io.ReadCloser, error)
}

// Source is what is backed up.
type Source struct {
	DB      *db.DB
	Blobs   *blob.Local
	Clock   clock.Clock
	Program string
	TempDir string                                    // for the copy of a SQLite store
	Files   func(ctx context.Context) ([]File, error) // asked once the metadata is frozen
}

// Write writes a backup. When it returns an error the stream is not whole and Read refuses it.
func Write(ctx context.Context, out io.Writer, src Source) (Manifest, error) {
	defer src.Blobs.Freeze()()
	snap, err := src.DB.Snapshot(ctx, src.TempDir)
	if err != nil {
		return Manifest{}, err
	}
	defer func() {
		snap.Close()
		if snap.File != "" {
			_ = os.Remove(snap.File)
		}
	}()
	m, contents, err := describe(ctx, src, snap)
	if err != nil {
		return m, err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return m, fail(err)
	}
	w := &writer{ctx: ctx, tar: tar.NewWriter(z), at: m.CreatedAt}
	if err := w.all(src, snap, m, contents); err != nil {
		_ = z.Close()
		return m, err
	}
	if err := w.tar.Close(); err != nil {
		return m, fail(err)
	}
	m.Missing, m.Damaged = w.end.Missing, w.end.Damaged
	return m, fail(z.Close())
}

func fail(err error) error {
	var e *errs.Error
	switch {
	case err == nil:
		return nil
	case asError(err, &e):
		return err
	case errs.IsDiskFull(err):
		return errs.DiskFull("backup", "there is no room for the backup", err)
	}
	return errs.E(errs.Unavailable, "backup", "the backup broke off", err)
}

func describe(ctx context.Context, src Source, snap *db.Snapshot) (Manifest, []blob.Content, error) {
	m := Manifest{Format: Format, Program: src.Program, CreatedAt: src.Clock.Now().UTC(), Engine: src.DB.Engine()}
	err := each(ctx, snap, "SELECT domain, file, hash FROM schema_migration ORDER BY domain, file", func(scan func(...any) error) error {
		var x Migration
		err := scan(&x.Domain, &x.File, &x.Hash)
		m.Migrations = append(m.Migrations, x)
		return err
	})
	if err != nil {
		return m, nil, err
	}
	err = each(ctx, snap, "SELECT seq, hash FROM event WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1", func(scan func(...any) error) error { return scan(&m.Events, &m.LastHash) })
	if err != nil {
		return m, nil, err
	}
	tables, err := snap.Tables(ctx)
	if err != nil {
		return m, nil, err
	}
	for _, name := range tables {
		t := Table{Name: name}
		if m.Engine == db.Postgres {
			if t.Columns, err = snap.Columns(ctx, name); err != nil {
				return m, nil, err
			}
		}
		if err := each(ctx, snap, `SELECT count(*) FROM "`+name+`"`, func(scan func(...any) error) error { return scan(&t.Rows) }); err != nil {
			return m, nil, err
		}
		m.Tables = append(m.Tables, t)
	}
	if m.Engine == db.Postgres {
		if m.Sequences, err = snap.Sequences(ctx); err != nil {
			return m, nil, err
		}
	}
	var contents []blob.Content
	err = each(ctx, snap, "SELECT digest, max(size) FROM file GROUP BY digest ORDER BY digest", func(scan func(...any) error) error {
		var c blob.Content
		var d string
		err := scan(&d, &c.Size)
		c.Digest = blob.Digest(d)
		contents = append(contents, c)
		m.Contents, m.ContentBytes = m.Contents+1, m.ContentBytes+c.Size
		return err
	})
	return m, contents, err
}

func each(ctx context.Context, snap *db.Snapshot, query string, row func(scan func(...any) error) error) error {
	rows, err := snap.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

type writer struct {
	ctx context.Context //nolint:containedctx // lives for one call of Write
	tar *tar.Writer
	at  time.Time
	end closing
}

func (w *writer) all(src Source, snap *db.Snapshot, m Manifest, contents []blob.Content) error {
	if err := w.json(manifestName, m); err != nil {
		return err
	}
	if err := w.database(snap, m); err != nil {
		return err
	}
	for _, c := range contents {
		if err := w.content(src.Blobs, c); err != nil {
			return err
		}
	}
	if src.Files != nil {
		files, err := src.Files(w.ctx)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := w.file(f); err != nil {
				return err
			}
		}
	}
	return w.json(checksumsName, w.end)
}

func (w *writer) json(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fail(err)
	}
	return w.add(name, int64(len(b)), bytes.NewReader(b))
}

// add writes one entry of exactly size bytes.
func (w *writer) add(name string, size int64, r io.Reader) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.at, Format: tar.FormatPAX}); err != nil {
		return fail(err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, h), io.LimitReader(r, size))
	if err != nil {
		return fail(err)
	}
	if n != size {
		return errs.E(errs.Unavailable, "backup", fmt.Sprintf("%s became shorter while it was read", name), nil)
	}
	w.end.Entries = append(w.end.Entries, Entry{name, size, hex.EncodeToString(h.Sum(nil))})
	return nil
}

func (w *writer) database(snap *db.Snapshot, m Manifest) error {
	if m.Engine == db.SQLite {
		f, err := os.Open(snap.File)
		if err != nil {
			return fail(err)
		}
		defer func() { _ = f.Close() }()
		st, err := f.Stat()
		if err != nil {
			return fail(err)
		}
		return w.add(sqliteName, st.Size(), f)
	}
	for _, t := range m.Tables {
		p := &pieces{w: w, table: t.Name}
		if err := snap.CopyOut(w.ctx, t.Name, t.Columns, p); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

// pieces cuts the rows of a table into entries of bounded size: tar wants to know a size before the bytes.
type pieces struct {
	w     *writer
	table string
	n     int
	buf   bytes.Buffer
}

const pieceSize = 8 << 20

func (p *pieces) Write(b []byte) (int, error) {
	p.buf.Write(b)
	if p.buf.Len() >= pieceSize {
		return len(b), p.flush()
	}
	return len(b), nil
}

func (p *pieces) flush() error {
	if p.buf.Len() == 0 {
		return nil
	}
	err := p.w.add(fmt.Sprintf("%s/%s/%06d.copy", tablesDir, p.table, p.n), int64(p.buf.Len()), &p.buf)
	p.buf.Reset()
	p.n++
	return err
}

// content copies contents as they are. What is missing or damaged is listed and does not keep the rest from being saved.
func (w *writer) content(l *blob.Local, c blob.Content) error {
	d := string(c.Digest)
	r, size, err := l.Raw(c.Digest)
	if errs.Is(err, errs.NotFound) {
		w.end.Missing = append(w.end.Missing, d)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := w.add(path.Join(blobsDir, d[:2], d[2:]), size, r); err != nil {
		return err
	}
	if w.end.Entries[len(w.end.Entries)-1].SHA256 != d {
		w.end.Damaged = append(w.end.Damaged, d)
	}
	return nil
}

func (w *writer) file(f File) error {
	r, err := f.Open()
	if err != nil {
		return fail(err)
	}
	defer func() { _ = r.Close() }()
	return w.add(path.Join(filesDir, filepath.ToSlash(f.Name)), f.Size, r)
}
