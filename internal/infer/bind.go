package infer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Binder turns the input of a request into a frame that fits a model's signature. It is safe for concurrent use.
//
// The rules, stricter than MLflow's where MLflow would guess: a required column must be there; unknown columns are
// ignored and named in the warnings; a double takes any number, null and NaN (missing); a float is rounded to float32;
// integer and long take whole numbers in range, 3.0 included, and never null when required; a string takes text only;
// a boolean true or false only; a datetime an ISO 8601 text; binary base64; tensors nested lists of the right shape.
// Without a signature the type of a column comes from its values.
type Binder struct {
	specs   []Spec
	params  []Param
	index   map[string]int
	tensors bool
	limits  Limits
}

// Limits bound one request. Zero values mean the defaults.
type Limits struct {
	Rows   int // 100,000
	Values int // 20,000,000 over all columns
}

// NewBinder makes a binder for a signature; nil, or one without inputs, takes any columns.
func NewBinder(s *Signature, limits Limits) *Binder {
	if limits.Rows <= 0 {
		limits.Rows = 100_000
	}
	if limits.Values <= 0 {
		limits.Values = 20_000_000
	}
	b := &Binder{limits: limits}
	if s == nil {
		return b
	}
	b.specs, b.params = append([]Spec{}, s.Inputs...), s.Params
	b.index = make(map[string]int, len(b.specs))
	for i := range b.specs {
		if b.specs[i].Name == "" && b.specs[i].Batch == 0 && len(b.specs) > 1 {
			b.specs[i].Name = strconv.Itoa(i) // MLflow's name for an unnamed column
		}
		b.index[b.specs[i].Name] = i
		b.tensors = b.tensors || b.specs[i].Batch != 0
	}
	return b
}

// Bound is a request, read.
type Bound struct {
	Frame    *Frame
	Warnings []string // plain sentences, such as which columns were ignored
}

// maxWarnings bounds the columns that a warning names.
const maxWarnings = 20

// binding is one request being read.
type binding struct {
	*Binder
	columns  []columnBuilder
	free     *freeColumns // without a signature
	rows     int
	faults   InputError
	warnings []string
	unknown  map[string]bool
}

func (b *Binder) start() *binding {
	n := &binding{Binder: b}
	if len(b.specs) == 0 {
		n.free = &freeColumns{index: map[string]int{}}
		return n
	}
	n.columns = make([]columnBuilder, len(b.specs))
	for i, s := range b.specs {
		n.columns[i] = newColumnBuilder(s)
	}
	return n
}

// Predict reads the body of a plain prediction: one record {"a": 1}, a list of records, one list of values [1, 2] or a
// list of such lists in the order of the signature.
func (b *Binder) Predict(body []byte) (*Bound, error) {
	n := b.start()
	c := &cursor{data: body}
	var err error
	if c.peek() == '{' {
		err = n.record(c)
	} else {
		err = n.list(c)
	}
	return n.finish(c, err, true, nil)
}

// Invocations reads the body of MLflow's /invocations: dataframe_split, dataframe_records, instances or inputs, with
// optional params.
func (b *Binder) Invocations(body []byte) (*Bound, error) {
	var input, params []byte
	var kind string
	c := &cursor{data: body}
	if c.peek() != '{' {
		return nil, formatError("an object with one of dataframe_split, dataframe_records, instances or inputs", describe(body))
	}
	empty, err := c.open('{', '}')
	for more := !empty; err == nil && more; {
		var key, value []byte
		if key, err = c.key(); err != nil {
			break
		}
		name := string(key)
		if value, err = c.skip(); err != nil {
			break
		}
		switch name {
		case "dataframe_split", "dataframe_records", "instances", "inputs":
			if kind != "" {
				return nil, formatError("one of dataframe_split, dataframe_records, instances or inputs", "both "+kind+" and "+name)
			}
			kind, input = name, value
		case "params":
			params = value
		}
		more, err = c.next('}')
	}
	if err != nil || c.peek() != 0 {
		return nil, notJSON(c, err)
	}
	if kind == "" {
		return nil, formatError("an object with one of dataframe_split, dataframe_records, instances or inputs", "none of them")
	}
	n := b.start()
	c = &cursor{data: input}
	switch {
	case kind == "dataframe_split":
		err = n.split(c)
	case kind == "inputs" && c.peek() == '{':
		err = n.columnwise(c)
	case kind == "dataframe_records" && c.peek() != '[':
		return nil, formatError("a list of records in dataframe_records", describe(input))
	case c.peek() == '{':
		err = n.record(c)
	default:
		err = n.list(c)
	}
	return n.finish(c, err, true, params)
}

