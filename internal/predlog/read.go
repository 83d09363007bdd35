package predlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// position is a place in the log: the offset of a frame in a segment.
type position struct {
	seq uint32
	off int64
}

func (p position) cursor() Cursor { return Cursor(fmt.Sprintf("%08x.%08x", p.seq, p.off)) }

func (c Cursor) position() (position, error) {
	if c == "" {
		return position{}, nil
	}
	a, b, ok := strings.Cut(string(c), ".")
	seq, err1 := strconv.ParseUint(a, 16, 32)
	off, err2 := strconv.ParseInt(b, 16, 64)
	if !ok || err1 != nil || err2 != nil || off < 0 {
		return position{}, errs.Invalidf("predlog.cursor", "%.64q is not a position of the prediction log", string(c))
	}
	return position{uint32(seq), off}, nil
}

// indexCache bounds how many closed segments keep their index in memory.
type indexCache struct {
	mu   sync.Mutex
	held []*segment // oldest use first
}

const maxIndexes = 8

func (c *indexCache) use(g *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.held, g); i >= 0 {
		c.held = slices.Delete(c.held, i, i+1)
	}
	c.held = append(c.held, g)
	if len(c.held) > maxIndexes {
		c.held[0].drop()
		c.held = slices.Delete(c.held, 0, 1)
	}
}

// look loads a segment's index if need be and gives what can be read of it.
func (s *Service) look(g *segment, endpoint string) (view, error) {
	for {
		v := g.look(endpoint)
		if v.loaded {
			if v.closed {
				s.cache.use(g)
			}
			return v, nil
		}
		if err := g.load(s.w.root); err != nil {
			return view{}, fail("predlog.read", err)
		}
	} // another reader may have dropped the index between the two: again
}

// reader opens each segment once while it lives.
type reader struct {
	s    *Service
	seq  uint32
	file *fileReader
}

func (r *reader) open(g *segment) (*fileReader, error) {
	if r.file != nil && r.seq == g.seq {
		return r.file, nil
	}
	r.close()
	f, err := r.s.w.root.Open(g.name())
	if err != nil {
		return nil, fail("predlog.read", err)
	}
	r.seq, r.file = g.seq, &fileReader{f: f}
	return r.file, nil
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.f.Close()
		r.file = nil
	}
}

// walk visits the frames of an endpoint ("" for all) from a position on, until visit says stop. It returns the position behind the last
// visited frame, or the end of what there is.
func (r *reader) walk(ctx context.Context, endpoint string, from position, visit func(g *segment, off int64, frame []byte, sc *Schema) (bool, error)) (position, error) {
	at := from
	for _, g := range r.s.w.list() {
		if g.seq < from.seq {
			continue
		}
		if g.seq > at.seq {
			at = position{g.seq, 0}
		}
		v, err := r.s.look(g, endpoint)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue // retention removed it
			}
			return at, err
		}
		next, stop, err := r.walkSegment(ctx, g, v, endpoint, at, visit)
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention removed it meanwhile
		}
		if err != nil || stop {
			return next, err
		}
		at = next
	}
	return at, nil
}

func (r *reader) walkSegment(ctx context.Context, g *segment, v view, endpoint string, at position, visit func(*segment, int64, []byte, *Schema) (bool, error)) (position, bool, error) {
	at.off = max(at.off, int64(len(magic)))
	if at.off >= v.size || endpoint != "" && len(v.frames) == 0 {
		at.off = max(at.off, v.size)
		return at, false, nil
	}
	f, err := r.open(g)
	if err != nil {
		return at, false, err
	}
	next := sort.Search(len(v.frames), func(i int) bool { return int64(v.frames[i]) >= at.off })
	for {
		if err := ctx.Err(); err != nil {
			return at, false, err
		}
		off := at.off
		if endpoint != "" {
			if next == len(v.frames) {
				at.off = v.size
				return at, false, nil
			}
			off = int64(v.frames[next])
			next++
		}
		if off >= v.size {
			return at, false, nil
		}
		frame, err := f.frame(off)
		if err != nil {
			return at, false, errs.E(errs.Internal, "predlog.read", "the prediction log cannot be read at "+string(position{g.seq, off}.cursor()), err)
		}
		n := frameStream(frame)
		at.off = off + int64(len(frame))
		if frame[typeAt] == streamFrame || int(n) >= len(v.streams) {
			continue
		}
		stop, err := visit(g, off, frame, v.streams[n])
		if err != nil || stop {
			return at, stop, err
		}
	}
}

