package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ReadJSONLines reads one flat JSON object a line. Columns come in the order in which their keys are first seen; a key that a row lacks and
// null are missing. Types are those of JSON: whole numbers are int64, others float64, texts that are all ISO 8601 times are time; a
// column of mixed kinds becomes string. Blank lines are passed over.
func ReadJSONLines(r io.Reader, limits Limits) (*Frame, error) {
	j := &jsonReader{limits: limits.withDefaults(), index: map[string]int{}}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, min(64<<10, j.limits.RowBytes)), j.limits.RowBytes)
	for scanner.Scan() {
		j.line++
		text := scanner.Bytes()
		if j.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if err := j.row(text); err != nil {
			return nil, err
		}
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &ReadError{Line: j.line + 1, Expected: fmt.Sprintf("rows of at most %d bytes", j.limits.RowBytes), Found: "a longer one", Err: err}
	} else if err != nil {
		return nil, fmt.Errorf("table: read json lines: %w", err)
	}
	if j.rows == 0 {
		return nil, &ReadError{Expected: "one JSON object a line", Found: "an empty file", Err: io.ErrUnexpectedEOF}
	}
	columns := make([]*Column, len(j.columns))
	for i, raw := range j.columns {
		raw.pad(j.rows)
		columns[i] = raw.column()
	}
	return NewFrame(columns...)
}

type jsonReader struct {
	limits  Limits
	columns []*rawColumn
	index   map[string]int
	line    int
	rows    int
	bytes   int
}

func (j *jsonReader) row(text []byte) error {
	broken := func(err error) error {
		return &ReadError{Line: j.line, Expected: "a JSON object", Found: describeJSON(err, text), Err: err}
	}
	if !utf8.Valid(text) {
		return broken(errors.New("bytes that are not UTF-8"))
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return broken(err)
	}
	if j.rows++; j.rows > j.limits.Rows {
		return &ReadError{Expected: fmt.Sprintf("at most %d rows", j.limits.Rows), Found: "more"}
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return broken(err)
		}
		name, _ := key.(string)
		value, err := decoder.Token()
		if err != nil {
			return broken(err)
		}
		if err := j.cell(name, value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return broken(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return broken(errors.New("something after the object"))
	}
	return nil
}

func describeJSON(err error, text []byte) string {
	if err == nil {
		return strconv.Quote(shorten(string(text)))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "an object that does not end in its line"
	}
	return err.Error()
}

func (j *jsonReader) cell(name string, value json.Token) error {
	at, known := j.index[name]
	if !known {
		if name == "" {
			return &ReadError{Line: j.line, Expected: "keys that are not empty", Found: `""`}
		}
		if strings.ContainsRune(name, 0) {
			return &ReadError{Line: j.line, Expected: "keys without NUL bytes", Found: strconv.Quote(shorten(name))}
		}
		if at = len(j.columns); at == j.limits.Columns {
			return &ReadError{Line: j.line, Column: name, Expected: fmt.Sprintf("at most %d columns", j.limits.Columns), Found: "more"}
		}
		j.index[name] = at
		j.columns = append(j.columns, newRawColumn(name, ""))
	}
	raw := j.columns[at]
	if len(raw.ends) == j.rows {
		return &ReadError{Line: j.line, Column: name, Expected: "each key once", Found: "the same key twice"}
	}
	raw.pad(j.rows - 1)
	j.bytes += 8
	switch v := value.(type) {
	case nil:
		raw.addMissing()
	case json.Number:
		kind := Float
		if fits(Int, v.String()) {
			kind = Int
		}
		raw.addAs(kind, v.String())
		j.bytes += len(v)
	case bool:
		raw.addAs(Bool, strconv.FormatBool(v))
	case string:
		kind := String
		if fits(Time, v) {
			kind = Time
		}
		raw.addAs(kind, v)
		j.bytes += len(v)
	default:
		return &ReadError{Line: j.line, Column: name, Expected: "a number, text, truth value or null", Found: "a nested list or object"}
	}
	if j.bytes > j.limits.Bytes {
		return &ReadError{Expected: fmt.Sprintf("a table of at most %d bytes", j.limits.Bytes), Found: "a larger one"}
	}
	return nil
}

// pad fills a column with missing values up to a number of rows.
func (c *rawColumn) pad(rows int) {
	for len(c.ends) < rows {
		c.addMissing()
	}
}

// addAs takes a value whose own type is known and widens the column's type to hold it.
func (c *rawColumn) addAs(kind Type, text string) {
	switch {
	case c.kind == "" || c.kind == kind:
		c.kind = kind
	case c.kind.Numeric() && kind.Numeric():
		c.kind = Float
	default:
		c.kind = String
	}
	c.text = append(c.text, text...)
	c.ends = append(c.ends, len(c.text))
}

// WriteCSV writes a frame with a header line; missing values are empty. Texts that pandas.read_csv and ReadCSV would take for missing
// cannot be told apart from missing ones in CSV: use Parquet where that matters.
func WriteCSV(w io.Writer, f *Frame) error {
	buffered := bufio.NewWriter(w)
	var line []byte
	write := func(cell func(c *Column) string) error {
		line = line[:0]
		for i, c := range f.columns {
			if i > 0 {
				line = append(line, ',')
			}
			line = appendField(line, cell(c), len(f.columns) == 1)
		}
		_, err := buffered.Write(append(line, '\n'))
		return err
	}
	if err := write(func(c *Column) string { return c.name }); err != nil {
		return fmt.Errorf("table: write csv: %w", err)
	}
	for i := range f.rows {
		if err := write(func(c *Column) string { return c.Text(i) }); err != nil {
			return fmt.Errorf("table: write csv: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("table: write csv: %w", err)
	}
	return nil
}

// appendField quotes what RFC 4180 wants quoted; an empty single field too, or its line would be blank and passed over.
func appendField(line []byte, field string, single bool) []byte {
	if !(field == "" && single) && !strings.ContainsAny(field, ",;\t|\"\r\n") && strings.TrimSpace(field) == field {
		return append(line, field...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(field, `"`, `""`)...)
	return append(line, '"')
}