// Columns reads {"a": [1, 2], "b": [3, 4]}: one list a column, or one tensor a name.
func (b *Binder) Columns(body []byte) (*Bound, error) {
	n := b.start()
	c := &cursor{data: body}
	return n.finish(c, n.columnwise(c), true, nil)
}

// finish checks what follows and makes the frame.
func (n *binding) finish(c *cursor, err error, whole bool, params []byte) (*Bound, error) {
	if err != nil {
		if input, ok := err.(*InputError); ok { //nolint:errorlint // made in this package, never wrapped
			return nil, input
		}
		return nil, notJSON(c, err)
	}
	if whole && c.peek() != 0 {
		return nil, notJSON(c, fmt.Errorf("there is text after the end"))
	}
	if n.rows == 0 && n.faults.Total == 0 {
		return nil, formatError("at least one row", "none")
	}
	frame := &Frame{Rows: n.rows}
	if n.free != nil {
		frame.Columns = n.free.columns(n.rows)
	} else {
		for i := range n.columns {
			frame.Columns = append(frame.Columns, n.columns[i].col)
		}
	}
	n.bindParams(frame, params)
	if err := n.faults.orNil(); err != nil {
		return nil, err
	}
	return &Bound{Frame: frame, Warnings: n.warnings}, nil
}

// addRow makes room for one more row.
func (n *binding) addRow() error {
	if n.rows >= n.limits.Rows || (n.rows+1)*max(1, len(n.columns)) > n.limits.Values {
		return problem("", -1, "too_large", fmt.Sprintf("at most %d rows and %d values a request", n.limits.Rows, n.limits.Values), "more")
	}
	n.rows++
	for i := range n.columns {
		n.columns[i].grow()
		if n.columns[i].width > 1 && n.columns[i].col.Len() > n.limits.Values {
			return problem(n.columns[i].spec.Name, -1, "too_large", fmt.Sprintf("at most %d values a request", n.limits.Values), "more")
		}
	}
	return nil
}

// record reads {"name": value, ...} as one row.
func (n *binding) record(c *cursor) error {
	if err := n.addRow(); err != nil {
		return err
	}
	row := n.rows - 1
	empty, err := c.open('{', '}')
	next := 0
	for more := !empty; err == nil && more; {
		var key []byte
		if key, err = c.key(); err != nil {
			break
		}
		if n.free != nil {
			err = n.free.set(c, string(key), row)
		} else if i := n.find(key, &next); i >= 0 {
			if n.columns[i].seen {
				return twice(string(key), row)
			}
			err = n.columns[i].set(c, row, &n.faults)
		} else {
			n.ignore(string(key))
			_, err = c.skip()
		}
		if err == nil {
			more, err = c.next('}')
		}
	}
	if err == nil {
		n.missing(row)
	}
	return err
}

// twice refuses a field that a record names more than once: nobody can tell which value was meant.
func twice(name string, row int) *InputError {
	return problem(name, row, "duplicate", "each field once", "it twice")
}

// find looks a column up by name; records usually follow the order of the signature, so that is tried first.
func (n *binding) find(key []byte, next *int) int {
	if *next < len(n.specs) && n.specs[*next].Name == string(key) {
		*next++
		return *next - 1
	}
	if i, ok := n.index[string(key)]; ok {
		*next = i + 1
		return i
	}
	return -1
}

func (n *binding) ignore(name string) {
	if n.unknown[name] || len(n.unknown) >= maxWarnings {
		return
	}
	if n.unknown == nil {
		n.unknown = map[string]bool{}
	}
	n.unknown[name] = true
	n.warnings = append(n.warnings, "the column "+quote(name)+" is not in the model's signature and was ignored")
}

// missing notes the required columns that the current row lacks.
func (n *binding) missing(row int) {
	for i := range n.columns {
		b := &n.columns[i]
		if b.seen {
			continue
		}
		if b.spec.Required || b.width < 0 {
			n.faults.add(Problem{Field: b.spec.Name, Row: row, Code: "missing_column", Expected: b.expected(), Got: "nothing"})
			continue
		}
		for k := range max(0, b.width) {
			b.invalidate(row*b.width + k)
		}
	}
}

