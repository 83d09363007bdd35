package predlog

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

var errDamaged = errs.E(errs.Internal, "predlog.read", "a frame of the prediction log is damaged", nil)

// seal fills in the header of a frame.
func seal(frame []byte, stream uint32, at int64) {
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-typeAt))
	binary.LittleEndian.PutUint32(frame[streamAt:], stream)
	binary.LittleEndian.PutUint64(frame[timeAt:], uint64(at))
	binary.LittleEndian.PutUint32(frame[crcAt:], crc32.Checksum(frame[typeAt:], castagnoli()))
}

// castagnoli is the table of CRC32C; the standard library keeps one and gives it out again.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// frameAt gives the whole frame that begins b; ok is false when it is cut off or its checksum is wrong.
func frameAt(b []byte) (frame []byte, ok bool) {
	if len(b) < headerLen {
		return nil, false
	}
	n := int64(binary.LittleEndian.Uint32(b)) + typeAt
	if n < headerLen || n > maxFrame || n > int64(len(b)) {
		return nil, false
	}
	frame = b[:n]
	return frame, crc32.Checksum(frame[typeAt:], castagnoli()) == binary.LittleEndian.Uint32(frame[crcAt:])
}

func frameStream(f []byte) uint32 { return binary.LittleEndian.Uint32(f[streamAt:]) }
func frameTime(f []byte) int64    { return int64(binary.LittleEndian.Uint64(f[timeAt:])) }

// decoder reads a body; after a fault all reads give zero values and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of things of at least size bits each, which bounds what is allocated for them.
func (d *decoder) count(bits int) int {
	n := d.uvarint()
	if n > uint64(len(d.b))*8/uint64(bits) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	return string(d.take(int(n)))
}

func (d *decoder) id() (id ID) { copy(id[:], d.take(16)); return id }

// batchHead is the part of a prediction frame before its values.
type batchHead struct {
	rows       int
	role       Role
	status     Status
	err        string
	mirrors    int
	time       int64
	latency    time.Duration
	ids        []byte
	requestIDs []byte // nil: ids
}

func (h *batchHead) id(row int) (id ID) { copy(id[:], h.ids[row*16:]); return id }

func (h *batchHead) requestID(row int) (id ID) {
	if h.requestIDs == nil {
		return h.id(row)
	}
	copy(id[:], h.requestIDs[row*16:])
	return id
}

func decodeHead(d *decoder) (h batchHead, flags byte) {
	flags = d.byte()
	h.role, h.status = roles[min(int(flags&3), len(roles)-1)], OK
	h.rows = d.count(128)
	h.time = d.varint()
	h.latency = time.Duration(d.uvarint()) * time.Microsecond
	if flags&flagMirrored != 0 {
		h.mirrors = int(min(d.uvarint(), 64))
	}
	if flags&flagFailed != 0 {
		h.status, h.err = Failed, d.text()
	}
	h.ids = d.take(h.rows * 16)
	if flags&flagRequestIDs != 0 {
		h.requestIDs = d.take(h.rows * 16)
	}
	return h, flags
}

// decodeBatch reads the records of a prediction frame.
func decodeBatch(frame []byte, sc *Schema) ([]Record, error) {
	d := &decoder{b: frame[headerLen:]}
	h, flags := decodeHead(d)
	if d.bad {
		return nil, errDamaged
	}
	out := make([]Record, h.rows)
	at := time.UnixMicro(h.time).UTC()
	for i := range out {
		id := h.id(i).String()
		out[i] = Record{ID: id, RequestID: id, Schema: sc, Role: h.role, Time: at, EventTime: at, Latency: h.latency, Status: h.status, Error: h.err, Mirrors: h.mirrors}
		if h.requestIDs != nil {
			out[i].RequestID = h.requestID(i).String()
		}
	}
	if flags&flagEventTimes != 0 {
		for i := range out {
			if t := d.varint(); t != 0 {
				out[i].EventTime, out[i].EventTimeSet = time.UnixMicro(t).UTC(), true
			}
		}
	}
	if flags&flagKeys != 0 {
		for i := range out {
			out[i].Key = d.text()
		}
	}
	ins := d.columns(h.rows)
	outs := d.columns(h.rows)
	if d.bad {
		return nil, errDamaged
	}
	for i := range out {
		out[i].Inputs, out[i].Outputs = rowOf(ins, i), rowOf(outs, i)
	}
	return out, nil
}

