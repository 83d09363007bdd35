package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// A draft is a file of the folder "parts" that the parts of one upload are written into, each at the place that it will have in the whole, so
// that completing the upload writes nothing: the draft is read once, for its digest, and gets its name in the store as a second link of the
// file. That is what saves time: the disk takes the bytes once.
//
// The places are known when all parts but the last have one size, as clients send them; a part that comes otherwise, or again, is kept as
// contents of its own, and moved into its place or read from there in the end. Once a draft may have a name in the store, nothing
// writes into it any more: a name stands for contents that never change. Therefore only the process that made a draft writes into it, and not
// once the upload is being completed.
type draft struct {
	joining sync.Mutex // one completion at a time

	mu      sync.Mutex
	size    int64        // of every part but the last; 0 until one has come
	claimed map[int]bool // numbers that are, or are being, written
	writing int
	claims  int // so far
	sealed  bool
}

type drafts struct {
	mu sync.Mutex
	by map[string]*draft
}

const (
	draftFolder = "parts"
	maxDrafts   = 1000 // that are written to at once; parts of more uploads are kept as contents of their own
)

func draftName(upload string) string { return filepath.Join(draftFolder, upload) }

// draft finds a draft, or makes one when that may be.
func (l *Local) draft(upload string, create bool) *draft {
	l.drafts.mu.Lock()
	defer l.drafts.mu.Unlock()
	d := l.drafts.by[upload]
	if d != nil || !create || len(l.drafts.by) >= maxDrafts || !filepath.IsLocal(upload) || filepath.Base(upload) != upload {
		return d
	}
	f, err := l.root.OpenFile(draftName(upload), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil { // one of an earlier process, or the disk says no: the part is stored as contents and tells why
		return nil
	}
	_ = f.Close()
	if l.drafts.by == nil {
		l.drafts.by = map[string]*draft{}
	}
	d = &draft{claimed: map[int]bool{}}
	l.drafts.by[upload] = d
	return d
}

// claim gives the place of a part in the draft of its upload; not ok when it has none, or had it before.
func (d *draft) claim(p Incoming) (start int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := p.Number == p.Of
	switch {
	case d.sealed, d.claimed[p.Number], p.Size <= 0:
		return 0, false
	case d.size == 0 && last, d.size != 0 && !last && p.Size != d.size, last && p.Size > d.size:
		return 0, false
	}
	size := d.size
	if size == 0 {
		size = p.Size
	}
	start = int64(p.Number-1) * size
	if start > p.Limit-p.Size {
		return 0, false
	}
	d.size = size
	d.claimed[p.Number] = true
	d.writing++
	d.claims++
	return start, true
}

// end gives a place back that was not written.
func (d *draft) end(number int, written bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing--
	if !written {
		delete(d.claimed, number)
	}
}

// seal lets no more parts begin. It reports whether the caller is the first, and whether a part is still being written.
func (d *draft) seal() (first, busy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first, d.sealed = !d.sealed, true
	return first, d.writing > 0
}

// writePart writes size bytes at their place, flushed to disk.
func (l *Local) writePart(ctx context.Context, upload string, start, size int64, r io.Reader) (Digest, error) {
	f, err := l.root.OpenFile(draftName(upload), os.O_WRONLY, 0)
	if err != nil {
		return "", fail("blob.part", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(f, start), h), io.LimitReader(&ctxReader{ctx, r}, size))
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe):
		return "", fail("blob.part", err)
	case err != nil || n != size:
		return "", errs.E(errs.Invalid, "blob.part", "the upload broke off", err)
	}
	if err := f.Sync(); err != nil {
		return "", fail("blob.part", err)
	}
	return Digest(hex.EncodeToString(h.Sum(nil))), nil
}

// piece is a part in a draft, or contents of its own (start < 0).
type piece struct {
	File
	start int64
}

// openPiece reads a part; altered contents give an error, never all of their bytes.
func (l *Local) openPiece(ctx context.Context, upload string, p piece) (io.ReadCloser, error) {
	if p.start < 0 {
		return l.Open(ctx, p.Digest)
	}
	f, err := l.root.Open(draftName(upload))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Invalidf("blob.join", "part %s of the upload is not here any more", p.Path).WithHint("send it again, then complete the upload")
	}
	if err != nil {
		return nil, fail("blob.join", err)
	}
	return &section{f, io.NewSectionReader(f, p.start, p.Size), sha256.New(), p, p.Size}, nil
}

// section reads a part of a draft and checks it.
type section struct {
	f    *os.File
	r    io.Reader
	h    hash.Hash
	p    piece
	left int64
}

func (s *section) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.h.Write(b[:n])
	if s.left -= int64(n); (s.left == 0 || errors.Is(err, io.EOF)) && Digest(hex.EncodeToString(s.h.Sum(nil))) != s.p.Digest {
		return 0, errs.Invalidf("blob.join", "part %s of the upload is damaged on disk", s.p.Path).WithHint("send the file again")
	}
	return n, err
}

func (s *section) Close() error { return s.f.Close() }

