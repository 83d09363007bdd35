package blob

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "blob", FS: migrations} }

// File is a named content.
type File struct {
	Path      string    `json:"path"`
	Size      int64     `json:"size"` // bytes
	Digest    Digest    `json:"digest,omitempty"`
	IsDir     bool      `json:"is_dir,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Files gives contents names: root, then a slash-separated path. Each domain chooses roots of its own ("run/<id>", "version/<model>/<n>").
type Files struct {
	db    *db.DB
	store Store
	clock clock.Clock
}

// NewFiles makes the index over a store.
func NewFiles(d *db.DB, s Store, c clock.Clock) *Files { return &Files{db: d, store: s, clock: c} }

// Store is the content store behind the names.
func (f *Files) Store() Store { return f.store }

// MaxPath bounds a path, in bytes.
const MaxPath = 1024

// CleanPath checks a client-given relative path and returns it normalised. It refuses whatever could mean another place: absolute paths,
// "..", backslashes, drive letters and schemes, control and non-printing characters. Decoding is the caller's business and done once.
func CleanPath(p string) (string, error) {
	bad := func(why string) (string, error) {
		return "", errs.Invalidf("blob.path", "the path is not allowed: %s", why).WithField("path", "expected a relative path such as model/MLmodel")
	}
	if len(p) > MaxPath {
		return bad("it is longer than 1024 bytes")
	}
	if !utf8.ValidString(p) {
		return bad("it is not UTF-8")
	}
	for _, r := range p {
		if r == '\\' || !unicode.IsPrint(r) {
			return bad("it holds a backslash or a non-printing character")
		}
	}
	for seg := range strings.SplitSeq(p, "/") {
		if seg == ".." || strings.EqualFold(seg, "%2e%2e") {
			return bad("it climbs out with ..")
		}
	}
	c := path.Clean(p)
	if first, _, _ := strings.Cut(c, "/"); strings.HasPrefix(p, "/") || strings.Contains(first, ":") { // ./c:/x too
		return bad("it is absolute")
	}
	if c == "." {
		return "", nil
	}
	return c, nil
}

// Put stores contents under a name, replacing what the name pointed at.
func (f *Files) Put(ctx context.Context, root, p string, r io.Reader) (File, error) {
	p, err := CleanPath(p)
	if err != nil {
		return File{}, err
	}
	if p == "" {
		return File{}, errs.Invalidf("blob.put", "the path is empty").WithField("path", "expected a file name")
	}
	d, n, err := f.store.Put(ctx, r)
	if err != nil {
		return File{}, err
	}
	file := File{Path: p, Size: n, Digest: d, CreatedAt: f.clock.Now()}
	err = f.db.Write(ctx, func(tx *db.Tx) error { return f.Link(tx, root, file) })
	return file, err
}

// Link names contents that are stored already, inside the caller's transaction. It returns Conflict when the path is a folder of another
// file's path, or leads through a file: such a pair could not lie in one folder on a disk. NotFound when the contents were removed
// meanwhile: they are held before the look, so they stay until the transaction ends.
func (f *Files) Link(tx *db.Tx, root string, file File) error {
	if err := f.checkPlace(tx, root, file.Path); err != nil {
		return err
	}
	if err := f.hold(tx, file.Digest); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO file (root, path, digest, size, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (root, path) DO UPDATE SET digest = excluded.digest, size = excluded.size, created_at = excluded.created_at`,
		root, file.Path, string(file.Digest), file.Size, clock.Micros(file.CreatedAt))
	return err
}

// hold keeps contents until the transaction that names them has ended.
func (f *Files) hold(tx *db.Tx, d Digest) error {
	t, err := f.store.Hold(d)
	if err == nil {
		tx.AfterCommit(func() { f.store.Settle(d, t) })
		tx.AfterRollback(func() { f.store.Release(d, t) })
	}
	return err
}

func (f *Files) checkPlace(tx *db.Tx, root, p string) error {
	bytewise := ""
	if tx.Engine() == db.Postgres {
		bytewise = ` COLLATE "C"`
	}
	// What lies below p sorts between p/ and p0, 0 being the byte after the slash.
	query, args := "SELECT path FROM file WHERE root = ? AND (path"+bytewise+" > ? AND path"+bytewise+" < ?", []any{root, p + "/", p + "0"}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		query += " OR path = ?"
		args = append(args, dir)
	}
	var other string
	switch err := tx.QueryRow(query+") LIMIT 1", args...).Scan(&other); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return errs.E(errs.Conflict, "blob.link", "a file and a folder cannot have the same name", nil).
		WithField("path", "%s does not fit beside %s, which is there already", p, other).WithHint("choose another path")
}

// Stat finds one file; NotFound when there is none.
func (f *Files) Stat(ctx context.Context, root, p string) (File, error) {
	p, err := CleanPath(p)
	if err != nil {
		return File{}, err
	}
	file := File{Path: p}
	var digest string
	var at int64
	err = f.db.QueryRow(ctx, "SELECT digest, size, created_at FROM file WHERE root = ? AND path = ?", root, p).Scan(&digest, &file.Size, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return File{}, errs.NotFoundf("blob.stat", "no file %q", p)
	}
	file.Digest, file.CreatedAt = Digest(digest), clock.FromMicros(at)
	return file, err
}

