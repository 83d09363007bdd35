package proc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// The log is a row of files, each named after the offset of its first byte in the whole output. The first takes half of
// the cap and stays; after it two files of a quarter each take turns, so that the tail is at least a quarter of the cap.

const logPrefix, logSuffix = "output-", ".log"

func segmentName(start int64) string { return fmt.Sprintf("%s%016d%s", logPrefix, start, logSuffix) }

// logWriter writes the output of a command into its state folder. It never fails: what can't be written is dropped.
type logWriter struct {
	dir     string
	cap     int64
	file    *os.File
	start   int64   // offset of the current segment
	size    int64   // bytes in the current segment
	tails   []int64 // starts of the tail segments that exist
	total   int64
	dropped int64
	kept    map[int64]int64 // bytes in each finished tail segment
	failed  error           // first write error
}

func newLogWriter(dir string, limit int64) (*logWriter, error) {
	w := &logWriter{dir: dir, cap: limit, kept: map[int64]int64{}}
	return w, w.open(0)
}

func (w *logWriter) open(start int64) error {
	f, err := os.OpenFile(filepath.Join(w.dir, segmentName(start)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w.file, w.start, w.size = f, start, 0
	return nil
}

// Write takes all of p, always.
func (w *logWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := w.cap/2 - w.size
		if w.start > 0 {
			room = w.cap/4 - w.size
		}
		if room <= 0 {
			if err := w.rotate(); err != nil {
				w.drop(p, err)
				return n, nil
			}
			continue
		}
		part := p[:min(int64(len(p)), room)]
		written := 0
		var err error
		if w.file == nil {
			err = w.rotate() // the disk was full; try again behind the gap
		}
		if err == nil {
			written, err = w.file.Write(part)
			w.size += int64(written)
			w.total += int64(written)
		}
		if err != nil {
			w.drop(p[written:], err)
			return n, nil
		}
		p = p[len(part):]
	}
	return n, nil
}

func (w *logWriter) drop(p []byte, err error) {
	w.total += int64(len(p))
	w.dropped += int64(len(p))
	if w.failed == nil {
		w.failed = err
	}
	if w.file != nil { // a later write would land at the wrong offset
		_ = w.file.Close()
		w.kept[w.start] = w.size
		w.file = nil
		if w.start > 0 && w.size > 0 {
			w.tails = append(w.tails, w.start)
		}
	}
	// Only the head may stay short; from here on tail segments follow.
	w.start, w.size = max(w.total, 1), 0
}

func (w *logWriter) rotate() error {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
		if w.start > 0 {
			w.kept[w.start] = w.size
			w.tails = append(w.tails, w.start)
		}
	}
	for len(w.tails) > 1 {
		old := w.tails[0]
		if err := os.Remove(filepath.Join(w.dir, segmentName(old))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.dropped += w.kept[old]
		delete(w.kept, old)
		w.tails = w.tails[1:]
	}
	return w.open(w.total)
}

func (w *logWriter) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}

// LogChunk is a piece of a command's output.
type LogChunk struct {
	// Dropped is how many bytes between the asked offset and Offset were not kept.
	Dropped int64
	// Offset is the place of Data's first byte in the whole output.
	Offset int64
	Data   []byte
	// Next is the offset to ask for next.
	Next int64
}

// ReadLog reads at most limit bytes (0: 256 KiB) of the output kept in a state folder, from an offset in the whole
// output. A negative offset counts from the end. An empty chunk means that there is nothing more yet.
func ReadLog(stateDir string, from int64, limit int) (LogChunk, error) {
	if limit <= 0 {
		limit = 256 << 10
	}
	for range 3 { // a tail file may be removed between listing and opening
		chunk, err := readLog(stateDir, from, limit)
		if !errors.Is(err, fs.ErrNotExist) {
			return chunk, err
		}
	}
	return LogChunk{Offset: max(from, 0), Next: max(from, 0)}, nil
}

type segment struct{ start, size int64 }

func readLog(stateDir string, from int64, limit int) (LogChunk, error) {
	segments, err := listSegments(stateDir)
	if err != nil {
		return LogChunk{}, err
	}
	if from < 0 {
		from = fromEnd(segments, -from)
	}
	for _, s := range segments {
		if from >= s.start+s.size {
			continue
		}
		at := max(from, s.start)
		f, err := os.Open(filepath.Join(stateDir, segmentName(s.start)))
		if err != nil {
			return LogChunk{}, err
		}
		data := make([]byte, min(int64(limit), s.start+s.size-at))
		n, err := f.ReadAt(data, at-s.start)
		_ = f.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return LogChunk{}, fmt.Errorf("read the log in %s: %w", stateDir, err)
		}
		return LogChunk{Dropped: at - from, Offset: at, Data: data[:n], Next: at + int64(n)}, nil
	}
	return LogChunk{Offset: from, Next: from}, nil
}

func fromEnd(segments []segment, n int64) int64 {
	for i := len(segments) - 1; i >= 0; i-- {
		s := segments[i]
		if n <= s.size {
			return s.start + s.size - n
		}
		n -= s.size
	}
	return 0
}

func listSegments(stateDir string) ([]segment, error) {
	entries, err := os.ReadDir(stateDir)
	if err != nil {
		return nil, err
	}
	var segments []segment
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), logPrefix)
		if !ok {
			continue
		}
		start, err := strconv.ParseInt(strings.TrimSuffix(digits, logSuffix), 10, 64)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		segments = append(segments, segment{start, info.Size()})
	}
	sort.Slice(segments, func(i, j int) bool { return segments[i].start < segments[j].start })
	return segments, nil
}

// Tail is the end of the output, at most limit bytes, cut at a line's beginning where that is possible; for messages.
func Tail(stateDir string, limit int) string {
	var b strings.Builder
	from := -int64(limit)
	for b.Len() < limit {
		chunk, err := ReadLog(stateDir, from, limit-b.Len())
		if err != nil || len(chunk.Data) == 0 {
			break
		}
		b.Write(chunk.Data)
		from = chunk.Next
	}
	text := strings.ToValidUTF8(b.String(), "\ufffd")
	if len(text) >= limit {
		if _, rest, ok := strings.Cut(text, "\n"); ok && rest != "" {
			text = rest
		}
	}
	return strings.TrimRight(text, "\n")
}
