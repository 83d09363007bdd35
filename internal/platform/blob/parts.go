package blob

import (
	"context"
	"fmt"
	"io"
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

// PutPart stores one part of an upload; a part sent again takes the place of the one before. Invalid when the number is out of range.
func (f *Files) PutPart(ctx context.Context, upload string, number int, r io.Reader) (File, error) {
	if number < 1 || number > MaxParts {
		return File{}, errs.Invalidf("blob.part", "there is no part %d", number).WithField("part_number", "expected 1 to %d", MaxParts)
	}
	return f.Put(ctx, partsRoot(upload), partName(number), r)
}

// Join makes a file of the parts of an upload, in the order of their numbers, and forgets the parts. limit bounds its size in bytes.
// Invalid when a part is not there, or another than the client says; Exhausted when the file is too large.
func (f *Files) Join(ctx context.Context, upload string, parts []Part, root, p string, limit int64) (File, error) {
	const op = "blob.join"
	have, err := f.All(ctx, partsRoot(upload), "")
	if err != nil {
		return File{}, err
	}
	byName := make(map[string]File, len(have))
	for _, h := range have {
		byName[h.Path] = h
	}
	var size int64
	pieces := make([]File, len(parts))
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
	r := &chain{ctx: ctx, store: f.store, rest: pieces}
	defer r.close()
	file, err := f.Put(ctx, root, p, r)
	if err != nil {
		return File{}, err
	}
	return file, f.DropParts(ctx, upload)
}

// DropParts forgets an upload.
func (f *Files) DropParts(ctx context.Context, upload string) error {
	_, err := f.Delete(ctx, partsRoot(upload), "")
	return err
}

// SweepParts forgets the parts of uploads that nobody completed, those older than before.
func (f *Files) SweepParts(ctx context.Context, before time.Time) (int64, error) {
	var n int64
	prefix := partsRoot("")
	err := f.db.Write(ctx, func(tx *db.Tx) (err error) {
		n, err = tx.Exec("DELETE FROM file WHERE root > ? AND root < ? AND created_at < ?", prefix, strings.TrimSuffix(prefix, "/")+"0", clock.Micros(before))
		return err
	})
	return n, err
}

// chain reads contents one behind the other, one open at a time.
type chain struct {
	ctx   context.Context //nolint:containedctx // lives as long as one Join
	store Store
	rest  []File
	open  io.ReadSeekCloser
}

func (c *chain) Read(p []byte) (int, error) {
	for {
		if c.open == nil {
			if len(c.rest) == 0 {
				return 0, io.EOF
			}
			r, err := c.store.Open(c.ctx, c.rest[0].Digest)
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
