package table

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// Type is the type of a column's values.
type Type string

// The types a column can have.
const (
	Float  Type = "float64"
	Int    Type = "int64"
	String Type = "string"
	Bool   Type = "bool"
	Time   Type = "time" // UTC, microseconds
)

// Valid reports whether t is a known type.
func (t Type) Valid() bool {
	switch t {
	case Float, Int, String, Bool, Time:
		return true
	}
	return false
}

// Numeric reports whether t is Float or Int.
func (t Type) Numeric() bool { return t == Float || t == Int }

// bitmap holds one bit a row; nil means that all are set.
type bitmap []uint64

func (b bitmap) get(i int) bool { return b == nil || b[i>>6]>>(i&63)&1 == 1 }

// Column is a named sequence of values of one type. It does not change once it is in a Frame; the slices it gives out are not to
// be changed.
type Column struct {
	name    string
	kind    Type
	rows    int
	missing int
	valid   bitmap
	floats  []float64
	ints    []int64 // Int; Time as unix microseconds
	strings []string
	bools   []bool
}

// NewFloats is a column of numbers, NaN being missing. It keeps values.
func NewFloats(name string, values []float64) *Column {
	b := builder{kind: Float, floats: values, rows: len(values)}
	for i, x := range values {
		if math.IsNaN(x) {
			b.invalidate(i)
		}
	}
	return b.column(name)
}

// NewInts is a column of whole numbers; valid may be nil, else says which are present. It keeps values.
func NewInts(name string, values []int64, valid []bool) *Column {
	b := builder{kind: Int, ints: values, rows: len(values)}
	b.invalidateWhere(valid)
	return b.column(name)
}

// NewStrings is a column of texts; valid may be nil, else says which are present. It keeps values.
func NewStrings(name string, values []string, valid []bool) *Column {
	b := builder{kind: String, strings: values, rows: len(values)}
	b.invalidateWhere(valid)
	return b.column(name)
}

// NewBools is a column of truth values; valid may be nil, else says which are present. It keeps values.
func NewBools(name string, values []bool, valid []bool) *Column {
	b := builder{kind: Bool, bools: values, rows: len(values)}
	b.invalidateWhere(valid)
	return b.column(name)
}

// NewTimes is a column of instants, a zero time.Time being missing; what is finer than a microsecond is cut off.
func NewTimes(name string, values []time.Time) *Column {
	b := builder{kind: Time}
	for _, t := range values {
		if t.IsZero() {
			b.appendMissing()
		} else {
			b.appendInt(t.UnixMicro())
		}
	}
	return b.column(name)
}

// Name is the column's name.
func (c *Column) Name() string { return c.name }

// Type is the column's type.
func (c *Column) Type() Type { return c.kind }

// Len is the number of rows, missing ones included.
func (c *Column) Len() int { return c.rows }

// Missing is the number of missing values.
func (c *Column) Missing() int { return c.missing }

// Valid reports whether row i has a value.
func (c *Column) Valid(i int) bool { return c.valid.get(i) }

// Floats are the values of a Float, Int, Bool (0 and 1) or Time (unix seconds) column as numbers, NaN where missing; nil for String.
// For a Float column it is the column's own storage.
func (c *Column) Floats() []float64 {
	if c.kind == Float {
		return c.floats
	}
	if c.kind == String {
		return nil
	}
	out := make([]float64, c.rows)
	for i := range out {
		switch {
		case !c.Valid(i):
			out[i] = math.NaN()
		case c.kind == Int:
			out[i] = float64(c.ints[i])
		case c.kind == Time:
			out[i] = float64(c.ints[i]) / 1e6
		case c.bools[i]:
			out[i] = 1
		}
	}
	return out
}

// Ints are the values of an Int column; nil for another type.
func (c *Column) Ints() []int64 {
	if c.kind != Int {
		return nil
	}
	return c.ints
}

// Strings are the values of a String column; nil for another type. Text gives those of any type.
func (c *Column) Strings() []string { return c.strings }

// Bools are the values of a Bool column; nil for another type.
func (c *Column) Bools() []bool { return c.bools }

// Micros are the values of a Time column in unix microseconds; nil for another type.
func (c *Column) Micros() []int64 {
	if c.kind != Time {
		return nil
	}
	return c.ints
}

// Value is row i as float64, int64, string, bool or time.Time; nil when missing.
func (c *Column) Value(i int) any {
	if !c.Valid(i) {
		return nil
	}
	switch c.kind {
	case Float:
		return c.floats[i]
	case Int:
		return c.ints[i]
	case Bool:
		return c.bools[i]
	case Time:
		return time.UnixMicro(c.ints[i]).UTC()
	}
	return c.strings[i]
}

