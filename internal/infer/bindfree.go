package infer

import (
	"encoding/json"
	"strconv"
)

// freeColumns collects values for a model without a signature: the type of a column comes from its values, as pandas
// would infer it.
type freeColumns struct {
	names []string
	index map[string]int
	data  [][]any
}

// maxFreeColumns bounds the columns of a request that no signature bounds.
const maxFreeColumns = 10_000

func (f *freeColumns) name(names []string) {
	for _, n := range names {
		f.column(n)
	}
}

func (f *freeColumns) column(name string) int {
	i, ok := f.index[name]
	if !ok {
		i = len(f.names)
		f.index[name] = i
		f.names = append(f.names, name)
		f.data = append(f.data, nil)
	}
	return i
}

func (f *freeColumns) set(c *cursor, name string, row int) error {
	raw, err := c.skip()
	if err != nil {
		return err
	}
	i := f.column(name)
	if i >= maxFreeColumns {
		return problem("", row, "too_large", "at most 10,000 columns", "more")
	}
	if len(f.data[i]) > row {
		return twice(name, row)
	}
	for len(f.data[i]) <= row {
		f.data[i] = append(f.data[i], nil)
	}
	f.data[i][row], err = freeValue(raw)
	return err
}

// setRow reads a list of values, in the order of the names; columns without a name are called by their number.
func (f *freeColumns) setRow(c *cursor, row int) error {
	if c.peek() != '[' {
		return f.set(c, f.at(0), row)
	}
	i := 0
	empty, err := c.open('[', ']')
	for more := !empty; err == nil && more; i++ {
		if err = f.set(c, f.at(i), row); err == nil {
			more, err = c.next(']')
		}
	}
	return err
}

func (f *freeColumns) at(i int) string {
	if i < len(f.names) {
		return f.names[i]
	}
	return strconv.Itoa(i)
}

// freeValue is float64, int64, string, bool, nil or, for lists and objects, json.RawMessage.
func freeValue(raw []byte) (any, error) {
	switch raw[0] {
	case '"':
		c := cursor{data: raw}
		s, err := c.text()
		return string(s), err
	case '[', '{':
		return json.RawMessage(string(raw)), nil
	case 't', 'f':
		return raw[0] == 't', nil
	case 'n', 'N':
		return nil, nil
	}
	if v, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return v, nil
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (f *freeColumns) columns(rows int) []Column {
	out := make([]Column, 0, len(f.names))
	for i, name := range f.names {
		for len(f.data[i]) < rows {
			f.data[i] = append(f.data[i], nil)
		}
		out = append(out, inferColumn(name, f.data[i]))
	}
	return out
}

// inferColumn chooses the narrowest kind that holds all values.
func inferColumn(name string, values []any) Column {
	var ints, floats, bools, texts, others, nulls int
	for _, v := range values {
		switch v.(type) {
		case int64:
			ints++
		case float64:
			floats++
		case bool:
			bools++
		case string:
			texts++
		case nil:
			nulls++
		default:
			others++
		}
	}
	n := len(values)
	kind := JSON
	switch {
	case others > 0:
	case ints == n:
		kind = Int64
	case ints+floats+nulls == n:
		kind = Float64
	case bools == n:
		kind = Bool
	case texts+nulls == n:
		kind = String
	}
	b := newColumnBuilder(Spec{Name: name, Kind: kind})
	for i, v := range values {
		b.grow()
		switch x := v.(type) {
		case nil:
			b.invalidate(i)
			continue
		case int64:
			if kind == Int64 {
				b.col.Ints[i] = x
			} else if kind == Float64 {
				b.col.Floats[i] = float64(x)
			}
		case float64:
			if kind == Float64 {
				b.col.Floats[i] = x
			}
		case bool:
			if kind == Bool {
				b.col.Bools[i] = x
			}
		case string:
			if kind == String {
				b.col.Strings[i] = x
			}
		}
		if kind == JSON {
			raw, _ := json.Marshal(v) // values that were read from JSON can be written
			b.col.Strings[i] = string(raw)
		}
		b.validate(i)
	}
	return b.col
}
