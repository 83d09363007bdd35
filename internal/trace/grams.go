package trace

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// Every block of spans has a filter of Bloom's kind (CACM 13/7, 1970) of the three-byte sequences of its text in lower case, and of its
// attributes as whole words. It says for certain that a text or an attribute is not there; that it is there it says wrongly now and then,
// so what it lets through is read.

const (
	maxGramBits = 1 << 16
	minGramBits = 1 << 9
	maxWord     = 256 // bytes; longer values have no word of their own
)

// spread turns three bytes into a position; the constant is that of Knuth's multiplicative hashing.
func spread(a, b, c byte) uint32 {
	return (uint32(a)<<16 | uint32(b)<<8 | uint32(c)) * 2654435761 >> 16
}

// word gives the four positions of a key, or of a key with its value. FNV-1a, so that they are the same in every process.
func word(key, value string, whole bool) (out [4]uint16) {
	h := uint64(14695981039346656037)
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no UTF-8 has it: an end
	}
	add(key)
	if whole {
		add(value)
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	for i := range out {
		out[i] = uint16(h >> (16 * i))
	}
	return out
}

// sieve is a filter being filled: as large as it can be of use for a text.
type sieve struct {
	bits [maxGramBits / 64]uint64
	n    uint32 // bits in use, a power of two
}

func (s *sieve) set(at uint32) {
	at &= s.n - 1
	s.bits[at>>6] |= 1 << (at & 63)
}

// gramMaker makes filters. It keeps the space that they are filled in. Safe for concurrent use.
type gramMaker struct{ pool sync.Pool }

// of makes the filter of a block: of its JSON and of its spans' attributes.
func (m *gramMaker) of(raw []byte, spans []Span) []byte {
	s, ok := m.pool.Get().(*sieve)
	if !ok {
		s = &sieve{}
	}
	defer m.pool.Put(s)
	s.n = uint32(min(maxGramBits, max(minGramBits, 1<<bits.Len(uint(4*len(raw))))))
	clear(s.bits[:s.n/64])
	text := bytes.ToLower(raw)
	for i := 0; i+2 < len(text); i++ {
		s.set(spread(text[i], text[i+1], text[i+2]))
	}
	for i := range spans {
		for _, a := range spans[i].Attributes {
			for _, at := range word(a.Key, "", false) {
				s.set(uint32(at))
			}
			if v := plain(a.Value); len(v) <= maxWord {
				for _, at := range word(a.Key, v, true) {
					s.set(uint32(at))
				}
			}
		}
	}
	return s.fold()
}

