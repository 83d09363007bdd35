package predlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// magic begins every segment.
const magic = "MYPLOG1\n"

// markEvery is the distance of the time marks of a segment, in bytes: how much is read in vain to find one prediction.
const markEvery = 64 << 10

// mark says that the frame at off was written at that time (µs).
type mark struct{ at, off int64 }

// segment is one file of the log. seq rises without gaps being promised; start is the time of its first frame in µs.
type segment struct {
	seq   uint32
	start int64

	mu      sync.RWMutex // guards what follows; the index of a closed segment is loaded when asked for and may be dropped again
	loaded  bool
	closed  bool
	size    int64               // bytes that may be read
	streams []*Schema           // by number
	frames  map[string][]uint32 // offsets of the frames of an endpoint
	marks   []mark
}

func newSegment(seq uint32, start int64) *segment {
	return &segment{seq: seq, start: start, loaded: true, size: int64(len(magic)), frames: map[string][]uint32{}}
}

func (g *segment) name() string { return fmt.Sprintf("%08x-%016x.log", g.seq, g.start) }

func parseSegment(name string) (*segment, bool) {
	stem, ok := strings.CutSuffix(name, ".log")
	a, b, cut := strings.Cut(stem, "-")
	if !ok || !cut || len(a) != 8 || len(b) != 16 {
		return nil, false
	}
	seq, err1 := strconv.ParseUint(a, 16, 32)
	start, err2 := strconv.ParseInt(b, 16, 64)
	return &segment{seq: uint32(seq), start: start, closed: true}, err1 == nil && err2 == nil
}

// note takes a frame at an offset into the index. The caller holds mu.
func (g *segment) note(off int64, typ byte, stream uint32, at int64, sc *Schema) {
	switch typ {
	case streamFrame:
		g.streams = append(g.streams, sc)
	default:
		if int(stream) < len(g.streams) {
			e := g.streams[stream].Endpoint
			g.frames[e] = append(g.frames[e], uint32(off))
		}
	}
	if n := len(g.marks); n == 0 || off-g.marks[n-1].off >= markEvery {
		g.marks = append(g.marks, mark{at, off})
	}
}

// load reads a closed segment from start to end, checking every frame, and builds its index. A torn or damaged tail ends the segment;
// what lies behind it is never read.
func (g *segment) load(root *os.Root) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loaded {
		return nil
	}
	f, err := root.Open(g.name())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	g.frames, g.streams, g.marks, g.size = map[string][]uint32{}, nil, nil, int64(len(magic))
	r := &fileReader{f: f}
	if head, err := r.at(0, len(magic)); err != nil || string(head) != magic {
		g.size, g.loaded = 0, true
		return nil
	}
	for {
		frame, err := r.frame(g.size)
		if err != nil {
			if errors.Is(err, errDamaged) || errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		var sc *Schema
		if frame[typeAt] == streamFrame {
			if sc, err = decodeStream(frame); err != nil {
				break
			}
		}
		g.note(g.size, frame[typeAt], frameStream(frame), frameTime(frame), sc)
		g.size += int64(len(frame))
	}
	g.loaded = true
	return nil
}

// drop forgets the index of a closed segment.
func (g *segment) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.loaded, g.streams, g.frames, g.marks = false, nil, nil, nil
	}
}

// view is a consistent look at a segment's index.
type view struct {
	loaded  bool
	size    int64
	closed  bool
	streams []*Schema
	frames  []uint32 // of one endpoint, or nil when all are wanted
	marks   []mark
}

// look gives the index as it is now; slices only ever grow behind what is seen.
func (g *segment) look(endpoint string) view {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return view{loaded: g.loaded, size: g.size, closed: g.closed, streams: g.streams, frames: g.frames[endpoint], marks: g.marks}
}

// from is the offset of the last mark written before at: a frame written at that time or later begins there or behind it.
func (v *view) from(at int64) int64 {
	i := sort.Search(len(v.marks), func(i int) bool { return v.marks[i].at >= at })
	if i == 0 {
		return int64(len(magic))
	}
	return v.marks[i-1].off
}

// fileReader reads frames of one file through a window that moves forward. The window starts small and doubles, since a follower mostly
// reads the one frame that was just written.
type fileReader struct {
	f      *os.File
	buf    []byte
	off    int64 // of buf in the file
	window int
}

const (
	firstWindow = 4 << 10
	lastWindow  = 256 << 10
)

// rewind forgets what was read: the bytes behind the end of the log may have been written since.
func (r *fileReader) rewind() { r.buf, r.window = r.buf[:0], 0 }

// at gives n bytes at an offset; they are valid until the next call.
func (r *fileReader) at(off int64, n int) ([]byte, error) {
	if off < r.off || off+int64(n) > r.off+int64(len(r.buf)) {
		r.window = min(max(2*r.window, firstWindow), lastWindow)
		want := max(n, r.window)
		if cap(r.buf) < want {
			r.buf = make([]byte, want)
		}
		m, err := r.f.ReadAt(r.buf[:want], off)
		r.buf, r.off = r.buf[:m], off
		if m < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.EOF
			}
			return nil, err
		}
	}
	i := off - r.off
	return r.buf[i : i+int64(n)], nil
}

// frame gives the frame at an offset: io.EOF when it is cut off, errDamaged when its checksum is wrong.
func (r *fileReader) frame(off int64) ([]byte, error) {
	head, err := r.at(off, headerLen)
	if err != nil {
		return nil, err
	}
	n := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16 | int64(head[3])<<24
	if n += typeAt; n < headerLen || n > maxFrame {
		return nil, errDamaged
	}
	whole, err := r.at(off, int(n))
	if err != nil {
		return nil, err
	}
	frame, ok := frameAt(whole)
	if !ok {
		return nil, errDamaged
	}
	return frame, nil
}
