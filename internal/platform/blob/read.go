package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// wholeAtOnce is the size up to which contents are read and checked when they are opened, so that damage is told before a byte is sent.
const wholeAtOnce = 1 << 20

// Open implements Store. Small contents are checked here, larger ones while they are read: their last part is held back until the
// digest of all of them is right. A reader that seeks first pays for one pass over the contents, once while the file does not change.
func (l *Local) Open(_ context.Context, d Digest) (io.ReadSeekCloser, error) {
	if !d.Valid() {
		return nil, errs.Invalidf("blob.open", "%q is not a SHA-256 digest", string(d))
	}
	_, name := place(d)
	f, err := l.root.Open(name)
	if err != nil {
		return nil, fail("blob.open", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fail("blob.open", err)
	}
	if st.Size() > wholeAtOnce {
		return &verified{l: l, f: f, want: d, h: sha256.New(), size: st.Size(), at: st.ModTime()}, nil
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, st.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fail("blob.open", err)
	}
	if sum := sha256.Sum256(b); Digest(hex.EncodeToString(sum[:])) != d {
		return nil, l.tellDamage(d)
	}
	return held{bytes.NewReader(b)}, nil
}

// held is contents in memory.
type held struct{ *bytes.Reader }

func (held) Close() error { return nil }

func (l *Local) tellDamage(d Digest) error {
	l.checked.spoil(d)
	if fn := l.damaged.Load(); fn != nil {
		(*fn)(d)
	}
	return errs.E(errs.Internal, "blob.read", fmt.Sprintf("contents %.12s are damaged on disk", d), nil).Public().
		WithHint("upload the file again, or bring it back from a backup")
}

// verified checks contents while they are read from start to end. A reader that seeks gets contents that were checked as a whole.
type verified struct {
	l    *Local
	f    *os.File
	want Digest
	h    hash.Hash
	size int64
	at   time.Time // of the last change of the file
	pos  int64     // bytes hashed
	free bool      // the reader seeks
}

func (v *verified) Read(p []byte) (int, error) {
	if v.free {
		if err := v.check(); err != nil {
			return 0, err
		}
		return v.f.Read(p)
	}
	n, err := v.f.Read(p)
	v.h.Write(p[:n])
	v.pos += int64(n)
	if (v.pos >= v.size || errors.Is(err, io.EOF)) && Digest(hex.EncodeToString(v.h.Sum(nil))) != v.want {
		return 0, v.l.tellDamage(v.want) // the last part is not given away
	}
	return n, err
}

// check reads the contents once and remembers that they are right.
func (v *verified) check() error {
	if v.l.checked.has(v.want, v.at) {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(v.f, 0, v.size)); err != nil {
		return fail("blob.read", err)
	}
	if Digest(hex.EncodeToString(h.Sum(nil))) != v.want {
		return v.l.tellDamage(v.want)
	}
	v.l.checked.add(v.want, v.at)
	return nil
}

func (v *verified) Seek(offset int64, whence int) (int64, error) {
	v.free = true
	return v.f.Seek(offset, whence)
}

func (v *verified) Close() error { return v.f.Close() }

// checked remembers which contents were read as a whole and found right, by the time of their file's last change.
type checked struct {
	mu      sync.Mutex
	at      map[Digest]time.Time
	spoiled map[Digest]bool // found damaged: an upload of the same contents mends them
}

const maxChecked = 10_000

func (c *checked) has(d Digest, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.at[d]
	return ok && have.Equal(at)
}

func (c *checked) add(d Digest, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil || len(c.at) >= maxChecked {
		c.at = map[Digest]time.Time{}
	}
	c.at[d] = at
}

func (c *checked) spoil(d Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.at, d)
	if c.spoiled == nil || len(c.spoiled) >= maxChecked {
		c.spoiled = map[Digest]bool{}
	}
	c.spoiled[d] = true
}

// mend reports whether contents were found damaged, and forgets it.
func (c *checked) mend(d Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.spoiled[d]
	delete(c.spoiled, d)
	return was
}

// Raw opens contents as they are, unchecked, with their size on disk: for a backup, which compares the digest itself.
func (l *Local) Raw(d Digest) (io.ReadCloser, int64, error) {
	if !d.Valid() {
		return nil, 0, errs.Invalidf("blob.raw", "%q is not a SHA-256 digest", string(d))
	}
	_, name := place(d)
	f, err := l.root.Open(name)
	if err != nil {
		return nil, 0, fail("blob.raw", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, fail("blob.raw", err)
	}
	return f, st.Size(), nil
}

// Check reads contents whole and reports whether they are what they were.
func (l *Local) Check(ctx context.Context, d Digest) error {
	r, err := l.Open(ctx, d)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(io.Discard, &ctxReader{ctx, r})
	return err
}

// Shard implements Store.
func (l *Local) Shard(ctx context.Context, prefix string) ([]Content, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(l.root.FS(), prefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail("blob.list", err)
	}
	out := make([]Content, 0, len(entries))
	for _, e := range entries {
		d := Digest(prefix + e.Name())
		info, err := e.Info()
		if err != nil || !d.Valid() { // gone meanwhile, or not ours
			continue
		}
		out = append(out, Content{d, info.Size()})
	}
	return out, nil
}
