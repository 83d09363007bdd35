package varint

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestReader(t *testing.T) {
	t.Parallel()
	b := binary.AppendUvarint(nil, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = append(binary.AppendUvarint(b, 2), "hi"...)
	b = append(binary.LittleEndian.AppendUint64(b, 7), 9, 1, 0)
	r := Reader{B: b}
	if u, v, s, w, c, n := r.Uvarint(), r.Varint(), r.Text(), r.Uint64(), r.Byte(), r.Count(8); u != math.MaxUint64 || v != math.MinInt64 || s != "hi" || w != 7 || c != 9 || n != 1 || r.Bad {
		t.Error(u, v, s, w, c, n, r.Bad)
	}
	for name, read := range map[string]func(r *Reader) bool{
		"a number that never ends":    func(r *Reader) bool { r.B = []byte{0x80, 0x80}; return r.Uvarint() == 0 && r.Varint() == 0 },
		"a longer text than there is": func(r *Reader) bool { r.B = []byte{5, 'a'}; return r.Text() == "" },
		"more things than fit":        func(r *Reader) bool { r.B = []byte{200, 1, 0}; return r.Count(8) == 0 },
		"a huge length":               func(r *Reader) bool { r.B = binary.AppendUvarint(nil, math.MaxUint64); return r.Text() == "" },
		"a negative length":           func(r *Reader) bool { return r.Take(-1) == nil },
		"nothing":                     func(r *Reader) bool { return r.Byte() == 0 && r.Uint64() == 0 },
	} {
		r := &Reader{B: []byte{}}
		if !read(r) || !r.Bad || len(r.B) != 0 {
			t.Errorf("%s: %+v", name, *r)
		}
	}
}
