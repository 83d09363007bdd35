package table

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, text string, o CSVOptions) *Frame {
	t.Helper()
	f, err := ReadCSV(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadCSVInfersTypes(t *testing.T) {
	t.Parallel()
	f := read(t, "\xef\xbb\xbfi;f;b;t;s;n\r\n1;1.5;True;2024-01-02 03:04:05;\"a;\"\"b\"\"\nc\";\r\n;2;false;2024-01-02;x;NA\r\n-3;1e3;;;7;\r\n", CSVOptions{})
	type column struct {
		Name    string
		Type    Type
		Missing int
		Values  []any
	}
	var got []column
	for _, c := range f.Columns() {
		values := make([]any, c.Len())
		for i := range values {
			if values[i] = c.Value(i); c.Type() == Time {
				values[i] = c.Text(i)
			}
		}
		got = append(got, column{c.Name(), c.Type(), c.Missing(), values})
	}
	want := []column{
		{"i", Int, 1, []any{int64(1), nil, int64(-3)}},
		{"f", Float, 0, []any{1.5, 2.0, 1000.0}},
		{"b", Bool, 1, []any{true, false, nil}},
		{"t", Time, 1, []any{"2024-01-02T03:04:05Z", "2024-01-02T00:00:00Z", ""}},
		{"s", String, 0, []any{"a;\"b\"\nc", "x", "7"}},
		{"n", Float, 3, []any{nil, nil, nil}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ints, _ := f.Column("i")
	if x := ints.Floats(); x[0] != 1 || !math.IsNaN(x[1]) || x[2] != -3 {
		t.Errorf("Floats of an int column with a gap: %v", x)
	}
}

func TestReadCSVWidens(t *testing.T) {
	t.Parallel()
	f := read(t, "a,b,c,d\n1,1,true,2024-01-01\n2.5,x,0,later\n3,2,1,2024-01-02\n", CSVOptions{})
	want := map[string]Type{"a": Float, "b": String, "c": String, "d": String}
	for name, kind := range want {
		c, _ := f.Column(name)
		if c.Type() != kind {
			t.Errorf("column %s is %s, want %s", name, c.Type(), kind)
		}
	}
	b, _ := f.Column("b")
	if diff := cmp.Diff([]string{"1", "x", "2"}, b.Strings()); diff != "" {
		t.Error(diff)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*readAhead)
	tests := map[string]struct {
		text    string
		options CSVOptions
		want    ReadError
	}{
		"empty":       {"", CSVOptions{}, ReadError{Expected: "a header line", Found: "an empty file"}},
		"short row":   {"a,b,c\n1,2,3\n1,2\n", CSVOptions{}, ReadError{Line: 3, Column: "c", Expected: "3 fields", Found: "2"}},
		"long row":    {"a,b\n1,2,3\n", CSVOptions{}, ReadError{Line: 2, Expected: "2 fields", Found: "3"}},
		"same name":   {"a,a\n", CSVOptions{}, ReadError{Line: 1, Column: "a", Expected: "distinct column names", Found: "the same name twice"}},
		"forced type": {"a\n1\n\n\"2\n\"\nx\n", CSVOptions{Types: map[string]Type{"a": Int}}, ReadError{Line: 6, Column: "a", Expected: "a whole number", Found: `"x"`}},
		"no column":   {"a\n1\n", CSVOptions{Types: map[string]Type{"z": Int}}, ReadError{Line: 1, Column: "z", Expected: "this column", Found: `only "a"`}},
		"latin 1":     {"a,b\n1,caf\xe9\n", CSVOptions{}, ReadError{Line: 2, Column: "b", Expected: "UTF-8 (save or convert the file as UTF-8)", Found: `"caf\xe9"`}},
		"bare quote":  {"a,b\n1,x\"y\n", CSVOptions{}, ReadError{Line: 2, Expected: "fields quoted as in RFC 4180", Found: "a bare quote in an unquoted field"}},
		"open quote":  {"a,b\n1,\"x\n2,3\n", CSVOptions{}, ReadError{Line: 2, Expected: "fields quoted as in RFC 4180", Found: "a quote that is opened in this row and never closed, or text after a closing quote"}},
		"endless row": {"a,b\n1,2\n1,\"" + long, CSVOptions{Limits: Limits{RowBytes: 100}}, ReadError{Line: 3, Expected: "rows of at most 100 bytes", Found: "a longer one (perhaps a quote that is never closed)"}},
		"rows":        {"a\n1\n2\n3\n", CSVOptions{Limits: Limits{Rows: 2}}, ReadError{Expected: "at most 2 rows", Found: "more"}},
		"columns":     {"a,b,c\n", CSVOptions{Limits: Limits{Columns: 2}}, ReadError{Line: 1, Expected: "at most 2 columns", Found: "3"}},
		"bytes":       {"a\n" + strings.Repeat("1\n", 100), CSVOptions{Limits: Limits{Bytes: 100}}, ReadError{Expected: "a table of at most 100 bytes", Found: "a larger one"}},
		"separator":   {"a\n", CSVOptions{Separator: '"'}, ReadError{Expected: "one character as separator, no quote and no line end", Found: `'"'`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadCSV(strings.NewReader(test.text), test.options)
			var got *ReadError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a ReadError", err)
			}
			found := *got
			found.Err = nil
			if diff := cmp.Diff(test.want, found, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Err" }, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadCSVNoHeaderAndIndexColumn(t *testing.T) {
	t.Parallel()
	f := read(t, "1\t2\n3\t4\n", CSVOptions{NoHeader: true})
	if diff := cmp.Diff([]string{"column_1", "column_2"}, f.Names()); diff != "" || f.Rows() != 2 {
		t.Error(diff, f.Rows())
	}
	if f = read(t, ",a\n0,x\n", CSVOptions{}); f.Names()[0] != "Unnamed: 0" {
		t.Errorf("index column is called %q", f.Names()[0])
	}
}

func TestReadCSVPassesReaderErrors(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("a\n1\n"), errReader{})
	if _, err := ReadCSV(broken, CSVOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the error of the reader", err)
	}
}

var errBroken = errors.New("broken")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func FuzzReadCSV(f *testing.F) {
	f.Add("a,b\n1,2\n", byte(','))
	f.Add("\xef\xbb\xbfa;b\r\n\"x\"\"\";NaN\r\n", byte(0))
	f.Add("t\n2024-01-01T00:00:00Z\n2024-01-01 10:00\n", byte(0))
	f.Fuzz(func(t *testing.T, text string, separator byte) {
		frame, err := ReadCSV(strings.NewReader(text), CSVOptions{Separator: rune(separator), Limits: Limits{Rows: 100, Columns: 20, RowBytes: 1000}})
		if err != nil {
			return
		}
		for _, c := range frame.Columns() {
			if c.Len() != frame.Rows() || len(c.Present()) != c.Len()-c.Missing() {
				t.Fatalf("%v disagrees with %d rows, %d missing", c, frame.Rows(), c.Missing())
			}
		}
	})
}