// Open reads one file.
func (f *Files) Open(ctx context.Context, root, p string) (io.ReadSeekCloser, File, error) {
	file, err := f.Stat(ctx, root, p)
	if err != nil {
		return nil, File{}, err
	}
	r, err := f.store.Open(ctx, file.Digest)
	return r, file, err
}

// ReadFile reads a whole file of at most limit bytes.
func (f *Files) ReadFile(ctx context.Context, root, p string, limit int64) ([]byte, error) {
	r, file, err := f.Open(ctx, root, p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if file.Size > limit {
		return nil, errs.E(errs.Exhausted, "blob.read", "the file "+p+" is too large to read whole", nil)
	}
	return io.ReadAll(r)
}

// All lists every file below a prefix ("" for all), in path order.
func (f *Files) All(ctx context.Context, root, prefix string) ([]File, error) {
	prefix, err := CleanPath(prefix)
	if err != nil {
		return nil, err
	}
	rows, err := f.db.Query(ctx, "SELECT path, digest, size, created_at FROM file WHERE root = ? ORDER BY path", root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []File{}
	for rows.Next() {
		var file File
		var digest string
		var at int64
		if err := rows.Scan(&file.Path, &digest, &file.Size, &at); err != nil {
			return nil, err
		}
		file.Digest, file.CreatedAt = Digest(digest), clock.FromMicros(at)
		if prefix == "" || file.Path == prefix || strings.HasPrefix(file.Path, prefix+"/") {
			out = append(out, file)
		}
	}
	return out, rows.Err()
}

// List lists one folder: its files and, with IsDir, its sub-folders. A folder that is not there is empty.
func (f *Files) List(ctx context.Context, root, dir string) ([]File, error) {
	dir, err := CleanPath(dir)
	if err != nil {
		return nil, err
	}
	all, err := f.All(ctx, root, dir)
	if err != nil {
		return nil, err
	}
	out, seen := []File{}, map[string]bool{}
	for _, file := range all {
		rest := strings.TrimPrefix(strings.TrimPrefix(file.Path, dir), "/")
		if rest == "" {
			continue // dir is a file
		}
		name, _, deeper := strings.Cut(rest, "/")
		if !deeper {
			out = append(out, file)
		} else if !seen[name] {
			seen[name] = true
			out = append(out, File{Path: path.Join(dir, name), IsDir: true})
		}
	}
	return out, nil
}

// Delete forgets a file or all files of a folder; "" means the whole root. Contents are collected later.
func (f *Files) Delete(ctx context.Context, root, p string) (int64, error) {
	p, err := CleanPath(p)
	if err != nil {
		return 0, err
	}
	var n int64
	err = f.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		if p == "" {
			n, err = tx.Exec("DELETE FROM file WHERE root = ?", root)
			return err
		}
		n, err = tx.Exec(`DELETE FROM file WHERE root = ? AND (path = ? OR substr(path, 1, ?) = ?)`, root, p, utf8.RuneCountInString(p)+1, p+"/")
		return err
	})
	return n, err
}

// Snapshot copies the names below a folder of one root into another root, inside the caller's transaction; contents are shared. The
// copy stays as it is whatever happens to the source. It returns how many files there were.
func (f *Files) Snapshot(tx *db.Tx, from, dir, to string) (int64, error) {
	dir, err := CleanPath(dir)
	if err != nil {
		return 0, err
	}
	now := clock.Micros(f.clock.Now())
	if err := f.holdAll(tx, from); err != nil {
		return 0, err
	}
	if dir == "" {
		return tx.Exec("INSERT INTO file (root, path, digest, size, created_at) SELECT ?, path, digest, size, CAST(? AS BIGINT) FROM file WHERE root = ?", to, now, from)
	}
	n := utf8.RuneCountInString(dir) + 1
	return tx.Exec(`INSERT INTO file (root, path, digest, size, created_at)
		SELECT ?, substr(path, CAST(? AS INTEGER)), digest, size, CAST(? AS BIGINT) FROM file WHERE root = ? AND substr(path, 1, CAST(? AS INTEGER)) = ?`, to, n+1, now, from, n, dir+"/")
}

func (f *Files) holdAll(tx *db.Tx, root string) error {
	rows, err := tx.Query("SELECT DISTINCT digest FROM file WHERE root = ?", root)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return err
		}
		if err := f.hold(tx, Digest(d)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Materialize writes all files of a root below a new folder, verified. The folder must not exist; it appears only when complete.
func (f *Files) Materialize(ctx context.Context, root, dir string) error {
	all, err := f.All(ctx, root, "")
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errs.NotFoundf("blob.materialize", "there are no files in %s", root)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".part-")
	if err != nil {
		return fail("blob.materialize", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	r, err := os.OpenRoot(tmp)
	if err != nil {
		return fail("blob.materialize", err)
	}
	defer func() { _ = r.Close() }()
	for _, file := range all {
		if err := f.write(ctx, r, file); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fail("blob.materialize", err)
	}
	return nil
}

func (f *Files) write(ctx context.Context, r *os.Root, file File) error {
	if d := path.Dir(file.Path); d != "." {
		if err := r.MkdirAll(d, 0o700); err != nil {
			return fail("blob.materialize", err)
		}
	}
	src, err := f.store.Open(ctx, file.Digest)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := r.OpenFile(file.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fail("blob.materialize", err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return fail("blob.materialize", err)
	}
	return dst.Close()
}
