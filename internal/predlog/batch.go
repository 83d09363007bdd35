package predlog

import (
	"encoding/binary"
	"math"
	"time"
)

// Column holds the values of one field for all rows of a batch: rows times Width of them, row-major, in the slice of its kind
// (Datetime in Ints; Binary and JSON in Strings).
type Column struct {
	Kind    Kind
	Width   int // values a row; 0 means 1
	Floats  []float64
	Ints    []int64
	Strings []string
	Bools   []bool
	Valid   []bool // which values are present; nil means all. A Float64 column uses NaN instead
}

func (c *Column) width() int { return max(c.Width, 1) }

// Batch is the rows of one request, scored by one version. The log copies what it needs; the caller may reuse all slices.
type Batch struct {
	Role       Role
	Time       time.Time
	Latency    time.Duration // kept in whole microseconds
	Status     Status
	Error      string   // why it failed; at most 1 KiB is kept
	Mirrors    int      // how many other versions score the same rows off the request path
	IDs        []ID     // one a row
	RequestIDs []ID     // nil: the rows' own ids
	EventTimes []int64  // microseconds since 1970, 0 for none; nil: none given
	Keys       []string // nil: none given
	Inputs     []Column
	Outputs    []Column
}

// The types of frames.
const (
	streamFrame byte = 1 + iota
	predictionFrame
	labelFrame
)

// A frame is: length of what follows the checksum (4 bytes), CRC32C of it (4), type (1), stream (4), time of the write in µs (8), body.
// All numbers are little-endian.
const (
	headerLen  = 21
	crcAt      = 4
	typeAt     = 8
	streamAt   = 9
	timeAt     = 13
	maxFrame   = 256 << 20
	maxError   = 1024
	frameCells = 1 << 19 // values in one frame, about; larger requests take several
)

const (
	flagFailed byte = 1 << (iota + 2) // the low two bits are the role
	flagMirrored
	flagRequestIDs
	flagEventTimes
	flagKeys
)

var roles = [...]Role{Champion, Canary, Shadow}

func roleByte(r Role) byte {
	for i, known := range roles {
		if r == known {
			return byte(i)
		}
	}
	return 0
}

var kinds = [...]Kind{Float64, Int64, String, Bool, Datetime, Binary, JSON}

func kindByte(k Kind) byte {
	for i, known := range kinds {
		if k == known {
			return byte(i)
		}
	}
	return byte(len(kinds) - 1)
}

const (
	colValid byte = 1 << (iota + 3) // the low three bits are the kind
	colWide
	colFloat32
)

// appendBatch appends the frame of rows [lo, hi) with an empty header to b.
func appendBatch(b []byte, bt *Batch, lo, hi int) []byte {
	b = append(b, make([]byte, headerLen)...)
	b[len(b)-headerLen+typeAt] = predictionFrame
	flags := roleByte(bt.Role)
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(bt.Status == Failed, flagFailed)
	set(bt.Mirrors > 0, flagMirrored)
	set(bt.RequestIDs != nil, flagRequestIDs)
	set(bt.EventTimes != nil, flagEventTimes)
	set(bt.Keys != nil, flagKeys)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(hi-lo))
	b = binary.AppendVarint(b, bt.Time.UnixMicro())
	b = binary.AppendUvarint(b, uint64(max(bt.Latency.Microseconds(), 0)))
	if bt.Mirrors > 0 {
		b = binary.AppendUvarint(b, uint64(bt.Mirrors))
	}
	if bt.Status == Failed {
		b = appendText(b, bt.Error[:min(len(bt.Error), maxError)])
	}
	for i := lo; i < hi; i++ {
		b = append(b, bt.IDs[i][:]...)
	}
	if bt.RequestIDs != nil {
		for i := lo; i < hi; i++ {
			b = append(b, bt.RequestIDs[i][:]...)
		}
	}
	if bt.EventTimes != nil {
		for _, t := range bt.EventTimes[lo:hi] {
			b = binary.AppendVarint(b, t)
		}
	}
	if bt.Keys != nil {
		for _, k := range bt.Keys[lo:hi] {
			b = appendText(b, k)
		}
	}
	b = appendColumns(b, bt.Inputs, lo, hi)
	return appendColumns(b, bt.Outputs, lo, hi)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendColumns(b []byte, cols []Column, lo, hi int) []byte {
	b = binary.AppendUvarint(b, uint64(len(cols)))
	for i := range cols {
		b = appendColumn(b, &cols[i], lo*cols[i].width(), hi*cols[i].width())
	}
	return b
}

func appendColumn(b []byte, c *Column, lo, hi int) []byte {
	head := kindByte(c.Kind)
	if c.Kind != Float64 && c.Valid != nil {
		head |= colValid
	}
	if c.width() > 1 {
		head |= colWide
	}
	if c.Kind == Float64 && allFloat32(c.Floats[lo:hi]) {
		head |= colFloat32
	}
	b = append(b, head)
	if head&colWide != 0 {
		b = binary.AppendUvarint(b, uint64(c.width()))
	}
	if head&colValid != 0 {
		b = appendBits(b, c.Valid[lo:hi])
	}
	switch c.Kind {
	case Float64:
		for _, f := range c.Floats[lo:hi] {
			if head&colFloat32 != 0 {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
			} else {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
			}
		}
	case Int64, Datetime:
		for _, n := range c.Ints[lo:hi] {
			b = binary.AppendVarint(b, n)
		}
	case Bool:
		b = appendBits(b, c.Bools[lo:hi])
	default:
		for _, s := range c.Strings[lo:hi] {
			b = appendText(b, s)
		}
	}
	return b
}

// allFloat32 reports whether four bytes a value lose nothing; a NaN means missing and needs no payload.
func allFloat32(fs []float64) bool {
	for _, f := range fs {
		if float64(float32(f)) != f && f == f {
			return false
		}
	}
	return true
}

func appendBits(b []byte, bits []bool) []byte {
	at := len(b)
	b = append(b, make([]byte, (len(bits)+7)/8)...)
	for i, on := range bits {
		if on {
			b[at+i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// labelRow is one label on its way to the log.
type labelRow struct {
	id         ID
	key        string
	value      string // JSON
	eventTime  int64  // µs; 0: none given
	late, repl bool
}

const (
	labelLate byte = 1 << iota
	labelReplaced
)

// appendLabels appends the frame of labels with an empty header to b.
func appendLabels(b []byte, at time.Time, rows []labelRow) []byte {
	b = append(b, make([]byte, headerLen)...)
	b[len(b)-headerLen+typeAt] = labelFrame
	b = binary.AppendUvarint(b, uint64(len(rows)))
	b = binary.AppendVarint(b, at.UnixMicro())
	for _, r := range rows {
		b = append(b, r.id[:]...)
		flags := byte(0)
		if r.late {
			flags |= labelLate
		}
		if r.repl {
			flags |= labelReplaced
		}
		b = append(b, flags)
		b = binary.AppendVarint(b, r.eventTime)
		b = appendText(b, r.key)
		b = appendText(b, r.value)
	}
	return b
}
