package blob

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// MaxParts is the largest number of parts that a file may come in.
const MaxParts = 10_000

// partsRoot is where the parts of an upload lie until they are joined: under names of their own, so that they outlive a restart and no
// collection of unnamed contents takes them.
func partsRoot(upload string) string { return "part/" + upload }

func partName(number int) string { return fmt.Sprintf("%05d", number) }

// Part is one piece of a file that comes in parts.
type Part struct {
	Number int // 1 to MaxParts
	Digest Digest
}

// Incoming is a part that arrives.
type Incoming struct {
	Number int   // 1 to MaxParts
	Of     int   // how many parts the file has; 0 when the client does not say
	Size   int64 // bytes that will come; -1 when the client does not say
	Limit  int64 // of the whole file, in bytes
}

// PutPart stores one part of an upload; a part sent again takes the place of the one before. Invalid when the number is out of range.
func (f *Files) PutPart(ctx context.Context, upload string, p Incoming, r io.Reader) (File, error) {
	if p.Number < 1 || p.Number > MaxParts {
		return File{}, errs.Invalidf("blob.part", "there is no part %d", p.Number).WithField("part_number", "expected 1 to %d", MaxParts)
	}
	local, ok := f.store.(*Local)
	if ok && p.Of > 1 && p.Number <= p.Of && p.Size > 0 {
		if d := local.draft(upload, true); d != nil {
			if start, ok := d.claim(p); ok {
				return f.intoDraft(ctx, local, d, upload, p, start, r)
			}
		}
	}
	d, n, err := f.store.Put(ctx, r)
	if err != nil {
		return File{}, err
	}
	file := File{Path: partName(p.Number), Size: n, Digest: d, CreatedAt: f.clock.Now()}
	return file, f.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("DELETE FROM file_part WHERE upload = ? AND number = ?", upload, p.Number); err != nil {
			return err
		}
		return f.Link(tx, partsRoot(upload), file)
	})
}

