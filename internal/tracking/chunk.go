package tracking

import (
	"encoding/binary"
	"math"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// chunkTarget is how many points a merged chunk holds at least; see mergeChunks in store_metric.go.
const chunkTarget = 1024

// The formats of a chunk, its first byte. Steps are zigzag varints of differences, times of differences of differences, values follow
// as float32 when all of them are exact in it (or NaN), else as float64, little endian.
const (
	chunk32 byte = 1
	chunk64 byte = 2
)

// encodeChunk packs points in their order.
func encodeChunk(points []Point) []byte {
	format := chunk32
	for _, p := range points {
		if float64(float32(p.Value)) != p.Value && !math.IsNaN(p.Value) {
			format = chunk64
			break
		}
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen64+len(points)*10)
	b = append(b, format)
	b = binary.AppendUvarint(b, uint64(len(points)))
	var step, at, gap int64
	for _, p := range points {
		b = binary.AppendVarint(b, p.Step-step)
		step = p.Step
	}
	for _, p := range points {
		g := p.Time - at
		b = binary.AppendVarint(b, g-gap)
		at, gap = p.Time, g
	}
	for _, p := range points {
		if format == chunk32 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(p.Value)))
		} else {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.Value))
		}
	}
	return b
}

func errChunk(why string) error {
	return errs.E(errs.Internal, "tracking.decode_chunk", "a block of metric points is damaged: "+why, nil)
}

// decodeChunk appends the points of a chunk to out.
func decodeChunk(data []byte, out []Point) ([]Point, error) {
	if len(data) < 2 || (data[0] != chunk32 && data[0] != chunk64) {
		return out, errChunk("unknown format")
	}
	format, rest := data[0], data[1:]
	count, n := binary.Uvarint(rest)
	if n <= 0 || count > uint64(len(rest)) { // a point takes six bytes or more
		return out, errChunk("count")
	}
	rest = rest[n:]
	first := len(out)
	out = grow(out, int(count)) //nolint:gosec // no more than the bytes there are, see above
	var step int64
	for i := range out[first:] {
		d, n := binary.Varint(rest)
		if n <= 0 {
			return out[:first], errChunk("steps")
		}
		rest = rest[n:]
		step += d
		out[first+i].Step = step
	}
	var at, gap int64
	for i := range out[first:] {
		d, n := binary.Varint(rest)
		if n <= 0 {
			return out[:first], errChunk("times")
		}
		rest = rest[n:]
		gap += d
		at += gap
		out[first+i].Time = at
	}
	width := 8
	if format == chunk32 {
		width = 4
	}
	if len(rest) != int(count)*width {
		return out[:first], errChunk("values")
	}
	for i := range out[first:] {
		v := rest[i*width:]
		if format == chunk32 {
			out[first+i].Value = float64(math.Float32frombits(binary.LittleEndian.Uint32(v)))
		} else {
			out[first+i].Value = math.Float64frombits(binary.LittleEndian.Uint64(v))
		}
	}
	return out, nil
}

// grow makes n more points, twice the room when there is too little: append would copy a long history many times.
func grow(points []Point, n int) []Point {
	if len(points)+n > cap(points) {
		points = append(make([]Point, 0, max(len(points)+n, 2*cap(points))), points...)
	}
	return points[:len(points)+n]
}