// fold halves the filter while it stays at most a quarter full: positions are taken modulo its size.
func (s *sieve) fold() []byte {
	b := s.bits[:s.n/64]
	for len(b)*64 > minGramBits {
		half := len(b) / 2
		n := 0
		for i := range half {
			n += bits.OnesCount64(b[i] | b[i+half])
		}
		if n*4 > half*64 {
			break
		}
		for i := range half {
			b[i] |= b[i+half]
		}
		b = b[:half]
	}
	out := make([]byte, 0, len(b)*8)
	for _, w := range b {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// holds reports whether all positions may be there.
func holds(grams []byte, at []uint32) bool {
	mask := uint32(len(grams)*8 - 1)
	for _, a := range at {
		if a &= mask; grams[a>>3]&(1<<(a&7)) == 0 {
			return false
		}
	}
	return true
}

// need is what must be in the blocks of a trace that can pass a filter; it has the shape of the filter.
type need interface {
	may(blocks [][]byte) bool
}

type (
	needAll []need       // every part, each in some block
	needAny []need       // one part
	needOne [][][]uint32 // in one block: of each comparison, one of its alternatives
)

func (n needAll) may(blocks [][]byte) bool {
	for _, p := range n {
		if !p.may(blocks) {
			return false
		}
	}
	return true
}

func (n needAny) may(blocks [][]byte) bool {
	return slices.ContainsFunc(n, func(p need) bool { return p.may(blocks) })
}

func (n needOne) may(blocks [][]byte) bool {
	return slices.ContainsFunc(blocks, func(b []byte) bool {
		for _, alternatives := range n {
			if !slices.ContainsFunc(alternatives, func(at []uint32) bool { return holds(b, at) }) {
				return false
			}
		}
		return true
	})
}

// needOf is what a filter needs; nil when a trace may pass whatever its spans hold.
func needOf(n node) need {
	switch n := n.(type) {
	case *andNode:
		var all needAll
		var one needOne
		for _, p := range n.parts {
			if c, ok := p.(*compare); ok && onSpan(c) {
				if alt := c.alternatives(); alt != nil {
					one = append(one, alt)
				}
			} else if part := needOf(p); part != nil {
				all = append(all, part)
			}
		}
		if one != nil {
			all = append(all, one)
		}
		if all != nil {
			return all
		}
	case *orNode:
		var parts needAny
		for _, p := range n.parts {
			part := needOf(p)
			if part == nil {
				return nil
			}
			parts = append(parts, part)
		}
		return parts
	case *compare:
		if alt := n.alternatives(); onSpan(n) && alt != nil {
			return needOne{alt}
		}
	}
	return nil
}

// alternatives are the positions that a comparison of a span needs, of which one set must be there; nil when it needs nothing.
func (c *compare) alternatives() [][]uint32 {
	if !onSpan(c) || c.Op == filter.IsNull {
		return nil
	}
	var base []uint32
	key, isAttr := strings.CutPrefix(c.Ref.Key, "attributes.")
	isAttr = isAttr && c.Ref.Entity == ofSpan
	if isAttr {
		base = appendWord(base, word(key, "", false))
	}
	value := func(v string) []uint32 {
		if isAttr && len(v) <= maxWord {
			return appendWord(slices.Clip(base), word(key, v, true))
		}
		return appendGrams(slices.Clip(base), v)
	}
	switch c.Op {
	case filter.Eq:
		return [][]uint32{value(c.Text)}
	case filter.In:
		out := make([][]uint32, len(c.List))
		for i, v := range c.List {
			out[i] = value(v)
		}
		return out
	case filter.Like, filter.ILike:
		at := slices.Clip(base)
		for _, literal := range strings.FieldsFunc(c.Text, func(r rune) bool { return r == '%' || r == '_' }) {
			at = appendGrams(at, literal)
		}
		base = at
	}
	if len(base) == 0 {
		return nil
	}
	return [][]uint32{base}
}

func appendWord(at []uint32, w [4]uint16) []uint32 {
	for _, a := range w {
		at = append(at, uint32(a))
	}
	return at
}

// appendGrams adds the positions of the parts of a text that stand in a span's JSON as they are: what JSON writes otherwise cuts it.
func appendGrams(at []uint32, text string) []uint32 {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '"' || r == '\\' || r < ' ' || r == utf8.RuneError }) {
		part = strings.ToLower(part)
		for i := 0; i+2 < len(part); i++ {
			at = append(at, spread(part[i], part[i+1], part[i+2]))
		}
	}
	return at
}

// canonical rewrites JSON so that texts that are the same have the same bytes: characters that need no escape have none.
func canonical(raw []byte) []byte {
	at := bytes.IndexByte(raw, '\\')
	if at < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:at]...)
	for i := at; i < len(raw); {
		if raw[i] != '\\' || i+1 >= len(raw) {
			out = append(out, raw[i])
			i++
			continue
		}
		switch {
		case raw[i+1] == '/':
			out = append(out, '/')
			i += 2
		case raw[i+1] == 'u':
			r, n := escaped(raw[i:])
			if r < ' ' || r == '"' || r == '\\' || r == utf8.RuneError {
				out = append(out, raw[i:i+n]...)
			} else {
				out = utf8.AppendRune(out, r)
			}
			i += n
		default:
			out = append(out, raw[i], raw[i+1])
			i += 2
		}
	}
	return out
}

// escaped reads \uXXXX, or two of them that are one character, and gives its length; RuneError for what is no character.
func escaped(b []byte) (rune, int) {
	unit := func(b []byte) (rune, bool) {
		if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
			return 0, false
		}
		r := rune(0)
		for _, c := range b[2:6] {
			switch {
			case c >= '0' && c <= '9':
				c -= '0'
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				c = c | 0x20 - 'a' + 10
			default:
				return 0, false
			}
			r = r<<4 | rune(c)
		}
		return r, true
	}
	r, ok := unit(b)
	switch {
	case !ok:
		return utf8.RuneError, min(2, len(b))
	case r < 0xd800 || r > 0xdfff:
		return r, 6
	}
	if low, ok := unit(b[6:]); ok && r < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
		return (r-0xd800)<<10 | (low - 0xdc00) + 0x10000, 12
	}
	return utf8.RuneError, 6
}