// intoDraft writes a part at its place in the draft of its upload.
func (f *Files) intoDraft(ctx context.Context, l *Local, w *draft, upload string, p Incoming, start int64, r io.Reader) (File, error) {
	written := false
	defer func() { w.end(p.Number, written) }()
	d, err := l.writePart(ctx, upload, start, p.Size, r)
	if err != nil {
		return File{}, err
	}
	written = true
	file := File{Path: partName(p.Number), Size: p.Size, Digest: d, CreatedAt: f.clock.Now()}
	return file, f.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("DELETE FROM file WHERE root = ? AND path = ?", partsRoot(upload), file.Path); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO file_part (upload, number, digest, size, start, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (upload, number)
			DO UPDATE SET digest = excluded.digest, size = excluded.size, start = excluded.start, created_at = excluded.created_at`,
			upload, p.Number, string(d), p.Size, start, clock.Micros(file.CreatedAt))
		return err
	})
}

// parts lists what has come of an upload, by the names of its parts.
func (f *Files) parts(ctx context.Context, upload string) (map[string]piece, error) {
	have, err := f.All(ctx, partsRoot(upload), "")
	if err != nil {
		return nil, err
	}
	out := make(map[string]piece, len(have))
	for _, h := range have {
		out[h.Path] = piece{h, -1}
	}
	rows, err := f.db.Query(ctx, "SELECT number, digest, size, start FROM file_part WHERE upload = ?", upload)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int
		var digest string
		var p piece
		if err := rows.Scan(&number, &digest, &p.Size, &p.start); err != nil {
			return nil, err
		}
		p.Digest, p.Path = Digest(digest), partName(number)
		out[p.Path] = p
	}
	return out, rows.Err()
}

// Join makes a file of the parts of an upload, in the order of their numbers, and forgets the parts. limit bounds its size in bytes.
// Invalid when a part is not there, or another than the client says; Exhausted when the file is too large.
func (f *Files) Join(ctx context.Context, upload string, parts []Part, root, p string, limit int64) (File, error) {
	const op = "blob.join"
	byName, err := f.parts(ctx, upload)
	if err != nil {
		return File{}, err
	}
	var size int64
	pieces := make([]piece, len(parts))
	for i, part := range parts {
		piece, ok := byName[partName(part.Number)]
		switch {
		case !ok:
			return File{}, errs.Invalidf(op, "part %d of the upload is not here", part.Number).WithHint("send it again, then complete the upload")
		case part.Digest != "" && part.Digest != piece.Digest:
			return File{}, errs.Invalidf(op, "part %d of the upload is not the one that is named: its ETag differs", part.Number).WithHint("send it again, then complete the upload")
		case i > 0 && part.Number <= parts[i-1].Number:
			return File{}, errs.Invalidf(op, "the parts are not in ascending order of their numbers")
		}
		pieces[i] = piece
		size += piece.Size
	}
	if size > limit {
		return File{}, errs.E(errs.Exhausted, op, fmt.Sprintf("the parts have %d bytes together: at most %d are taken", size, limit), nil)
	}
	file, err := f.join(ctx, upload, pieces, root, p, size)
	if err != nil {
		return File{}, err
	}
	return file, f.DropParts(ctx, upload)
}

func (f *Files) join(ctx context.Context, upload string, pieces []piece, root, p string, size int64) (File, error) {
	local, ok := f.store.(*Local)
	if ok && slices.ContainsFunc(pieces, func(x piece) bool { return x.start >= 0 }) {
		d, ok, err := local.adopt(ctx, upload, pieces, size)
		if err != nil {
			return File{}, err
		}
		if ok {
			return f.name(ctx, root, p, d, size)
		}
	}
	r := &chain{ctx: ctx, rest: pieces, read: func(x piece) (io.ReadCloser, error) {
		if x.start < 0 {
			return f.store.Open(ctx, x.Digest)
		}
		return local.openPiece(ctx, upload, x)
	}}
	defer r.close()
	return f.Put(ctx, root, p, r)
}

// name gives contents that are in the store a name.
func (f *Files) name(ctx context.Context, root, p string, d Digest, size int64) (File, error) {
	p, err := CleanPath(p)
	if err == nil && p == "" {
		err = errs.Invalidf("blob.join", "the path is empty").WithField("path", "expected a file name")
	}
	if err != nil {
		return File{}, err
	}
	file := File{Path: p, Size: size, Digest: d, CreatedAt: f.clock.Now()}
	return file, f.db.Write(ctx, func(tx *db.Tx) error { return f.Link(tx, root, file) })
}

// DropParts forgets an upload.
func (f *Files) DropParts(ctx context.Context, upload string) error {
	err := f.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("DELETE FROM file_part WHERE upload = ?", upload); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM file WHERE root = ?", partsRoot(upload))
		return err
	})
	if local, ok := f.store.(*Local); ok && err == nil {
		err = local.dropDraft(upload)
	}
	return err
}

// SweepParts forgets the parts of uploads that nobody completed, those older than before, and removes drafts that no part is known of: of
// such uploads, and of completions that broke off at their very end.
func (f *Files) SweepParts(ctx context.Context, before time.Time) (int64, error) {
	var n int64
	prefix := partsRoot("")
	local, ok := f.store.(*Local)
	var loose map[string]int
	if ok { // before the look at what is known: a part that is written meanwhile keeps its draft off the list
		var err error
		if loose, err = local.looseDrafts(); err != nil {
			return 0, err
		}
	}
	err := f.db.Write(ctx, func(tx *db.Tx) (err error) {
		if n, err = tx.Exec("DELETE FROM file WHERE root > ? AND root < ? AND created_at < ?", prefix, strings.TrimSuffix(prefix, "/")+"0", clock.Micros(before)); err != nil {
			return err
		}
		laid, err := tx.Exec("DELETE FROM file_part WHERE created_at < ?", clock.Micros(before))
		n += laid
		return err
	})
	if err != nil {
		return n, err
	}
	for upload, claims := range loose {
		var known int
		if err := f.db.QueryRow(ctx, "SELECT count(*) FROM file_part WHERE upload = ?", upload).Scan(&known); err != nil {
			return n, err
		}
		if known == 0 {
			if err := local.retire(upload, claims); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// chain reads parts one behind the other, one open at a time.
type chain struct {
	ctx  context.Context //nolint:containedctx // lives as long as one Join
	read func(piece) (io.ReadCloser, error)
	rest []piece
	open io.ReadCloser
}

func (c *chain) Read(p []byte) (int, error) {
	for {
		if c.open == nil {
			if len(c.rest) == 0 {
				return 0, io.EOF
			}
			r, err := c.read(c.rest[0])
			if err != nil {
				return 0, err
			}
			c.open, c.rest = r, c.rest[1:]
		}
		n, err := c.open.Read(p)
		if err == io.EOF { //nolint:errorlint // readers return it bare
			c.close()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *chain) close() {
	if c.open != nil {
		_ = c.open.Close()
		c.open = nil
	}
}