// followBatch is how many entries a Handler gets at most, about.
const followBatch = 512

// Read gives at most about limit entries of an endpoint ("" for all endpoints) from a cursor on, without waiting, and where to go on. The
// rows of one request stay together.
func (s *Service) Read(ctx context.Context, endpoint string, from Cursor, limit int) ([]Entry, Cursor, error) {
	r := &reader{s: s}
	defer r.close()
	return r.read(ctx, endpoint, from, limit)
}

func (r *reader) read(ctx context.Context, endpoint string, from Cursor, limit int) ([]Entry, Cursor, error) {
	pos, err := from.position()
	if err != nil {
		return nil, from, err
	}
	if r.file != nil {
		r.file.rewind()
	}
	var out []Entry
	next, err := r.walk(ctx, endpoint, pos, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
		es, err := entriesOf(frame, sc)
		out = append(out, es...)
		return len(out) >= limit, err
	})
	if err != nil {
		return nil, from, err
	}
	if err := r.s.fillScored(ctx, out); err != nil {
		return nil, from, err
	}
	return out, next.cursor(), nil
}

func entriesOf(frame []byte, sc *Schema) ([]Entry, error) {
	if frame[typeAt] == labelFrame {
		ls, err := decodeLabels(frame, sc.Endpoint)
		out := make([]Entry, len(ls))
		for i := range ls {
			out[i].Label = &ls[i]
		}
		return out, err
	}
	rs, err := decodeBatch(frame, sc)
	out := make([]Entry, len(rs))
	for i := range rs {
		out[i].Record = &rs[i]
	}
	return out, err
}

// fillScored looks the scored records of labels up, in the log and then in the sealed hours. Those of hours that cannot be read are left out: the
// others go on.
func (s *Service) fillScored(ctx context.Context, entries []Entry) error {
	f := &finder{r: reader{s: s}}
	defer f.r.close()
	missing := map[string]map[ID][]*Label{} // by endpoint
	for _, e := range entries {
		if e.Label == nil {
			continue
		}
		id, err := ParseID(e.Label.PredictionID)
		if err != nil {
			continue
		}
		if e.Label.Scored, err = f.find(ctx, e.Label.Endpoint, id); err != nil {
			return err
		}
		if len(e.Label.Scored) == 0 {
			if missing[e.Label.Endpoint] == nil {
				missing[e.Label.Endpoint] = map[ID][]*Label{}
			}
			missing[e.Label.Endpoint][id] = append(missing[e.Label.Endpoint][id], e.Label)
		}
	}
	for endpoint, labels := range missing {
		unread, err := s.manySealed(ctx, endpoint, slices.Collect(maps.Keys(labels)), nil, func(id ID, rs []Record) {
			for _, l := range labels[id] {
				l.Scored = rs
			}
		})
		if err != nil {
			return err
		}
		if len(unread) > 0 {
			s.d.Log.Warn("labels go on without their predictions", "endpoint", endpoint, "labels", len(unread))
		}
	}
	return nil
}

// Follow tells fn of every prediction (shadow scores too) and every label of an endpoint ("" for all endpoints) from a cursor on, in
// order, then waits for more, until ctx ends (then it returns nil) or fn fails. fn gets about 512 entries at a time.
func (s *Service) Follow(ctx context.Context, endpoint string, from Cursor, fn Handler) error {
	r := &reader{s: s}
	defer r.close()
	for {
		grown := s.growth(endpoint)
		s.waiting.Add(1)
		entries, next, err := r.read(ctx, endpoint, from, followBatch)
		if err == nil && len(entries) == 0 {
			from = next
			select {
			case <-ctx.Done():
			case <-grown:
			}
		}
		s.waiting.Add(-1)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			if err := fn(ctx, entries, next); err != nil {
				return err
			}
			from = next
		}
	}
}

// End is the cursor behind the newest entry.
func (s *Service) End() Cursor {
	g := s.w.last()
	if g == nil {
		return ""
	}
	v, err := s.look(g, "")
	if err != nil {
		return position{g.seq, 0}.cursor()
	}
	return position{g.seq, v.size}.cursor()
}

