package predlog

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/varint"
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

// decoder reads a body.
type decoder struct{ varint.Reader }

func bodyOf(frame []byte) *decoder { return &decoder{varint.Reader{B: frame[headerLen:]}} }

func (d *decoder) id() (id ID) { copy(id[:], d.Take(16)); return id }

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
	flags = d.Byte()
	h.role, h.status = roles[min(int(flags&3), len(roles)-1)], OK
	h.rows = d.Count(128)
	h.time = d.Varint()
	h.latency = time.Duration(d.Uvarint()) * time.Microsecond
	if flags&flagMirrored != 0 {
		h.mirrors = int(min(d.Uvarint(), 64))
	}
	if flags&flagFailed != 0 {
		h.status, h.err = Failed, d.Text()
	}
	h.ids = d.Take(h.rows * 16)
	if flags&flagRequestIDs != 0 {
		h.requestIDs = d.Take(h.rows * 16)
	}
	return h, flags
}

// decodeBatch reads the records of a prediction frame.
func decodeBatch(frame []byte, sc *Schema) ([]Record, error) {
	d := bodyOf(frame)
	h, flags := decodeHead(d)
	if d.Bad {
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
			if t := d.Varint(); t != 0 {
				out[i].EventTime, out[i].EventTimeSet = time.UnixMicro(t).UTC(), true
			}
		}
	}
	if flags&flagKeys != 0 {
		for i := range out {
			out[i].Key = d.Text()
		}
	}
	ins := d.columns(h.rows)
	outs := d.columns(h.rows)
	if d.Bad {
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
	n := d.Count(8)
	out := make([][]any, 0, min(n, 1024))
	for range n {
		c := d.column(rows)
		if d.Bad {
			return nil
		}
		out = append(out, c)
	}
	return out
}

func (d *decoder) column(rows int) []any {
	head, width := d.Byte(), 1
	if head&colWide != 0 {
		width = d.Count(1)
	}
	n := rows * width
	var valid []byte
	if head&colValid != 0 {
		valid = d.Take((n + 7) / 8)
	}
	if d.Bad || n > len(d.B)*8 {
		d.Bad = true
		return nil
	}
	kind := kinds[min(int(head&7), len(kinds)-1)]
	values := make([]any, n)
	var bits []byte
	if kind == Bool {
		bits = d.Take((n + 7) / 8)
	}
	for i := range values {
		if d.Bad {
			return nil
		}
		v := d.value(kind, head, bits, i)
		if valid == nil || valid[i/8]>>(i%8)&1 == 1 {
			values[i] = v
		}
	}
	if width == 1 || d.Bad {
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
			if p := d.Take(4); p != nil {
				f = float64(math.Float32frombits(binary.LittleEndian.Uint32(p)))
			}
		} else {
			f = math.Float64frombits(d.Uint64())
		}
		if math.IsNaN(f) {
			return nil
		}
		return f
	case Int64:
		return d.Varint()
	case Datetime:
		return time.UnixMicro(d.Varint()).UTC()
	case Bool:
		return i/8 < len(bits) && bits[i/8]>>(i%8)&1 == 1
	case String:
		return d.Text()
	case Binary:
		return []byte(d.Text())
	default:
		return json.RawMessage(d.Text())
	}
}

// decodeLabels reads the labels of a label frame.
func decodeLabels(frame []byte, endpoint string) ([]Label, error) {
	d := bodyOf(frame)
	n := d.Count(160)
	at := time.UnixMicro(d.Varint()).UTC()
	out := make([]Label, 0, n)
	for range n {
		l := Label{PredictionID: d.id().String(), Endpoint: endpoint, Time: at, EventTime: at}
		flags := d.Byte()
		l.Late, l.Replaced = flags&labelLate != 0, flags&labelReplaced != 0
		if t := d.Varint(); t != 0 {
			l.EventTime, l.EventTimeSet = time.UnixMicro(t).UTC(), true
		}
		l.Key = d.Text()
		raw := d.Text()
		if d.Bad || json.Unmarshal([]byte(raw), &l.Value) != nil {
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
