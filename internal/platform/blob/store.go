// Package blob keeps file contents by their SHA-256 (Store) and names for them (Files): a root such as "runs/<id>" holds paths, each
// path points at contents. Equal contents are stored once. Clients never name a storage location.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// Digest is the lower-case hex SHA-256 of some contents.
type Digest string

// Valid reports whether d has the shape of a digest.
func (d Digest) Valid() bool {
	if len(d) != 64 {
		return false
	}
	for _, c := range []byte(d) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Store keeps contents by digest. Contents never change.
type Store interface {
	// Put stores all of r durably and gives its digest and size in bytes.
	Put(ctx context.Context, r io.Reader) (Digest, int64, error)
	// Open reads contents; what is read is checked: altered contents give an error, never all of their bytes.
	Open(ctx context.Context, d Digest) (io.ReadSeekCloser, error)
	// Hold keeps contents that are about to be named from being reaped. NotFound when they are not there.
	Hold(d Digest) (Ticket, error)
	// Settle ends a hold and that of one upload of the same contents before it: they have their name now.
	Settle(d Digest, t Ticket)
	// Release ends a hold of contents that got no name.
	Release(d Digest, t Ticket)
	// Reaping is called before a reaper looks for names, and done when it is through.
	Reaping() (done func())
	// Reap removes contents that no name refers to, unless they are held; it gives the bytes that became free.
	Reap(ctx context.Context, d Digest) (freed int64, removed bool, err error)
	// Shard lists the contents whose digest begins with these two hex digits.
	Shard(ctx context.Context, prefix string) ([]Content, error)
}

// Content is what a Store keeps under a digest.
type Content struct {
	Digest Digest
	Size   int64 // bytes
}

// Local is a Store in a folder. One process uses the folder at a time.
type Local struct {
	root    *os.Root
	holds   holds
	checked checked
	damaged atomic.Pointer[func(Digest)]
	drafts  drafts
}

// OpenLocal opens or makes the folder.
func OpenLocal(dir string) (*Local, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail("blob.open", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fail("blob.open", err)
	}
	for _, dir := range []string{"tmp", draftFolder} {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return nil, fail("blob.open", err)
		}
	}
	l := &Local{root: root}
	l.holds.init()
	return l, sweep(root)
}

// OnDamage makes fn hear of contents that are not what they were when they were stored, each time they are read. fn must not block.
func (l *Local) OnDamage(fn func(Digest)) { l.damaged.Store(&fn) }

// sweep removes what uploads that never finished left behind.
func sweep(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), "tmp")
	if err != nil {
		return fail("blob.open", err)
	}
	for _, e := range entries {
		_ = root.Remove(filepath.Join("tmp", e.Name()))
	}
	return nil
}

func fail(op string, err error) error {
	switch {
	case errs.IsDiskFull(err):
		return errs.DiskFull(op, "the disk of the data folder is full", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errs.E(errs.Unavailable, op, "the data folder cannot be written", err).WithHint("check its permissions and that the disk is not mounted read-only")
	case errors.Is(err, fs.ErrNotExist):
		return errs.E(errs.NotFound, op, "no such contents", err)
	}
	return errs.E(errs.Internal, op, "the blob store failed", err)
}

func place(d Digest) (dir, name string) {
	dir = string(d[:2])
	return dir, filepath.Join(dir, string(d[2:]))
}

// Put implements Store. The contents are flushed to disk before it returns.
func (l *Local) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	tmp := filepath.Join("tmp", id.Hex())
	f, err := l.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, fail("blob.put", err)
	}
	defer func() { _ = f.Close(); _ = l.root.Remove(tmp) }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), &ctxReader{ctx, r})
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return "", 0, fail("blob.put", err)
		}
		return "", 0, errs.E(errs.Invalid, "blob.put", "the upload broke off", err)
	}
	if err := f.Sync(); err != nil {
		return "", 0, fail("blob.put", err)
	}
	d := Digest(hex.EncodeToString(h.Sum(nil)))
	l.holds.add(d, true) // before the look: what is there now stays there
	dir, name := place(d)
	if st, err := l.root.Stat(name); err == nil && st.Size() == n && !l.checked.mend(d) {
		return d, n, nil // the same contents are there already
	}
	if err := l.root.MkdirAll(dir, 0o700); err != nil {
		return "", 0, fail("blob.put", err)
	}
	if err := l.root.Rename(tmp, name); err != nil {
		return "", 0, fail("blob.put", err)
	}
	return d, n, l.syncDir(dir)
}

func (l *Local) syncDir(dir string) error {
	d, err := l.root.Open(dir)
	if err != nil {
		return fail("blob.put", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fail("blob.put", err)
	}
	return nil
}

// Close gives the folder back.
func (l *Local) Close() error { return l.root.Close() }

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