// list reads a list: of records, of rows, or of the values of one row.
func (n *binding) list(c *cursor) error {
	if c.peek() != '[' {
		raw, err := c.skip()
		if err != nil {
			return err
		}
		return formatError("a record, or a list of records or of rows", describe(raw))
	}
	ahead := *c
	ahead.at++
	first := ahead.peek()
	if first == ']' {
		c.at = ahead.at + 1
		return nil
	}
	if first != '{' && !n.rowsFollow(&ahead) {
		return n.row(c, nil)
	}
	return n.each(c, func() error {
		switch c.peek() {
		case '{':
			return n.record(c)
		default:
			return n.row(c, nil)
		}
	})
}

// rowsFollow decides whether the list whose first element is ahead holds rows (or is one row of values).
func (n *binding) rowsFollow(ahead *cursor) bool {
	shape, err := measure(ahead, 32)
	if err != nil {
		return true // the error shows when it is read
	}
	if len(n.specs) == 1 {
		want := len(n.specs[0].Shape) // an element of a list of rows has the rank of a row
		return len(shape) >= want
	}
	return len(shape) > 0
}

func (n *binding) each(c *cursor, element func() error) error {
	empty, err := c.open('[', ']')
	for more := !empty; err == nil && more; {
		if err = element(); err == nil {
			more, err = c.next(']')
		}
	}
	return err
}

// row reads the values of one row by position; order maps a position to a column (-1: ignored), nil means the order of
// the signature. With one column or tensor the element itself is the row.
func (n *binding) row(c *cursor, order []int) error {
	if err := n.addRow(); err != nil {
		return err
	}
	row := n.rows - 1
	if n.free != nil {
		return n.free.setRow(c, row)
	}
	if len(n.specs) == 1 && order == nil && (n.specs[0].Shape != nil || c.peek() != '[') {
		return n.columns[0].set(c, row, &n.faults)
	}
	if c.peek() != '[' {
		raw, err := c.skip()
		if err != nil {
			return err
		}
		n.faults.add(Problem{Row: row, Code: "shape", Expected: "a record or a list of " + plural(len(n.specs), "value", "values"), Got: describe(raw)})
		return nil
	}
	want := len(n.specs)
	if order != nil {
		want = len(order)
	}
	at := 0
	err := n.each(c, func() error {
		at++
		i := at - 1
		if order != nil && i < len(order) {
			i = order[i]
		}
		if at > want || i < 0 {
			_, err := c.skip()
			return err
		}
		return n.columns[i].set(c, row, &n.faults)
	})
	if err != nil {
		return err
	}
	if at != want {
		n.faults.add(Problem{Row: row, Code: "shape", Expected: plural(want, "value", "values"), Got: strconv.Itoa(at)})
		return nil
	}
	n.missing(row)
	return nil
}

// split reads {"columns": [...], "data": [[...], ...]}, index ignored.
func (n *binding) split(c *cursor) error {
	if c.peek() != '{' {
		return formatError("an object with columns and data in dataframe_split", describe(c.data[c.at:]))
	}
	var names []string
	var data []byte
	named := false
	empty, err := c.open('{', '}')
	for more := !empty; err == nil && more; {
		var key, value []byte
		if key, err = c.key(); err != nil {
			return err
		}
		name := string(key)
		if value, err = c.skip(); err != nil {
			return err
		}
		switch name {
		case "columns":
			var list []any
			if json.Unmarshal(value, &list) != nil {
				return formatError("a list of names in columns", describe(value))
			}
			for _, v := range list {
				names = append(names, text(v))
			}
			named = true
		case "data":
			data = value
		}
		more, err = c.next('}')
	}
	if err != nil {
		return err
	}
	if len(data) == 0 || data[0] != '[' {
		return formatError("a list of rows in data", describe(data))
	}
	inner := &cursor{data: data}
	if !named || n.singleTensor() {
		return n.each(inner, func() error { return n.row(inner, nil) })
	}
	if n.free != nil {
		n.free.name(names)
		return n.each(inner, func() error { return n.row(inner, nil) })
	}
	order := make([]int, len(names))
	next := 0
	for i, name := range names {
		if order[i] = n.find([]byte(name), &next); order[i] < 0 {
			n.ignore(name)
		}
	}
	return n.each(inner, func() error { return n.row(inner, order) })
}

// singleTensor is true for a model that takes one array: its data frames are arrays with names on them.
func (n *binding) singleTensor() bool { return len(n.specs) == 1 && n.specs[0].Batch != 0 }

