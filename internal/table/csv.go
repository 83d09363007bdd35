package table

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// CSVOptions say how a CSV file is to be read. The zero value finds out by itself.
type CSVOptions struct {
	Separator rune            // 0: the one of , ; tab | that is most frequent in the first line
	NoHeader  bool            // columns are then called column_1, column_2 ...
	Types     map[string]Type // types that are asked for instead of inferred; a value that does not fit is an error
	Missing   []string        // texts that mean a missing value; nil: those of pandas.read_csv
	Limits    Limits
}

// missingTexts are what pandas.read_csv takes for missing.
func missingTexts() []string {
	return []string{
		"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
		"NULL", "NaN", "None", "n/a", "nan", "null",
	}
}

// ReadCSV reads a whole CSV file (RFC 4180, UTF-8, with or without byte order mark) and infers the narrowest type that fits all
// values of a column: int64, float64, bool (true/false), time (ISO 8601), else string. A column without any value is float64.
// Errors are a *ReadError, except those of r itself.
func ReadCSV(r io.Reader, o CSVOptions) (*Frame, error) {
	o.Limits = o.Limits.withDefaults()
	limiter := &rowLimiter{r: r, limit: int64(o.Limits.RowBytes)}
	buffered := bufio.NewReaderSize(limiter, readAhead)
	if bom, _ := buffered.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3)
	}
	if o.Separator == 0 {
		o.Separator = sniffSeparator(buffered)
	}
	if !validSeparator(o.Separator) {
		return nil, &ReadError{Expected: "one character as separator, no quote and no line end", Found: strconv.QuoteRune(o.Separator)}
	}
	c := &csvReader{options: o, limiter: limiter, records: csv.NewReader(buffered), missing: map[string]bool{}}
	c.records.Comma, c.records.ReuseRecord, c.records.FieldsPerRecord = o.Separator, true, -1
	if o.Missing == nil {
		o.Missing = missingTexts()
	}
	for _, text := range o.Missing {
		c.missing[text] = true
	}
	return c.read()
}

func validSeparator(r rune) bool {
	return r > 0 && r != '"' && r != '\r' && r != '\n' && r != utf8.RuneError && utf8.ValidRune(r)
}

func sniffSeparator(r *bufio.Reader) rune {
	start, _ := r.Peek(16 << 10)
	counts := map[byte]int{}
	quoted := false
	for _, b := range start {
		if b == '"' {
			quoted = !quoted
		}
		if !quoted && (b == '\n' || b == '\r') {
			break
		}
		if !quoted {
			counts[b]++
		}
	}
	best := byte(',')
	for _, b := range []byte{';', '\t', '|'} {
		if counts[b] > counts[best] {
			best = b
		}
	}
	return rune(best)
}

type csvReader struct {
	options CSVOptions
	limiter *rowLimiter
	records *csv.Reader
	missing map[string]bool
	columns []*rawColumn
	rows    int
	bytes   int
	line    int // of the last record
}

func (c *csvReader) read() (*Frame, error) {
	first, err := c.next()
	if err == io.EOF {
		return nil, &ReadError{Expected: "a header line", Found: "an empty file", Err: io.ErrUnexpectedEOF}
	}
	if err != nil {
		return nil, err
	}
	if err := c.header(first); err != nil {
		return nil, err
	}
	if c.options.NoHeader {
		if err := c.row(first); err != nil {
			return nil, err
		}
	}
	for {
		record, err := c.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.row(record); err != nil {
			return nil, err
		}
	}
	columns := make([]*Column, len(c.columns))
	for i, raw := range c.columns {
		columns[i] = raw.column()
		c.columns[i] = nil // let the text go as soon as it is parsed
	}
	return NewFrame(columns...)
}