func rowOf(cols [][]any, row int) []any {
	out := make([]any, len(cols))
	for i, c := range cols {
		out[i] = c[row]
	}
	return out
}

func (d *decoder) columns(rows int) [][]any {
	n := d.count(8)
	out := make([][]any, 0, min(n, 1024))
	for range n {
		c := d.column(rows)
		if d.bad {
			return nil
		}
		out = append(out, c)
	}
	return out
}

func (d *decoder) column(rows int) []any {
	head, width := d.byte(), 1
	if head&colWide != 0 {
		width = d.count(1)
	}
	n := rows * width
	var valid []byte
	if head&colValid != 0 {
		valid = d.take((n + 7) / 8)
	}
	if d.bad || n > len(d.b)*8 {
		d.bad = true
		return nil
	}
	kind := kinds[min(int(head&7), len(kinds)-1)]
	values := make([]any, n)
	var bits []byte
	if kind == Bool {
		bits = d.take((n + 7) / 8)
	}
	for i := range values {
		if d.bad {
			return nil
		}
		v := d.value(kind, head, bits, i)
		if valid == nil || valid[i/8]>>(i%8)&1 == 1 {
			values[i] = v
		}
	}
	if width == 1 || d.bad {
		return values
	}
	out := make([]any, rows)
	for i := range out {
		out[i] = values[i*width : (i+1)*width]
	}
	return out
}

// value reads one value; missing floats are nil.
func (d *decoder) value(kind Kind, head byte, bits []byte, i int) any {
	switch kind {
	case Float64:
		var f float64
		if head&colFloat32 != 0 {
			if p := d.take(4); p != nil {
				f = float64(math.Float32frombits(binary.LittleEndian.Uint32(p)))
			}
		} else if p := d.take(8); p != nil {
			f = math.Float64frombits(binary.LittleEndian.Uint64(p))
		}
		if math.IsNaN(f) {
			return nil
		}
		return f
	case Int64:
		return d.varint()
	case Datetime:
		return time.UnixMicro(d.varint()).UTC()
	case Bool:
		return i/8 < len(bits) && bits[i/8]>>(i%8)&1 == 1
	case String:
		return d.text()
	case Binary:
		return []byte(d.text())
	default:
		return json.RawMessage(d.text())
	}
}

// decodeLabels reads the labels of a label frame.
func decodeLabels(frame []byte, endpoint string) ([]Label, error) {
	d := &decoder{b: frame[headerLen:]}
	n := d.count(160)
	at := time.UnixMicro(d.varint()).UTC()
	out := make([]Label, 0, n)
	for range n {
		l := Label{PredictionID: d.id().String(), Endpoint: endpoint, Time: at, EventTime: at}
		flags := d.byte()
		l.Late, l.Replaced = flags&labelLate != 0, flags&labelReplaced != 0
		if t := d.varint(); t != 0 {
			l.EventTime, l.EventTimeSet = time.UnixMicro(t).UTC(), true
		}
		l.Key = d.text()
		raw := d.text()
		if d.bad || json.Unmarshal([]byte(raw), &l.Value) != nil {
			return nil, errDamaged
		}
		out = append(out, l)
	}
	return out, nil
}

// decodeStream reads a stream frame.
func decodeStream(frame []byte) (*Schema, error) {
	var sc Schema
	if err := json.Unmarshal(frame[headerLen:], &sc); err != nil {
		return nil, errDamaged
	}
	return &sc, nil
}