// columnwise reads {"name": [values of all rows], ...}.
func (n *binding) columnwise(c *cursor) error {
	if c.peek() != '{' {
		return formatError("an object with one list a column", describe(c.data[c.at:]))
	}
	lists := map[string][]byte{}
	var order []string
	empty, err := c.open('{', '}')
	for more := !empty; err == nil && more; {
		var key, value []byte
		if key, err = c.key(); err != nil {
			return err
		}
		name := string(key)
		if value, err = c.skip(); err != nil {
			return err
		}
		if value[0] != '[' { // a scalar is a column of one row, as in MLflow
			value = append(append([]byte{'['}, value...), ']')
		}
		if _, again := lists[name]; again {
			return twice(name, -1)
		}
		order = append(order, name)
		lists[name] = value
		more, err = c.next('}')
	}
	if err != nil {
		return err
	}
	return n.zip(order, lists)
}

// zip reads one row at a time from lists of equal length.
func (n *binding) zip(order []string, lists map[string][]byte) error {
	type source struct {
		name string
		c    *cursor
		i    int // column, -1 to ignore
		n    int
	}
	var sources []source
	next, rows := 0, -1
	for _, name := range order {
		s := source{name: name, c: &cursor{data: lists[name]}, i: -1}
		if n.free == nil {
			if s.i = n.find([]byte(name), &next); s.i < 0 {
				n.ignore(name)
				continue
			}
		}
		shape, err := measure(&cursor{data: lists[name]}, 1)
		if err != nil {
			return err
		}
		if rows >= 0 && shape[0] != rows {
			return problem(name, -1, "shape", plural(rows, "value", "values")+" as in the other columns", strconv.Itoa(shape[0]))
		}
		rows = shape[0]
		s.c.at = 1
		sources = append(sources, s)
	}
	for row := range max(0, rows) {
		if err := n.addRow(); err != nil {
			return err
		}
		for k := range sources {
			s := &sources[k]
			var err error
			if n.free != nil {
				err = n.free.set(s.c, s.name, row)
			} else {
				err = n.columns[s.i].set(s.c, row, &n.faults)
			}
			if err == nil {
				_, err = s.c.next(']')
			}
			if err != nil {
				return err
			}
		}
		n.missing(row)
	}
	if rows < 0 && n.free == nil { // nothing known was sent: say which columns are wanted
		n.rows = 1
		for i := range n.columns {
			n.columns[i].grow()
		}
		n.missing(0)
	}
	return nil
}

// bindParams checks the inference parameters against the signature and fills in defaults.
func (n *binding) bindParams(frame *Frame, raw []byte) {
	given := map[string]any{}
	if len(bytes.TrimSpace(raw)) > 0 && string(bytes.TrimSpace(raw)) != "null" {
		if err := json.Unmarshal(raw, &given); err != nil {
			n.faults.add(Problem{Field: "params", Row: -1, Code: "format", Expected: "an object", Got: describe(raw)})
			return
		}
	}
	known := map[string]bool{}
	for _, p := range n.params {
		known[p.Name] = true
		v, ok := given[p.Name]
		if !ok {
			v = p.Default
		} else if !paramFits(p, v) {
			expected := p.Type
			if p.Shape != nil {
				expected = "a list of " + expected
			}
			n.faults.add(Problem{Field: p.Name, Row: -1, Code: "wrong_type", Expected: "the parameter to be " + expected, Got: fmt.Sprintf("%.60v", v)})
		}
		if frame.Params == nil {
			frame.Params = map[string]any{}
		}
		frame.Params[p.Name] = v
	}
	for _, name := range sortedKeys(given) {
		if !known[name] && len(n.warnings) < 2*maxWarnings {
			n.warnings = append(n.warnings, "the parameter "+quote(name)+" is not in the model's signature and was ignored")
		}
	}
}

func paramFits(p Param, v any) bool {
	if p.Shape != nil {
		list, ok := v.([]any)
		for _, x := range list {
			ok = ok && paramFits(Param{Type: p.Type}, x)
		}
		return ok
	}
	switch p.Type {
	case "integer", "long":
		f, ok := v.(float64)
		return ok && f == float64(int64(f))
	case "double", "float":
		_, ok := v.(float64)
		return ok || v == nil
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "string", "datetime":
		_, ok := v.(string)
		return ok
	}
	return true
}

func formatError(expected, got string) *InputError { return problem("", -1, "format", expected, got) }

// notJSON says where a text stops being JSON.
func notJSON(c *cursor, err error) *InputError {
	if err == nil {
		err = fmt.Errorf("there is text after the end")
	}
	e := &InputError{}
	e.add(Problem{
		Row: -1, Code: "format", Expected: "valid JSON", Got: err.Error(),
		Message: fmt.Sprintf("the input is not valid JSON near byte %d: %v", c.at, err),
	})
	return e
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return sorted(keys)
}