// next reads one record and says in our words what encoding/csv found wrong.
func (c *csvReader) next() ([]string, error) {
	record, err := c.records.Read()
	c.limiter.mark = c.records.InputOffset()
	var parse *csv.ParseError
	switch {
	case err == nil:
		c.line, _ = c.records.FieldPos(0)
		return record, nil
	case err == io.EOF:
		return nil, err
	case errors.Is(err, errRowTooLong):
		return nil, &ReadError{
			Line: c.line + 1, Expected: fmt.Sprintf("rows of at most %d bytes", c.options.Limits.RowBytes),
			Found: "a longer one (perhaps a quote that is never closed)", Err: err,
		}
	case errors.As(err, &parse):
		found := parse.Err.Error()
		switch {
		case errors.Is(parse.Err, csv.ErrQuote):
			found = "a quote that is opened in this row and never closed, or text after a closing quote"
		case errors.Is(parse.Err, csv.ErrBareQuote):
			found = "a bare quote in an unquoted field"
		}
		return nil, &ReadError{Line: parse.StartLine, Expected: "fields quoted as in RFC 4180", Found: found, Err: err}
	}
	return nil, fmt.Errorf("table: read csv: %w", err)
}

func (c *csvReader) header(first []string) error {
	if len(first) > c.options.Limits.Columns {
		return &ReadError{Line: 1, Expected: fmt.Sprintf("at most %d columns", c.options.Limits.Columns), Found: strconv.Itoa(len(first))}
	}
	seen := map[string]bool{}
	for i, name := range first {
		name = strings.TrimSpace(name)
		switch {
		case c.options.NoHeader:
			name = fmt.Sprintf("column_%d", i+1)
		case name == "": // the index that pandas.to_csv writes; this is what pandas then calls it
			name = fmt.Sprintf("Unnamed: %d", i)
		case !utf8.ValidString(name), strings.ContainsRune(name, 0):
			return &ReadError{Line: 1, Column: fmt.Sprintf("column_%d", i+1), Expected: "a name in UTF-8", Found: strconv.Quote(shorten(name))}
		}
		if seen[name] {
			return &ReadError{Line: 1, Column: name, Expected: "distinct column names", Found: "the same name twice"}
		}
		seen[name] = true
		c.columns = append(c.columns, newRawColumn(strings.Clone(name), c.options.Types[name]))
	}
	for name, t := range c.options.Types {
		if !t.Valid() {
			return &ReadError{Column: name, Expected: "one of the types float64, int64, string, bool, time", Found: strconv.Quote(string(t))}
		}
		if !seen[name] {
			return &ReadError{Line: 1, Column: name, Expected: "this column", Found: "only " + list(c.names())}
		}
	}
	return nil
}

func (c *csvReader) names() []string {
	names := make([]string, len(c.columns))
	for i, raw := range c.columns {
		names[i] = raw.name
	}
	return names
}

func (c *csvReader) row(record []string) error {
	if len(record) != len(c.columns) {
		e := &ReadError{Line: c.line, Expected: fmt.Sprintf("%d fields", len(c.columns)), Found: strconv.Itoa(len(record))}
		if len(record) < len(c.columns) {
			e.Column = c.columns[len(record)].name // the first one that is not there
		}
		return e
	}
	if c.rows++; c.rows > c.options.Limits.Rows {
		return &ReadError{Expected: fmt.Sprintf("at most %d rows", c.options.Limits.Rows), Found: "more"}
	}
	for i, text := range record {
		raw := c.columns[i]
		c.bytes += len(text) + 4
		if c.missing[text] {
			raw.addMissing()
			continue
		}
		if !utf8.ValidString(text) {
			line, _ := c.records.FieldPos(i)
			return &ReadError{Line: line, Column: raw.name, Expected: "UTF-8 (save or convert the file as UTF-8)", Found: strconv.Quote(shorten(text))}
		}
		if !raw.add(text) {
			line, _ := c.records.FieldPos(i)
			return &ReadError{Line: line, Column: raw.name, Expected: raw.forced.describe(), Found: strconv.Quote(shorten(text))}
		}
	}
	if c.bytes > c.options.Limits.Bytes {
		return &ReadError{Expected: fmt.Sprintf("a table of at most %d bytes", c.options.Limits.Bytes), Found: "a larger one"}
	}
	return nil
}

