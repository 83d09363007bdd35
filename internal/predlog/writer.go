package predlog

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// maxGroup bounds the bytes of one grouped write, so that the first caller does not wait for all that come after.
const maxGroup = 8 << 20

// pauseAfterFailure is how long the log is left alone after a failed write: predictions must not each pay for a broken disk.
const pauseAfterFailure = time.Second

// call is a frame that waits to be written.
type call struct {
	frame  []byte
	stream *Stream
	err    error
	done   chan struct{}
}

// Stream is where the predictions of one version behind one endpoint go. Safe for concurrent use.
type Stream struct {
	s      *Service
	schema *Schema
	raw    []byte // the schema as the log keeps it
	stats  *versionStats

	segment *segment // the segment that knows the stream, and its number there; guarded by the writer's lead
	number  uint32
}

// writer is the one place where the log grows. It has no goroutine: whoever takes the lead writes for all who wait.
type writer struct {
	root    *os.Root
	clock   clock.Clock
	limit   int64
	lead    chan struct{}
	pool    sync.Pool // *call
	pending atomic.Pointer[error]

	mu     sync.Mutex
	queue  []*call
	closed bool

	// guarded by lead
	file    *os.File
	out     []byte
	retryAt time.Time
	lastErr error

	segMu    sync.RWMutex
	segments []*segment // by seq; the last may be open
	nextSeq  uint32

	syncMu  sync.Mutex
	dirty   []*os.File // ended segments that are not flushed yet; guarded by syncMu
	current *os.File   // guarded by syncMu
	written atomic.Int64
	synced  int64 // guarded by syncMu
}

func openWriter(dir string, c clock.Clock, limit int64) (*writer, error) {
	path := filepath.Join(dir, "predictions")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fail("predlog.open", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fail("predlog.open", err)
	}
	w := &writer{root: root, clock: c, limit: limit, lead: make(chan struct{}, 1)}
	w.pool.New = func() any { return &call{done: make(chan struct{}, 1)} }
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fail("predlog.open", err)
	}
	for _, e := range entries {
		if g, ok := parseSegment(e.Name()); ok {
			w.segments = append(w.segments, g)
		}
	}
	sort.Slice(w.segments, func(i, j int) bool { return w.segments[i].seq < w.segments[j].seq })
	w.nextSeq = 1
	if n := len(w.segments); n > 0 {
		w.nextSeq = w.segments[n-1].seq + 1
		return w, w.cutTail(w.segments[n-1])
	}
	return w, nil
}

// cutTail removes what a write that was broken off left at the end of the newest segment.
func (w *writer) cutTail(g *segment) error {
	if err := g.load(w.root); err != nil {
		return fail("predlog.open", err)
	}
	f, err := w.root.OpenFile(g.name(), os.O_RDWR, 0)
	if err != nil {
		return fail("predlog.open", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil || st.Size() == g.size || g.size == 0 {
		return fail("predlog.open", err)
	}
	if err := errors.Join(f.Truncate(g.size), f.Sync()); err != nil {
		return fail("predlog.open", err)
	}
	return nil
}

func fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errs.IsDiskFull(err):
		return errs.DiskFull(op, "the disk of the prediction log is full", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errs.E(errs.Unavailable, op, "the prediction log cannot be written", err).WithHint("check the permissions of the data folder and that the disk is not mounted read-only")
	}
	return errs.E(errs.Unavailable, op, "the prediction log failed", err).WithHint("check the disk of the data folder")
}

// append puts a frame into the log. It is in the kernel then, not yet on the disk.
func (w *writer) append(frame []byte, st *Stream) error {
	c := w.pool.Get().(*call)
	c.frame, c.stream, c.err = frame, st, nil
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errs.E(errs.Unavailable, "predlog.append", "the prediction log is closed", nil)
	}
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	for {
		select {
		case <-c.done:
			err := c.err
			c.frame, c.stream = nil, nil
			w.pool.Put(c)
			return err
		case w.lead <- struct{}{}:
			if batch := w.take(); len(batch) > 0 {
				w.write(batch)
			}
			<-w.lead
		}
	}
}