// adopt makes a draft the contents that its parts are together. Not ok when it cannot be: then they are to be read one by one.
func (l *Local) adopt(ctx context.Context, upload string, pieces []piece, total int64) (d Digest, ok bool, err error) {
	w := l.draft(upload, false)
	fresh := false
	if w != nil {
		w.joining.Lock()
		defer w.joining.Unlock()
		var busy bool
		if fresh, busy = w.seal(); busy { // a part that is sent twice, or is not asked for: it might write into what has a name
			return "", false, nil
		}
	}
	var at, inside int64
	for _, p := range pieces {
		if p.start >= 0 && p.start != at || p.start < 0 && !fresh {
			return "", false, nil
		}
		if at += p.Size; p.start >= 0 {
			inside += p.Size
		}
	}
	if inside < total/2 { // more would be written than is saved
		return "", false, nil
	}
	f, err := l.root.OpenFile(draftName(upload), os.O_RDWR, 0)
	if err != nil {
		return "", false, nil //nolint:nilerr // the reader of its parts tells
	}
	defer func() { _ = f.Close() }()
	if fresh {
		err = l.fill(ctx, f, pieces, total)
	} else if st, serr := f.Stat(); serr != nil || st.Size() != total {
		return "", false, nil //nolint:nilerr // as above
	}
	if err == nil {
		d, err = l.digestOf(ctx, upload, pieces)
	}
	if err != nil {
		return "", false, err
	}
	l.holds.add(d, true) // before the look: what is there now stays there
	_, name := place(d)
	if st, err := l.root.Stat(name); err == nil && st.Size() == total && !l.checked.mend(d) {
		return d, true, nil
	}
	return d, true, l.link(upload, d)
}

// fill puts the parts that came as contents of their own into their places, cuts what no part is, and flushes.
func (l *Local) fill(ctx context.Context, f *os.File, pieces []piece, total int64) error {
	at := int64(0)
	for _, p := range pieces {
		if p.start < 0 {
			r, err := l.Open(ctx, p.Digest)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.NewOffsetWriter(f, at), &ctxReader{ctx, r})
			_ = r.Close()
			if err != nil {
				return fail("blob.join", err)
			}
		}
		at += p.Size
	}
	if err := f.Truncate(total); err != nil {
		return fail("blob.join", err)
	}
	if err := f.Sync(); err != nil {
		return fail("blob.join", err)
	}
	return nil
}

// digestOf reads a filled draft once, and checks that each part is still what it was when it came.
func (l *Local) digestOf(ctx context.Context, upload string, pieces []piece) (Digest, error) {
	whole, at := sha256.New(), int64(0)
	buf := make([]byte, 256<<10)
	for _, p := range pieces {
		p.start = at
		at += p.Size
		r, err := l.openPiece(ctx, upload, p)
		if err != nil {
			return "", err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{whole}, &ctxReader{ctx, r}, buf)
		_ = r.Close()
		if err != nil {
			return "", err
		}
	}
	return Digest(hex.EncodeToString(whole.Sum(nil))), nil
}

// link gives a draft its name in the store. It keeps the one it has until its parts are forgotten, so that a completion that breaks off
// before the file has its name can be made again.
func (l *Local) link(upload string, d Digest) error {
	dir, name := place(d)
	tmp := filepath.Join("tmp", id.Hex())
	if err := l.root.MkdirAll(dir, 0o700); err != nil {
		return fail("blob.join", err)
	}
	if err := l.root.Link(draftName(upload), tmp); err != nil { // a file system without links: the draft itself moves
		tmp = draftName(upload)
	}
	if err := l.root.Rename(tmp, name); err != nil {
		return fail("blob.join", err)
	}
	return l.syncDir(dir)
}

// dropDraft removes a draft; contents that it became stay.
func (l *Local) dropDraft(upload string) error {
	l.drafts.mu.Lock()
	w := l.drafts.by[upload]
	delete(l.drafts.by, upload)
	l.drafts.mu.Unlock()
	if w != nil {
		w.seal()
	}
	if err := l.root.Remove(draftName(upload)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail("blob.join", err)
	}
	return nil
}

// looseDrafts lists the drafts that no part is being written into, with how many parts had been begun; those of earlier processes too.
func (l *Local) looseDrafts() (map[string]int, error) {
	entries, err := fs.ReadDir(l.root.FS(), draftFolder)
	if err != nil {
		return nil, fail("blob.sweep", err)
	}
	out := map[string]int{}
	for _, e := range entries {
		if w := l.draft(e.Name(), false); w == nil {
			out[e.Name()] = 0
		} else if claims, idle := w.state(); idle {
			out[e.Name()] = claims
		}
	}
	return out, nil
}

func (d *draft) state() (claims int, idle bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claims, d.writing == 0
}

// retire removes a draft unless a part was begun since it was listed.
func (l *Local) retire(upload string, claims int) error {
	if w := l.draft(upload, false); w != nil {
		w.mu.Lock()
		same := w.claims == claims
		w.sealed = w.sealed || same
		w.mu.Unlock()
		if !same {
			return nil
		}
	}
	return l.dropDraft(upload)
}
