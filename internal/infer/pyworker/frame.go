package pyworker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"unsafe"

	"github.com/modelyard/modelyard/internal/infer"
)

// The messages of worker.py: u32 header length, u64 payload length, header (JSON), payload (raw buffers).

const (
	prefixBytes = 12
	maxHeader   = 64 << 20
)

type wireColumn struct {
	Name   string     `json:"name"`
	Kind   infer.Kind `json:"kind"`
	Type   string     `json:"type,omitempty"` // as the signature declares it
	Tensor bool       `json:"tensor,omitempty"`
	Shape  []int      `json:"shape,omitempty"`
	Sizes  []int      `json:"sizes"` // of the buffers, in bytes
	Valid  bool       `json:"valid,omitempty"`
}

type request struct {
	ID      uint64         `json:"id"`
	Verb    string         `json:"verb"`
	Dir     string         `json:"dir,omitempty"`
	Mode    string         `json:"mode,omitempty"` // frame, array or arrays
	Warm    bool           `json:"warm,omitempty"`
	Rows    int            `json:"rows,omitempty"`
	Columns []wireColumn   `json:"columns,omitempty"`
	Params  map[string]any `json:"params,omitempty"`
}

type reply struct {
	ID      uint64       `json:"id"`
	Error   string       `json:"error"` // input, model or import
	Message string       `json:"message"`
	Class   string       `json:"class"`
	Trace   string       `json:"trace"`
	Rows    int          `json:"rows"`
	Array   bool         `json:"array"`
	Columns []wireColumn `json:"columns"`
	Extra   int          `json:"extra"` // how many columns, from the end, go beyond predict
	Note    string       `json:"note"`

	Python        string   `json:"python"`
	MLflow        string   `json:"mlflow"`
	ImportSeconds float64  `json:"import_seconds"`
	LoadSeconds   float64  `json:"load_seconds"`
	WarmSeconds   float64  `json:"warm_seconds"`
	RSS           int64    `json:"rss"`
	Notes         []string `json:"notes"`
	Classes       []string `json:"classes"`
}

// encodeFrame makes the columns of a predict request and their payload.
func encodeFrame(in *infer.Frame, specs []infer.Spec) ([]wireColumn, []byte, error) {
	columns := make([]wireColumn, len(in.Columns))
	var payload []byte
	for i := range in.Columns {
		c := &in.Columns[i]
		if !c.Kind.Valid() || c.Len() != in.Rows*c.Width() {
			return nil, nil, fmt.Errorf("column %q holds %d values of kind %q for %d rows", c.Name, c.Len(), c.Kind, in.Rows)
		}
		w := wireColumn{Name: c.Name, Kind: c.Kind, Shape: c.Shape}
		for k := range specs {
			if specs[k].Name == c.Name {
				w.Type, w.Tensor = specs[k].Type, specs[k].Batch != 0
			}
		}
		var sizes []int
		payload, sizes = appendValues(payload, c)
		if c.Valid != nil && c.Kind != infer.Float64 {
			w.Valid = true
			payload = appendBools(payload, c.Valid)
			sizes = append(sizes, len(c.Valid))
		}
		w.Sizes = sizes
		columns[i] = w
	}
	return columns, payload, nil
}