func (w *writer) take() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, bytes := 0, 0
	for n < len(w.queue) && (n == 0 || bytes+len(w.queue[n].frame) <= maxGroup) {
		bytes += len(w.queue[n].frame)
		n++
	}
	batch := w.queue[:n:n]
	if n == len(w.queue) {
		w.queue = nil
	} else {
		w.queue = append([]*call(nil), w.queue[n:]...)
	}
	return batch
}

// placed is a frame of the group that is being written, to be indexed once it is written.
type placed struct {
	off    int64
	typ    byte
	stream uint32
	schema *Schema
}

// write puts a group of frames into the open segment with one write. On failure the file is cut back to where it was, and all callers
// of the group get the error.
func (w *writer) write(batch []*call) {
	now := w.clock.Now()
	var err error
	for len(batch) > 0 && err == nil {
		var n int
		n, err = w.writeSome(batch, now)
		for _, c := range batch[:n] {
			c.done <- struct{}{}
		}
		batch = batch[n:]
	}
	for _, c := range batch {
		c.err = err
		c.done <- struct{}{}
	}
}

// writeSome writes as much of the group as the open segment takes.
func (w *writer) writeSome(batch []*call, now time.Time) (int, error) {
	if w.lastErr != nil && now.Before(w.retryAt) {
		return 0, w.lastErr
	}
	g, err := w.open(now)
	if err != nil {
		return 0, w.broken(now, err)
	}
	at, off, n := now.UnixMicro(), g.size, 0
	w.out = w.out[:0]
	var notes []placed
	for _, c := range batch {
		if n > 0 && off >= w.limit {
			break
		}
		if c.stream.segment != g {
			number := uint32(len(g.streams))
			for _, p := range notes {
				if p.typ == streamFrame {
					number++
				}
			}
			frame := append(make([]byte, headerLen), c.stream.raw...)
			frame[typeAt] = streamFrame
			seal(frame, number, at)
			w.out = append(w.out, frame...)
			notes = append(notes, placed{off, streamFrame, number, c.stream.schema})
			c.stream.segment, c.stream.number = g, number
			off += int64(len(frame))
		}
		seal(c.frame, c.stream.number, at)
		w.out = append(w.out, c.frame...)
		notes = append(notes, placed{off, c.frame[typeAt], c.stream.number, nil})
		off += int64(len(c.frame))
		n++
	}
	if _, err := w.file.WriteAt(w.out, g.size); err != nil {
		for _, c := range batch {
			if c.stream.segment == g {
				c.stream.segment = nil // its stream frame may be lost
			}
		}
		if terr := w.file.Truncate(g.size); terr != nil {
			w.retire(g) // what lies behind is a torn tail; go on in a new segment
		}
		return 0, w.broken(now, err)
	}
	g.mu.Lock()
	for _, p := range notes {
		g.note(p.off, p.typ, p.stream, at, p.schema)
	}
	g.size = off
	g.mu.Unlock()
	w.written.Add(int64(len(w.out)))
	if cap(w.out) > maxGroup {
		w.out = nil
	}
	w.lastErr = nil
	w.pending.Store(nil)
	return n, nil
}

func (w *writer) broken(now time.Time, err error) error {
	err = fail("predlog.append", err)
	w.lastErr, w.retryAt = err, now.Add(pauseAfterFailure)
	w.pending.Store(&err)
	return err
}

