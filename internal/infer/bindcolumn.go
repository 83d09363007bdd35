package infer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// columnBuilder fills one column of a frame from JSON values, one row after the other.
type columnBuilder struct {
	spec Spec
	col  Column
	seen bool // in the current record
	// values is how many values one row has; 1 for a column. -1 until the first row of a tensor with open dimensions.
	width int
}

func newColumnBuilder(s Spec) columnBuilder {
	b := columnBuilder{spec: s, col: Column{Name: s.Name, Kind: s.Kind}, width: 1}
	if s.Shape != nil {
		b.col.Shape = append([]int{}, s.Shape...)
		b.width = product(s.Shape)
	}
	return b
}

// product is the number of values of a shape, -1 when a dimension is open.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return -1
		}
		if d > 0 && n > math.MaxInt32/d {
			return math.MaxInt32
		}
		n *= d
	}
	return n
}

// grow appends one row of missing values.
func (b *columnBuilder) grow() {
	b.seen = false
	n := max(0, b.width)
	switch b.col.Kind {
	case Float64:
		for range n {
			b.col.Floats = append(b.col.Floats, math.NaN())
		}
	case Int64, Datetime:
		b.col.Ints = append(b.col.Ints, make([]int64, n)...)
	case Bool:
		b.col.Bools = append(b.col.Bools, make([]bool, n)...)
	default:
		b.col.Strings = append(b.col.Strings, make([]string, n)...)
	}
	if b.col.Valid != nil {
		b.col.Valid = append(b.col.Valid, make([]bool, n)...)
	}
}

// invalidate marks value i as missing.
func (b *columnBuilder) invalidate(i int) {
	if b.col.Kind == Float64 {
		b.col.Floats[i] = math.NaN()
		return
	}
	if b.col.Valid == nil {
		b.col.Valid = make([]bool, b.col.Len())
		for k := range b.col.Valid {
			b.col.Valid[k] = true
		}
	}
	b.col.Valid[i] = false
}

// set reads the value of a row (grown before) at the cursor. A fault of the value is noted in faults; the error is
// for a text that is no JSON.
func (b *columnBuilder) set(c *cursor, row int, faults *InputError) error {
	b.seen = true
	if b.spec.Shape == nil {
		return b.setOne(c, row, row, faults)
	}
	c.space()
	start := c.at
	before := faults.Total
	if b.width < 0 { // the first row settles the open dimensions
		shape, err := measure(&cursor{data: c.data, at: c.at}, len(b.spec.Shape))
		if err != nil {
			return err
		}
		if !fits(shape, b.spec.Shape) || product(shape) > maxRowValues {
			faults.add(Problem{Field: b.spec.Name, Row: row, Code: "shape", Expected: "an array of shape " + shapeText(b.spec.Shape), Got: "shape " + shapeText(shape)})
			_, err := c.skip()
			return err
		}
		b.col.Shape, b.width = shape, product(shape)
		for range row + 1 {
			b.grow()
		}
		b.seen = true
	}
	at, end := row*b.width, (row+1)*b.width
	ragged := false
	var walk func(dims []int) error
	walk = func(dims []int) error {
		if len(dims) == 0 {
			if at >= end {
				ragged = true
				_, err := c.skip()
				return err
			}
			at++
			return b.setOne(c, at-1, row, faults)
		}
		if c.peek() != '[' {
			ragged = true
			_, err := c.skip()
			return err
		}
		empty, err := c.open('[', ']')
		n := 0
		for more := !empty; err == nil && more; n++ {
			if n >= dims[0] {
				ragged = true
				_, err = c.skip()
			} else {
				err = walk(dims[1:])
			}
			if err == nil {
				more, err = c.next(']')
			}
		}
		ragged = ragged || n != dims[0]
		return err
	}
	if err := walk(b.col.Shape); err != nil {
		return err
	}
	if ragged && faults.Total == before {
		got, err := measure(&cursor{data: c.data, at: start}, 32)
		if err != nil {
			return err
		}
		faults.add(Problem{Field: b.spec.Name, Row: row, Code: "shape", Expected: "an array of shape " + shapeText(b.col.Shape), Got: "shape " + shapeText(got)})
	}
	return nil
}

// maxRowValues bounds one row of a tensor.
const maxRowValues = 1 << 24

// setOne reads one scalar into value i.
func (b *columnBuilder) setOne(c *cursor, i, row int, faults *InputError) error {
	var ok bool
	var expected string
	switch first := c.peek(); {
	case b.col.Kind == JSON:
		raw, err := c.skip()
		if err != nil {
			return err
		}
		b.col.Strings[i] = string(raw)
		ok = string(raw) != "null" || b.spec.Type == "any"
		expected = "a value (" + b.spec.Type + ")"
		if !ok && !b.spec.Required {
			b.invalidate(i)
			ok = true
		}
		if !ok {
			faults.add(Problem{Field: b.spec.Name, Row: row, Code: "null", Expected: expected, Got: "null"})
		}
		b.validate(i)
		return nil
	case first == '"':
		start := c.at
		s, err := c.text()
		if err != nil {
			return err
		}
		if ok, expected = b.fromText(i, s); !ok {
			faults.add(Problem{Field: b.spec.Name, Row: row, Code: "wrong_type", Expected: expected, Got: describe(c.data[start:c.at])})
			return nil
		}
	case first == '[' || first == '{':
		raw, err := c.skip()
		if err != nil {
			return err
		}
		faults.add(Problem{Field: b.spec.Name, Row: row, Code: "wrong_type", Expected: b.expected(), Got: describe(raw)})
		return nil
	case first == 0:
		return errJSONEnd
	default:
		w := c.word()
		if !validWord(w) {
			return errors.New(quote(string(w)+string(first)) + " is no JSON value")
		}
		if string(w) == "null" || (string(w) == "NaN" && b.col.Kind != Float64) {
			if b.col.Kind != Float64 && b.spec.Required {
				faults.add(Problem{Field: b.spec.Name, Row: row, Code: "null", Expected: b.expected(), Got: string(w)})
				return nil
			}
			b.invalidate(i)
			return nil
		}
		if ok, expected = b.fromWord(i, w); !ok {
			faults.add(Problem{Field: b.spec.Name, Row: row, Code: "wrong_type", Expected: expected, Got: describe(w)})
			return nil
		}
	}
	b.validate(i)
	return nil
}

