package table

import (
	"fmt"
	"slices"
	"strings"
)

// Frame is a set of columns of one length under distinct names. It does not change; Select, Slice, Filter and Take give new ones.
type Frame struct {
	columns []*Column
	index   map[string]int
	rows    int
}

// NewFrame joins columns of one length under distinct, non-empty names.
func NewFrame(columns ...*Column) (*Frame, error) {
	f := &Frame{columns: columns, index: make(map[string]int, len(columns))}
	for i, c := range columns {
		if c.name == "" {
			return nil, fmt.Errorf("table: column %d has no name", i+1)
		}
		if strings.ContainsRune(c.name, 0) {
			return nil, fmt.Errorf("table: the name of column %d holds a NUL", i+1)
		}
		if _, twice := f.index[c.name]; twice {
			return nil, fmt.Errorf("table: column %q occurs twice", c.name)
		}
		if i > 0 && c.rows != f.rows {
			return nil, fmt.Errorf("table: column %q has %d rows, expected %d as the others", c.name, c.rows, f.rows)
		}
		f.index[c.name], f.rows = i, c.rows
	}
	return f, nil
}

// Rows is the number of rows.
func (f *Frame) Rows() int { return f.rows }

// Columns are the columns in their order; not to be changed.
func (f *Frame) Columns() []*Column { return f.columns }

// Names are the names of the columns in their order.
func (f *Frame) Names() []string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names
}

// Column finds a column by name.
func (f *Frame) Column(name string) (*Column, bool) {
	i, ok := f.index[name]
	if !ok {
		return nil, false
	}
	return f.columns[i], true
}

// Select is the frame of the named columns in that order.
func (f *Frame) Select(names ...string) (*Frame, error) {
	columns := make([]*Column, 0, len(names))
	for _, name := range names {
		c, ok := f.Column(name)
		if !ok {
			return nil, fmt.Errorf("table: no column %q; there are %s", name, list(f.Names()))
		}
		columns = append(columns, c)
	}
	out, err := NewFrame(columns...)
	if err == nil {
		out.rows = f.rows
	}
	return out, err
}

// Without is the frame less the named columns; names that do not occur are passed over.
func (f *Frame) Without(names ...string) *Frame {
	kept := slices.DeleteFunc(slices.Clone(f.columns), func(c *Column) bool { return slices.Contains(names, c.name) })
	out, _ := NewFrame(kept...) // names stay distinct, lengths equal
	out.rows = f.rows
	return out
}

// Slice is a copy of the rows from <= i < to; bounds outside the frame are moved to its ends.
func (f *Frame) Slice(from, to int) *Frame {
	from = min(max(from, 0), f.rows)
	to = min(max(to, from), f.rows)
	rows := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		rows = append(rows, i)
	}
	return f.Take(rows)
}

// Filter is a copy of the rows that keep wants.
func (f *Frame) Filter(keep func(row int) bool) *Frame {
	var rows []int
	for i := range f.rows {
		if keep(i) {
			rows = append(rows, i)
		}
	}
	return f.Take(rows)
}

// Take is a copy of the given rows in that order; each must be in range.
func (f *Frame) Take(rows []int) *Frame {
	columns := make([]*Column, len(f.columns))
	for i, c := range f.columns {
		columns[i] = c.take(rows)
	}
	return &Frame{columns: columns, index: f.index, rows: len(rows)}
}

// Row is row i as values by name; missing ones are nil.
func (f *Frame) Row(i int) map[string]any {
	row := make(map[string]any, len(f.columns))
	for _, c := range f.columns {
		row[c.name] = c.Value(i)
	}
	return row
}

// list quotes names for a message, cutting a long list.
func list(names []string) string {
	const most = 12
	quoted := make([]string, 0, most+1)
	for i, n := range names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", shorten(n)))
	}
	if len(quoted) == 0 {
		return "none"
	}
	return strings.Join(quoted, ", ")
}

// shorten keeps a value that is quoted in a message readable.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
