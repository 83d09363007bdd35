package tracking

import (
	"cmp"
	"math"
	"math/bits"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/filter"
)

// bitmap is a set of row positions.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func fullBitmap(n int) bitmap {
	b := newBitmap(n)
	for i := range b {
		b[i] = ^uint64(0)
	}
	return b.trim(n)
}

// trim clears the bits behind the last row.
func (b bitmap) trim(n int) bitmap {
	if rest := n % 64; rest != 0 {
		b[len(b)-1] &= 1<<rest - 1
	}
	return b
}

func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitmap) and(o bitmap) {
	for i := range b {
		b[i] &= o[i]
	}
}

func (b bitmap) or(o bitmap) {
	for i := range b {
		b[i] |= o[i]
	}
}

func (b bitmap) not(n int) bitmap {
	for i := range b {
		b[i] = ^b[i]
	}
	return b.trim(n)
}

func (b bitmap) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// absentBits is the private NaN that stands for "no value", apart from a NaN that was logged.
const absentBits = 0x7ff84d4f_44594152

func absent() float64 { return math.Float64frombits(absentBits) }

func isAbsent(v float64) bool { return math.Float64bits(v) == absentBits }

// plain turns every NaN into the usual one, so that none is taken for absent.
func plain(v float64) float64 {
	if math.IsNaN(v) {
		return math.NaN()
	}
	return v
}

// column holds the values of one key for all rows, in one of four forms.
type column struct {
	nums  []float64            // numbers; absent() where there is none
	codes []uint32             // texts by their place in dict; 0 where there is none
	dict  *dictionary          // of codes and multi
	multi [][]uint32           // several texts a row: the datasets of a run
	text  func(row int) string // computed; every row has one
}

type dictionary struct {
	values []string // values[0] stands for none
	codes  map[string]uint32
	bytes  int
}

func newDictionary() *dictionary {
	return &dictionary{values: []string{""}, codes: map[string]uint32{}}
}

func (d *dictionary) code(s string) uint32 {
	c, ok := d.codes[s]
	if !ok {
		c = uint32(len(d.values)) //nolint:gosec // a column has less than 2^32 distinct values: they are dropped long before, see worn
		s = strings.Clone(s)
		d.values = append(d.values, s)
		d.codes[s] = c
		d.bytes += len(s) + 64
	}
	return c
}

func numberColumn(n int) *column {
	c := &column{nums: make([]float64, n)}
	for i := range c.nums {
		c.nums[i] = absent()
	}
	return c
}

func textColumn(n int) *column { return &column{codes: make([]uint32, n), dict: newDictionary()} }

func multiColumn(n int) *column { return &column{multi: make([][]uint32, n), dict: newDictionary()} }

// newColumn makes an empty column of the form that a key takes.
func newColumn(ref filter.Ref, n int) *column {
	switch {
	case ref.Entity == filter.Metric, ref == attribute("start_time"), ref == attribute("end_time"), ref == attribute(tookKey):
		return numberColumn(n)
	case ref.Entity == filter.Dataset:
		return multiColumn(n)
	}
	return textColumn(n)
}

func (c *column) grow() {
	switch {
	case c.nums != nil:
		c.nums = append(c.nums, absent())
	case c.codes != nil:
		c.codes = append(c.codes, 0)
	case c.multi != nil:
		c.multi = append(c.multi, nil)
	}
}

// worn reports whether the dictionary holds mostly texts that no row has any more.
func (c *column) worn() bool { return c.codes != nil && len(c.dict.values) > 2*len(c.codes)+1024 }

// bytes estimates the memory of a column.
func (c *column) bytes() int {
	n := 8*len(c.nums) + 4*len(c.codes) + 24*len(c.multi)
	for _, m := range c.multi {
		n += 4 * len(m)
	}
	if c.dict != nil {
		n += c.dict.bytes
	}
	return n + 128
}