// Text is row i as text: shortest form of numbers, RFC 3339 times, "" when missing.
func (c *Column) Text(i int) string {
	if !c.Valid(i) {
		return ""
	}
	switch c.kind {
	case Float:
		return strconv.FormatFloat(c.floats[i], 'g', -1, 64)
	case Int:
		return strconv.FormatInt(c.ints[i], 10)
	case Bool:
		return strconv.FormatBool(c.bools[i])
	case Time:
		return time.UnixMicro(c.ints[i]).UTC().Format(time.RFC3339Nano)
	}
	return c.strings[i]
}

// Present lists the texts of the rows that have a value.
func (c *Column) Present() []string {
	out := make([]string, 0, c.rows-c.missing)
	for i := range c.rows {
		if c.Valid(i) {
			out = append(out, c.Text(i))
		}
	}
	return out
}

// Renamed is the same column under another name.
func (c *Column) Renamed(name string) *Column {
	out := *c
	out.name = name
	return &out
}

// take is a copy of the given rows.
func (c *Column) take(rows []int) *Column {
	b := builder{kind: c.kind}
	b.grow(len(rows))
	for _, i := range rows {
		b.appendFrom(c, i)
	}
	return b.column(c.name)
}

// builder grows a column. Its valid bitmap stays nil until the first missing value.
type builder struct {
	kind    Type
	rows    int
	missing int
	valid   bitmap
	floats  []float64
	ints    []int64
	strings []string
	bools   []bool
}

func (b *builder) grow(n int) {
	switch b.kind {
	case Float:
		b.floats = make([]float64, 0, n)
	case String:
		b.strings = make([]string, 0, n)
	case Bool:
		b.bools = make([]bool, 0, n)
	default:
		b.ints = make([]int64, 0, n)
	}
}

func (b *builder) appendFloat(x float64) {
	if math.IsNaN(x) {
		b.appendMissing()
		return
	}
	b.floats = append(b.floats, x)
	b.present()
}

func (b *builder) appendInt(x int64) {
	b.ints = append(b.ints, x)
	b.present()
}

func (b *builder) appendString(x string) {
	b.strings = append(b.strings, x)
	b.present()
}

func (b *builder) appendBool(x bool) {
	b.bools = append(b.bools, x)
	b.present()
}

func (b *builder) appendMissing() {
	switch b.kind {
	case Float:
		b.floats = append(b.floats, math.NaN())
	case String:
		b.strings = append(b.strings, "")
	case Bool:
		b.bools = append(b.bools, false)
	default:
		b.ints = append(b.ints, 0)
	}
	b.present()
	b.invalidate(b.rows - 1)
}

func (b *builder) appendFrom(c *Column, i int) {
	if !c.Valid(i) {
		b.appendMissing()
		return
	}
	switch b.kind {
	case Float:
		b.appendFloat(c.floats[i])
	case String:
		b.appendString(c.strings[i])
	case Bool:
		b.appendBool(c.bools[i])
	default:
		b.appendInt(c.ints[i])
	}
}

// present marks one more row as having a value.
func (b *builder) present() {
	b.rows++
	if b.valid == nil {
		return
	}
	i := b.rows - 1
	if i>>6 == len(b.valid) {
		b.valid = append(b.valid, 0)
	}
	b.valid[i>>6] |= 1 << (i & 63)
}

// invalidate marks row i as missing.
func (b *builder) invalidate(i int) {
	if b.valid == nil {
		b.valid = make(bitmap, (b.rows+63)/64)
		for w := range b.valid {
			b.valid[w] = ^uint64(0)
		}
		if rest := b.rows & 63; rest != 0 {
			b.valid[len(b.valid)-1] = 1<<rest - 1
		}
	}
	b.valid[i>>6] &^= 1 << (i & 63)
}

func (b *builder) invalidateWhere(valid []bool) {
	for i, ok := range valid {
		if !ok && i < b.rows {
			b.invalidate(i)
		}
	}
}

func (b *builder) column(name string) *Column {
	missing := 0
	if b.valid != nil {
		missing = b.rows
		for _, w := range b.valid {
			missing -= bits.OnesCount64(w)
		}
	}
	return &Column{
		name: name, kind: b.kind, rows: b.rows, missing: missing, valid: b.valid,
		floats: b.floats, ints: b.ints, strings: b.strings, bools: b.bools,
	}
}

func (c *Column) String() string { return fmt.Sprintf("%s %s[%d]", c.name, c.kind, c.rows) }