func (t Type) describe() string {
	switch t {
	case Float:
		return "a number"
	case Int:
		return "a whole number"
	case Bool:
		return "true or false"
	case Time:
		return "a time such as 2024-01-31T12:00:00Z"
	}
	return "text"
}

// rawColumn keeps the text of a column in one piece until its type is known.
type rawColumn struct {
	name   string
	forced Type // "" when it is to be inferred
	kind   Type // the narrowest type that fits what was seen; "" before the first value
	text   []byte
	ends   []int // end of each value in text; negative (bitwise not) when missing
}

func newRawColumn(name string, forced Type) *rawColumn {
	return &rawColumn{name: name, forced: forced, kind: forced}
}

func (c *rawColumn) addMissing() { c.ends = append(c.ends, ^len(c.text)) }

// add takes a value and widens the inferred type where it must; false when it does not fit the forced one.
func (c *rawColumn) add(text string) bool {
	switch {
	case c.forced != "":
		if !fits(c.forced, text) {
			return false
		}
	case c.kind == "":
		c.kind = narrowest(text)
	case !fits(c.kind, text):
		if c.kind == Int && fits(Float, text) {
			c.kind = Float
		} else {
			c.kind = String
		}
	}
	c.text = append(c.text, text...)
	c.ends = append(c.ends, len(c.text))
	return true
}

func narrowest(text string) Type {
	for _, t := range []Type{Int, Float, Bool, Time} {
		if fits(t, text) {
			return t
		}
	}
	return String
}

func fits(t Type, text string) bool {
	switch t {
	case Int:
		_, err := parseInt(text)
		return err == nil
	case Float:
		_, err := parseFloat(text)
		return err == nil
	case Bool:
		_, err := parseBool(text)
		return err == nil
	case Time:
		_, err := ParseTime(text)
		return err == nil
	}
	return true
}

func (c *rawColumn) column() *Column {
	kind := c.kind
	if kind == "" {
		kind = Float
	}
	b := builder{kind: kind}
	b.grow(len(c.ends))
	all := string(c.text)
	c.text = nil
	from := 0
	for _, end := range c.ends {
		if end < 0 {
			b.appendMissing()
			continue
		}
		text := all[from:end]
		from = end
		switch kind {
		case Int:
			x, _ := parseInt(text) // fits has seen to it
			b.appendInt(x)
		case Float:
			x, _ := parseFloat(text)
			b.appendFloat(x)
		case Bool:
			x, _ := parseBool(text)
			b.appendBool(x)
		case Time:
			x, _ := ParseTime(text)
			b.appendInt(x.UnixMicro())
		default:
			b.appendString(text)
		}
	}
	return b.column(c.name)
}

var errNoNumber = errors.New("not a number")

func parseInt(text string) (int64, error) { return strconv.ParseInt(strings.TrimSpace(text), 10, 64) }

// parseFloat takes decimal notation and infinities; not Go's hexadecimal floats, underscores and NaN spellings.
func parseFloat(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "xX_pP") {
		return 0, errNoNumber
	}
	x, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // an overflow is infinite, as pandas and numpy have it
	}
	return x, err
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	return false, errNoNumber
}

var errNoTime = errors.New("not a time")

// ParseTime reads ISO 8601 dates and times, with T or a space between, to the minute or finer, with an offset or, without
// one, in UTC. Years 1678 to 2261 are taken, which also pandas can hold.
func ParseTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if len(text) < len("2006-01-02") || len(text) > 40 || text[4] != '-' || text[7] != '-' {
		return time.Time{}, errNoTime
	}
	if len(text) > 10 && text[10] == ' ' {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range [...]string{"2006-01-02", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			if t.Year() < 1678 || t.Year() > 2261 {
				return time.Time{}, errNoTime
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, errNoTime
}