// match gives the rows whose value passes a comparison. A value that is not there passes IS NULL alone.
func (c *column) match(n int, x *filter.Compare) bitmap {
	out := newBitmap(n)
	switch {
	case c.text != nil:
		pass := x.Texts()
		for i := range n {
			if x.Op != filter.IsNull && pass(c.text(i)) {
				out.set(i)
			}
		}
	case c.multi != nil:
		c.matchMulti(out, x)
	case c.codes != nil:
		c.matchTexts(out, x)
	default:
		c.matchNumbers(out, x)
	}
	return out
}

func (c *column) matchNumbers(out bitmap, x *filter.Compare) {
	switch x.Op {
	case filter.IsNull, filter.NotNull:
		for i, v := range c.nums {
			if isAbsent(v) == (x.Op == filter.IsNull) {
				out.set(i)
			}
		}
		return
	case filter.Ne, filter.In, filter.NotIn:
		pass := x.Numbers()
		for i, v := range c.nums {
			if !isAbsent(v) && pass(v) {
				out.set(i)
			}
		}
		return
	}
	lo, hi := x.Range()
	for i, v := range c.nums { // NaN, absent or logged, is in no range
		if v >= lo && v <= hi {
			out.set(i)
		}
	}
}

// verdicts tests every distinct text once.
func (c *column) verdicts(x *filter.Compare) []bool {
	pass, out := x.Texts(), make([]bool, len(c.dict.values))
	for code, s := range c.dict.values[1:] {
		out[code+1] = pass(s)
	}
	return out
}

func (c *column) matchTexts(out bitmap, x *filter.Compare) {
	switch x.Op {
	case filter.IsNull, filter.NotNull:
		for i, code := range c.codes {
			if (code == 0) == (x.Op == filter.IsNull) {
				out.set(i)
			}
		}
		return
	case filter.Eq:
		want := c.dict.codes[x.Text]
		for i, code := range c.codes {
			if code == want && code != 0 {
				out.set(i)
			}
		}
		return
	}
	ok := c.verdicts(x)
	for i, code := range c.codes {
		if ok[code] {
			out.set(i)
		}
	}
}

func (c *column) matchMulti(out bitmap, x *filter.Compare) {
	ok := c.verdicts(x)
	for i, codes := range c.multi {
		if x.Op == filter.IsNull || x.Op == filter.NotNull {
			if (len(codes) == 0) == (x.Op == filter.IsNull) {
				out.set(i)
			}
			continue
		}
		for _, code := range codes {
			if ok[code] {
				out.set(i)
				break
			}
		}
	}
}

// The ranks of values in a sort: those that are not there come last, NaN before them, whatever the direction.
const (
	rankValue = iota
	rankNaN
	rankAbsent
)

func (c *column) rank(i int) int {
	switch {
	case c.text != nil:
		return rankValue
	case c.nums == nil:
		if c.codes[i] == 0 {
			return rankAbsent
		}
		return rankValue
	case c.nums[i] == c.nums[i]: //nolint:gocritic // not NaN, faster than math.IsNaN and two calls
		return rankValue
	case isAbsent(c.nums[i]):
		return rankAbsent
	}
	return rankNaN
}

// textAt is the part of a text that counts in a sort.
func (c *column) textAt(i int) string {
	var s string
	if c.text != nil {
		s = c.text(i)
	} else {
		s = c.dict.values[c.codes[i]]
	}
	return s[:min(len(s), sortedText)]
}

// compare orders two rows by this column.
func (c *column) compare(a, b int, desc bool) int {
	if c.nums != nil {
		if x, y := c.nums[a], c.nums[b]; x < y {
			return sign(-1, desc)
		} else if x > y {
			return sign(1, desc)
		} else if x == y {
			return 0
		}
	} else if c.codes != nil && c.codes[a] == c.codes[b] {
		return 0
	}
	if d := cmp.Compare(c.rank(a), c.rank(b)); d != 0 || c.nums != nil || c.rank(a) != rankValue {
		return d
	}
	return sign(strings.Compare(c.textAt(a), c.textAt(b)), desc)
}

func sign(d int, desc bool) int {
	if desc {
		return -d
	}
	return d
}