func (b *columnBuilder) validate(i int) {
	if b.col.Valid != nil {
		b.col.Valid[i] = true
	}
}

// expected says what the column takes, for people.
func (b *columnBuilder) expected() string {
	switch b.col.Kind {
	case Float64:
		return "a number (" + b.spec.Type + ")"
	case Int64:
		return "a whole number (" + b.spec.Type + ")"
	case Bool:
		return "true or false (boolean)"
	case Datetime:
		return "a date and time such as \"2026-01-31T13:00:00\" (datetime)"
	case Binary:
		return "base64 text (binary)"
	case String:
		return "a text (string)"
	}
	return "a value (" + b.spec.Type + ")"
}

func (b *columnBuilder) fromText(i int, s []byte) (ok bool, expected string) {
	switch b.col.Kind {
	case String:
		b.col.Strings[i] = string(s)
		return true, ""
	case Datetime:
		t, ok := parseTime(string(s))
		if ok {
			b.col.Ints[i] = t.UnixMicro()
		}
		return ok, b.expected()
	case Binary:
		raw, err := base64.StdEncoding.DecodeString(string(s))
		b.col.Strings[i] = string(raw)
		return err == nil, b.expected()
	case Float64:
		switch string(s) { // how clients without bare words write them
		case "NaN", "nan":
			b.col.Floats[i] = math.NaN()
			return true, ""
		case "Infinity", "inf":
			b.col.Floats[i] = math.Inf(1)
			return true, ""
		case "-Infinity", "-inf":
			b.col.Floats[i] = math.Inf(-1)
			return true, ""
		}
	}
	return false, b.expected()
}

func (b *columnBuilder) fromWord(i int, w []byte) (ok bool, expected string) {
	number := w[0] != 't' && w[0] != 'f'
	switch b.col.Kind {
	case Float64:
		if !number {
			return false, b.expected()
		}
		v, err := strconv.ParseFloat(string(w), 64)
		if err != nil {
			return false, "a number within the range of a double"
		}
		if b.spec.Type == "float" || b.spec.Type == "float32" {
			f := float32(v)
			if math.IsInf(float64(f), 0) && !math.IsInf(v, 0) {
				return false, "a number within the range of a float"
			}
			v = float64(f)
		}
		b.col.Floats[i] = v
		return true, ""
	case Int64:
		if !number {
			return false, b.expected()
		}
		v, ok := exactInt(w)
		low, high := intRange(b.spec.Type)
		if !ok || v < low || v > high {
			return false, b.expected() + fmt.Sprintf(" from %d to %d", low, high)
		}
		b.col.Ints[i] = v
		return true, ""
	case Bool:
		if number {
			return false, b.expected()
		}
		b.col.Bools[i] = w[0] == 't'
		return true, ""
	}
	return false, b.expected()
}

// exactInt reads a whole number; 3.0 and 1e3 count, up to 2^53.
func exactInt(w []byte) (int64, bool) {
	if v, err := strconv.ParseInt(string(w), 10, 64); err == nil {
		return v, true
	}
	f, err := strconv.ParseFloat(string(w), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func intRange(name string) (low, high int64) {
	switch name {
	case "integer", "int32":
		return math.MinInt32, math.MaxInt32
	case "int16":
		return math.MinInt16, math.MaxInt16
	case "int8":
		return math.MinInt8, math.MaxInt8
	case "uint8":
		return 0, math.MaxUint8
	case "uint16":
		return 0, math.MaxUint16
	case "uint32":
		return 0, math.MaxUint32
	case "uint64":
		return 0, math.MaxInt64
	}
	return math.MinInt64, math.MaxInt64
}

// parseTime reads ISO 8601 as pandas does; a time without a zone is UTC.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// measure finds the shape of nested lists by their first elements, at most depth levels.
func measure(c *cursor, depth int) ([]int, error) {
	shape := []int{}
	for c.peek() == '[' && len(shape) < depth {
		inner := *c
		n := 0
		empty, err := inner.open('[', ']')
		for more := !empty; err == nil && more; n++ {
			if _, err = inner.skip(); err == nil {
				more, err = inner.next(']')
			}
		}
		if err != nil {
			return nil, err
		}
		shape = append(shape, n)
		if empty {
			break
		}
		c.at++
	}
	return shape, nil
}

// fits reports whether a shape has the wanted dimensions, -1 taking any.
func fits(shape, want []int) bool {
	if len(shape) != len(want) {
		return false
	}
	for i, d := range want {
		if d >= 0 && shape[i] != d {
			return false
		}
	}
	return true
}

func shapeText(shape []int) string {
	s := "["
	for i, d := range shape {
		if i > 0 {
			s += ", "
		}
		if d < 0 {
			s += "any"
		} else {
			s += strconv.Itoa(d)
		}
	}
	return s + "]"
}
