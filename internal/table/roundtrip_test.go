package table

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sampleFrame(t *testing.T) *Frame {
	t.Helper()
	at := time.Date(2024, 2, 29, 12, 30, 0, 123_456_000, time.UTC)
	f, err := NewFrame(
		NewFloats("x", []float64{1.5, math.NaN(), math.Inf(1)}),
		NewInts("i", []int64{1, 0, math.MinInt64}, []bool{true, false, true}),
		NewStrings("s", []string{"a,\"b\"\n", "", " é "}, []bool{true, false, true}),
		NewBools("b", []bool{true, false, false}, []bool{true, false, true}),
		NewTimes("t", []time.Time{at, {}, at.AddDate(1, 0, 0)}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func rows(f *Frame) []map[string]any {
	out := make([]map[string]any, f.Rows())
	for i := range out {
		out[i] = f.Row(i)
	}
	return out
}

func TestParquetRoundTrip(t *testing.T) {
	t.Parallel()
	f := sampleFrame(t)
	var b bytes.Buffer
	if err := WriteParquet(&b, f); err != nil {
		t.Fatal(err)
	}
	back, err := ReadParquet(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows(f), rows(back)); diff != "" {
		t.Error(diff)
	}
	for i := range f.Columns() {
		if f.Columns()[i].Type() != back.Columns()[i].Type() {
			t.Errorf("column %v came back as %v", f.Columns()[i], back.Columns()[i])
		}
	}
	var e *ReadError
	if _, err := ReadParquet(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), Limits{Rows: 2}); !errors.As(err, &e) {
		t.Errorf("limit of 2 rows: got %v", err)
	}
	for _, cut := range []int{0, 3, b.Len() / 2, b.Len() - 1} {
		if _, err := ReadParquet(t.Context(), bytes.NewReader(b.Bytes()[:cut]), int64(cut), Limits{}); !errors.As(err, &e) {
			t.Errorf("cut at %d: got %v", cut, err)
		}
	}
}

func TestParquetWriterInManyGroups(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := NewParquetWriter(&b, []ColumnSpec{{"n", Int}, {"f", Float}})
	if err != nil {
		t.Fatal(err)
	}
	const n = rowGroup + 10
	for i := range n {
		if err := w.WriteRow(i, float64(i)/2); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteRow("x", 1.0); err == nil || !strings.Contains(err.Error(), `column "n": expected a whole number, found string`) {
		t.Errorf("wrong type: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteRow(1, 1.0); err == nil {
		t.Error("a closed writer took a row")
	}
	f, err := ReadParquet(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), Limits{})
	if err != nil || f.Rows() != n || w.Rows() != n {
		t.Fatal(err, f, w.Rows())
	}
	last := f.Row(n - 1)
	if last["n"] != int64(n-1) || last["f"] != float64(n-1)/2 {
		t.Errorf("last row is %v", last)
	}
}

func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	f := sampleFrame(t)
	var b bytes.Buffer
	if err := WriteCSV(&b, f); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows(f), rows(read(t, b.String(), CSVOptions{}))); diff != "" {
		t.Error(diff)
	}
	one, _ := NewFrame(NewStrings("s", []string{"a", "", "b"}, []bool{true, false, true}))
	b.Reset()
	if err := WriteCSV(&b, one); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows(one), rows(read(t, b.String(), CSVOptions{}))); diff != "" {
		t.Error(diff)
	}
}

func TestReadJSONLines(t *testing.T) {
	t.Parallel()
	f, err := ReadJSONLines(strings.NewReader("{\"a\":1,\"b\":\"5\",\"c\":true}\n\n{\"c\":null,\"a\":2.5,\"d\":\"2024-01-02\"}\n{\"c\":1}\n"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"a": 1.0, "b": "5", "c": "true", "d": nil},
		{"a": 2.5, "b": nil, "c": nil, "d": time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)},
		{"a": nil, "b": nil, "c": "1", "d": nil},
	}
	if diff := cmp.Diff(want, rows(f)); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"":                        `table: expected one JSON object a line, found an empty file`,
		"{\"a\":1}\n[1]\n":        `table: line 2: expected a JSON object, found "[1]"`,
		"{\"a\":{\"b\":1}}\n":     `table: line 1, column "a": expected a number, text, truth value or null, found a nested list or object`,
		"{\"a\":1,\"a\":2}\n":     `table: line 1, column "a": expected each key once, found the same key twice`,
		"{\"a\":1}\n{\"a\":\n1}":  `table: line 2: expected a JSON object, found an object that does not end in its line`,
		"{\"a\":1} {}\n":          `table: line 1: expected a JSON object, found something after the object`,
		"{\"a\":\"" + "\xff\"}\n": `table: line 1: expected a JSON object, found bytes that are not UTF-8`,
	} {
		if _, err := ReadJSONLines(strings.NewReader(text), Limits{}); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestFrameHelpers(t *testing.T) {
	t.Parallel()
	f := sampleFrame(t)
	if got := f.Slice(1, 99); got.Rows() != 2 || got.Columns()[1].Missing() != 1 || got.Columns()[1].Value(1) != int64(math.MinInt64) {
		t.Errorf("slice: %v", rows(got))
	}
	if got := f.Filter(func(i int) bool { return f.Columns()[0].Valid(i) }); got.Rows() != 2 || got.Columns()[2].Text(1) != " é " {
		t.Errorf("filter: %v", rows(got))
	}
	if got, err := f.Select("s", "x"); err != nil || !cmp.Equal(got.Names(), []string{"s", "x"}) {
		t.Errorf("select: %v %v", got, err)
	}
	if _, err := f.Select("nope"); err == nil || err.Error() != `table: no column "nope"; there are "x", "i", "s", "b", "t"` {
		t.Errorf("select: %v", err)
	}
	if got := f.Without("x", "t"); !cmp.Equal(got.Names(), []string{"i", "s", "b"}) || got.Rows() != 3 {
		t.Errorf("without: %v", got.Names())
	}
	if _, err := NewFrame(NewInts("a", []int64{1}, nil), NewInts("b", nil, nil)); err == nil {
		t.Error("columns of different lengths were joined")
	}
}