// open gives the segment that takes the next frame. A segment ends at its size or with the hour.
func (w *writer) open(now time.Time) (*segment, error) {
	if g := w.last(); g != nil && w.file != nil {
		if g.size < w.limit && g.start/hourMicros == now.UnixMicro()/hourMicros {
			return g, nil
		}
		w.retire(g)
	}
	g := newSegment(w.nextSeq, now.UnixMicro())
	f, err := w.root.OpenFile(g.name(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt([]byte(magic), 0); err != nil {
		_ = f.Close()
		_ = w.root.Remove(g.name())
		return nil, err
	}
	w.syncMu.Lock()
	w.current = f
	w.syncMu.Unlock()
	w.segMu.Lock()
	w.segments = append(w.segments, g)
	w.nextSeq++
	w.segMu.Unlock()
	w.file = f
	return g, nil
}

const hourMicros = int64(time.Hour / time.Microsecond)

// retire ends the open segment; its file is flushed and closed by the next flush.
func (w *writer) retire(g *segment) {
	w.syncMu.Lock()
	w.dirty = append(w.dirty, w.file)
	w.current = nil
	w.syncMu.Unlock()
	w.file = nil
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
}

func (w *writer) last() *segment {
	w.segMu.RLock()
	defer w.segMu.RUnlock()
	if len(w.segments) == 0 {
		return nil
	}
	return w.segments[len(w.segments)-1]
}

// list is the segments, oldest first.
func (w *writer) list() []*segment {
	w.segMu.RLock()
	defer w.segMu.RUnlock()
	return w.segments[:len(w.segments):len(w.segments)]
}

// flush brings everything that was appended before it to the disk. Callers that come meanwhile share the next flush.
func (w *writer) flush() error {
	want := w.written.Load()
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.synced >= want {
		return nil
	}
	upTo := w.written.Load()
	for len(w.dirty) > 0 {
		f := w.dirty[0]
		if err := f.Sync(); err != nil {
			return fail("predlog.flush", err)
		}
		_ = f.Close()
		w.dirty = w.dirty[1:]
	}
	if w.current != nil {
		if err := w.current.Sync(); err != nil {
			return fail("predlog.flush", err)
		}
	}
	w.synced = upTo
	return nil
}

// close flushes and ends the log.
func (w *writer) close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if already {
		return nil
	}
	w.lead <- struct{}{} // wait for the group that is being written
	for {
		batch := w.take()
		if len(batch) == 0 {
			break
		}
		w.write(batch)
	}
	if g := w.last(); g != nil && w.file != nil {
		w.retire(g)
	}
	<-w.lead
	return w.flushClosed()
}

func (w *writer) flushClosed() error {
	w.written.Add(1) // make the flush look
	return w.flush()
}

// Stream prepares the log for a version behind an endpoint. It does no I/O.
func (s *Service) Stream(sc Schema) *Stream {
	return s.stream(sc, s.stats.version(sc.Endpoint, sc.Version))
}

func (s *Service) stream(sc Schema, stats *versionStats) *Stream {
	raw, err := json.Marshal(sc)
	if err != nil { // strings and slices of strings always marshal
		raw = nil
	}
	return &Stream{s: s, schema: &sc, raw: raw, stats: stats}
}

// Schema is what the stream was made for; do not change it.
func (st *Stream) Schema() *Schema { return st.schema }

// Append logs the rows of a request. When it returns nil they are in the kernel. The error is Exhausted or Unavailable; what could not
// be logged is counted, and the caller goes on.
func (st *Stream) Append(_ context.Context, b *Batch) error {
	rows := len(b.IDs)
	st.stats.add(st.s.d.Clock.Now(), b, rows)
	step := rows
	if cells := cellsOf(b.Inputs) + cellsOf(b.Outputs); cells > frameCells && rows > 0 {
		step = max(1, int(int64(rows)*frameCells/int64(cells)))
	}
	for lo := 0; lo < rows; lo += step {
		hi := min(lo+step, rows)
		buf := st.s.buffers.Get().(*[]byte)
		*buf = appendBatch((*buf)[:0], b, lo, hi)
		err := st.put(*buf)
		if cap(*buf) <= 1<<20 {
			st.s.buffers.Put(buf)
		}
		if err != nil {
			st.s.metrics.dropped.Add(float64(rows - lo))
			return err
		}
		st.s.keys.add(st.schema.Endpoint, b, lo, hi)
	}
	st.s.metrics.appended.Add(float64(rows))
	st.s.wake(st.schema.Endpoint)
	return nil
}

func (st *Stream) put(frame []byte) error {
	if len(frame) > maxFrame {
		return errs.E(errs.Exhausted, "predlog.append", "the request is too large for the prediction log", nil)
	}
	return st.s.w.append(frame, st)
}

func cellsOf(cols []Column) int {
	n := 0
	for i := range cols {
		c := &cols[i]
		n += max(len(c.Floats), len(c.Ints), len(c.Strings), len(c.Bools))
	}
	return n
}