func appendValues(b []byte, c *infer.Column) ([]byte, []int) {
	switch c.Kind {
	case infer.Float64:
		b = slices.Grow(b, 8*len(c.Floats))
		for _, v := range c.Floats {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b, []int{8 * len(c.Floats)}
	case infer.Int64, infer.Datetime:
		b = slices.Grow(b, 8*len(c.Ints))
		for _, v := range c.Ints {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		return b, []int{8 * len(c.Ints)}
	case infer.Bool:
		return appendBools(b, c.Bools), []int{len(c.Bools)}
	default:
		at := uint64(0)
		b = binary.LittleEndian.AppendUint64(b, 0)
		for _, s := range c.Strings {
			at += uint64(len(s))
			b = binary.LittleEndian.AppendUint64(b, at)
		}
		b = slices.Grow(b, int(at))
		for _, s := range c.Strings {
			b = append(b, s...)
		}
		return b, []int{8 * (len(c.Strings) + 1), int(at)}
	}
}

func appendBools(b []byte, values []bool) []byte {
	for _, v := range values {
		bit := byte(0)
		if v {
			bit = 1
		}
		b = append(b, bit)
	}
	return b
}

// decodeOutput checks and reads the answer of a predict request. Nothing in it is trusted: a model can write to the
// socket as well.
func decodeOutput(r *reply, payload []byte) (*infer.Output, error) {
	if r.Rows < 0 || r.Rows > math.MaxInt32 || r.Extra < 0 || r.Extra > len(r.Columns) {
		return nil, fmt.Errorf("the worker answered %d rows and %d extra of %d columns", r.Rows, r.Extra, len(r.Columns))
	}
	out := &infer.Output{Rows: r.Rows, Array: r.Array}
	for i, w := range r.Columns {
		c, rest, err := decodeColumn(w, r.Rows, payload)
		if err != nil {
			return nil, fmt.Errorf("column %q of the worker's answer: %w", w.Name, err)
		}
		payload = rest
		if i < len(r.Columns)-r.Extra {
			out.Columns = append(out.Columns, c)
		} else {
			out.Extra = append(out.Extra, c)
		}
	}
	if len(payload) != 0 {
		return nil, fmt.Errorf("%d bytes too many in the worker's answer", len(payload))
	}
	return out, nil
}

func decodeColumn(w wireColumn, rows int, payload []byte) (infer.Column, []byte, error) {
	c := infer.Column{Name: w.Name, Kind: w.Kind}
	count := rows
	for _, d := range w.Shape {
		if d < 0 || (d > 0 && count > math.MaxInt32/d) {
			return c, nil, fmt.Errorf("shape %v", w.Shape)
		}
		count *= d
	}
	if len(w.Shape) > 0 {
		c.Shape = w.Shape
	}
	if !c.Kind.Valid() {
		return c, nil, fmt.Errorf("kind %q", w.Kind)
	}
	take := func(i, want int) ([]byte, error) {
		if i >= len(w.Sizes) || (want >= 0 && w.Sizes[i] != want) || w.Sizes[i] < 0 || w.Sizes[i] > len(payload) {
			return nil, fmt.Errorf("buffer sizes %v for %d values", w.Sizes, count)
		}
		b := payload[:w.Sizes[i]]
		payload = payload[w.Sizes[i]:]
		return b, nil
	}
	next := 1
	var err error
	switch c.Kind {
	case infer.Float64, infer.Int64, infer.Datetime:
		var b []byte
		if b, err = take(0, 8*count); err != nil {
			return c, nil, err
		}
		if c.Kind == infer.Float64 {
			c.Floats = make([]float64, count)
			for i := range c.Floats {
				c.Floats[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
			}
		} else {
			c.Ints = make([]int64, count)
			for i := range c.Ints {
				c.Ints[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
			}
		}
	case infer.Bool:
		var b []byte
		if b, err = take(0, count); err != nil {
			return c, nil, err
		}
		c.Bools = readBools(b)
	default:
		var offsets, data []byte
		if offsets, err = take(0, 8*(count+1)); err != nil {
			return c, nil, err
		}
		if data, err = take(1, -1); err != nil {
			return c, nil, err
		}
		if c.Strings, err = readStrings(offsets, data, count); err != nil {
			return c, nil, err
		}
		next = 2
	}
	if w.Valid {
		b, err := take(next, count)
		if err != nil {
			return c, nil, err
		}
		c.Valid = readBools(b)
	}
	return c, payload, nil
}

func readBools(b []byte) []bool {
	out := make([]bool, len(b))
	for i, v := range b {
		out[i] = v != 0
	}
	return out
}

func readStrings(offsets, data []byte, count int) ([]string, error) {
	text := ""
	if len(data) > 0 {
		text = unsafe.String(unsafe.SliceData(data), len(data)) // the payload is never written again
	}
	out := make([]string, count)
	from := uint64(0)
	for i := range out {
		to := binary.LittleEndian.Uint64(offsets[8*(i+1):])
		if to < from || to > uint64(len(data)) {
			return nil, fmt.Errorf("offset %d of text %d", to, i)
		}
		out[i] = text[from:to]
		from = to
	}
	return out, nil
}

func writeMessage(w io.Writer, req *request, payload []byte) error {
	header, err := json.Marshal(req)
	if err != nil {
		return err
	}
	b := make([]byte, 0, prefixBytes+len(header)+len(payload))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(payload)))
	b = append(append(b, header...), payload...)
	_, err = w.Write(b)
	return err
}

func readMessage(r io.Reader, limit int64) (*reply, []byte, error) {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, nil, err
	}
	headerSize, size := binary.LittleEndian.Uint32(prefix[:]), binary.LittleEndian.Uint64(prefix[4:])
	if headerSize > maxHeader || size > uint64(limit) {
		return nil, nil, fmt.Errorf("an answer of %d bytes, at most %d are taken", size, limit)
	}
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, nil, err
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, nil, err
	}
	var msg reply
	if err := json.Unmarshal(header, &msg); err != nil {
		return nil, nil, fmt.Errorf("the header of an answer: %w", err)
	}
	return &msg, payload, nil
}
