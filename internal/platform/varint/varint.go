// Package varint reads what was written as variable-length numbers, texts and single bytes, without trusting it.
package varint

import "encoding/binary"

// Reader takes values from the front of B. After a fault all reads give zero values and Bad is set, so that a caller looks once, at the end.
type Reader struct {
	B   []byte
	Bad bool
}

func (r *Reader) fail() { r.Bad, r.B = true, nil }

// Take gives the next n bytes, nil when there are fewer.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.fail()
		return nil
	}
	out := r.B[:n]
	r.B = r.B[n:]
	return out
}

// Byte gives one byte.
func (r *Reader) Byte() byte {
	if p := r.Take(1); p != nil {
		return p[0]
	}
	return 0
}

// Uint64 gives eight bytes, the lowest first, as a number.
func (r *Reader) Uint64() uint64 {
	if p := r.Take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Uvarint gives a number of variable length.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Varint gives a number of variable length that may be negative.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Count gives a number of things of at least bits bits each, which bounds what is allocated for them.
func (r *Reader) Count(bits int) int {
	n := r.Uvarint()
	if n > uint64(len(r.B))*8/uint64(bits) {
		r.fail()
		return 0
	}
	return int(n)
}

// Text gives a text that has its length before it.
func (r *Reader) Text() string { return string(r.Take(r.Count(8))) }