// Scan tells of the entries of an endpoint ("" for all) written in [from, to) of wall time, in order. Labels come with their scored
// records.
func (s *Service) Scan(ctx context.Context, endpoint string, from, to time.Time, fn func(Entry) error) error {
	r := &reader{s: s}
	defer r.close()
	start, err := s.seek(from.UnixMicro())
	if err != nil {
		return err
	}
	lo, hi := from.UnixMicro(), to.UnixMicro()
	_, err = r.walk(ctx, endpoint, start, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
		switch at := frameTime(frame); {
		case at >= hi:
			return true, nil
		case at < lo:
			return false, nil
		}
		es, err := entriesOf(frame, sc)
		if err == nil {
			err = s.fillScored(ctx, es)
		}
		for _, e := range es {
			if err == nil {
				err = fn(e)
			}
		}
		return err != nil, err
	})
	return err
}

// seek is a position at or a little before the first frame written at that time (µs).
func (s *Service) seek(at int64) (position, error) {
	segs := s.w.list()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].start > at })
	if i == 0 {
		return position{}, nil
	}
	g := segs[i-1]
	v, err := s.look(g, "")
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return position{g.seq + 1, 0}, nil
		}
		return position{}, err
	}
	return position{g.seq, v.from(at)}, nil
}

// findSpan is how long after its id was made a prediction may have come into the log; ids are made just before.
const findSpan = 10 * time.Second

// shadowSpan is how long after the answer the other versions' scores of the row may come.
const shadowSpan = 30 * time.Second

// finder finds predictions by id; its reader keeps the window of the last search.
type finder struct{ r reader }

// find gives the records that scored a row, the answer first; none when the id is unknown. An empty endpoint means any.
func (f *finder) find(ctx context.Context, endpoint string, id ID) ([]Record, error) {
	return f.search(ctx, endpoint, id, true)
}

func (f *finder) search(ctx context.Context, endpoint string, id ID, shadows bool) ([]Record, error) {
	made := id.Time().UnixMicro()
	start, err := f.r.s.seek(made)
	if err != nil {
		return nil, err
	}
	var out []Record
	answered := int64(0)
	_, err = f.r.walk(ctx, endpoint, start, func(_ *segment, _ int64, frame []byte, sc *Schema) (bool, error) {
		at := frameTime(frame)
		if len(out) == 0 && at > made+findSpan.Microseconds() || len(out) > 0 && at > answered+shadowSpan.Microseconds() {
			return true, nil
		}
		if frame[typeAt] != predictionFrame || len(out) > 0 && sc.Endpoint != out[0].Schema.Endpoint {
			return false, nil
		}
		row := rowWith(frame, id, len(out) > 0)
		if row < 0 {
			return false, nil
		}
		rs, err := decodeBatch(frame, sc)
		if err != nil {
			return true, err
		}
		if len(out) == 0 {
			answered = at
		}
		out = append(out, rs[row])
		return !shadows || len(out) > out[0].Mirrors, nil
	})
	return out, err
}

// rowWith is the row of a frame with that id (or that request id), -1 when there is none. Only the head is decoded.
func rowWith(frame []byte, id ID, request bool) int {
	d := bodyOf(frame)
	h, _ := decodeHead(d)
	if d.Bad || request && h.requestIDs == nil {
		return -1
	}
	ids := h.ids
	if request {
		ids = h.requestIDs
	}
	for i := range h.rows {
		if ID(ids[i*16:i*16+16]) == id {
			return i
		}
	}
	return -1
}

// Find gives the records that scored a row, the answer first, and the other versions' scores of the same row behind it. It returns
// NotFound for an unknown id.
func (s *Service) Find(ctx context.Context, predictionID string) ([]Record, error) {
	id, err := ParseID(predictionID)
	if err != nil {
		return nil, err
	}
	f := &finder{r: reader{s: s}}
	defer f.r.close()
	out, err := f.find(ctx, "", id)
	if err == nil && len(out) == 0 {
		out, err = s.findSealed(ctx, id)
	}
	if err == nil && len(out) == 0 {
		err = errs.NotFoundf("predlog.find", "no prediction %s", predictionID)
	}
	return out, err
}
