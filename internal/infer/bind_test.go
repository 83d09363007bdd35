package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func testSignature() *Signature {
	return &Signature{Inputs: []Spec{
		{Name: "d", Type: "double", Kind: Float64, Required: true},
		{Name: "l", Type: "long", Kind: Int64, Required: true},
		{Name: "i", Type: "integer", Kind: Int64, Required: false},
		{Name: "s", Type: "string", Kind: String, Required: true},
		{Name: "b", Type: "boolean", Kind: Bool, Required: false},
		{Name: "t", Type: "datetime", Kind: Datetime, Required: false},
	}}
}

// show prints a frame compactly: one row after the other.
func show(f *Frame) string {
	var rows []string
	for r := range f.Rows {
		var cells []string
		for _, c := range f.Columns {
			w := c.Width()
			for k := range w {
				v := c.Value(r*w + k)
				if v == nil {
					v = "-"
				}
				cells = append(cells, fmt.Sprint(v))
			}
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return strings.Join(rows, " | ")
}

func TestBindPredict(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, body, want string }{
		{"record", `{"d":1,"l":2.0,"s":"x"}`, "1 2 - x - -"},
		{"any order, escapes, null", ` {"s":"a\u00e9\n","l":-7,"d":null,"b":true,"i":null,"t":"1970-01-01T00:00:01"} `, "- -7 - aé\n true 1000000"},
		{"NaN word", `{"d":NaN,"l":1e3,"s":""}`, "- 1000 -  - -"},
		{"records", `[{"d":1,"l":2,"s":"x"},{"d":"NaN","l":3,"s":"y","i":4}]`, "1 2 - x - - | - 3 4 y - -"},
		{"row by position", `[1.5, 2, 3, "x", false, "2024-01-01"]`, "1.5 2 3 x false 1704067200000000"},
		{"rows by position", `[[1, 2, null, "x", null, null]]`, "1 2 - x - -"},
		{"text for a number", `{"d":"1.5","l":2,"s":"x"}`, `field "d" of row 0: expected a number (double), got text "1.5"`},
		{"not exact", `{"d":1,"l":2.5,"s":"x"}`, `field "l" of row 0: expected a whole number (long) from -9223372036854775808 to 9223372036854775807, got the number 2.5`},
		{"out of range", `{"d":1,"l":2,"i":3000000000,"s":"x"}`, `field "i" of row 0: expected a whole number (integer) from -2147483648 to 2147483647, got the number 3000000000`},
		{"null long", `{"d":1,"l":null,"s":"x"}`, `field "l" of row 0: expected a whole number (long), got null`},
		{"null string", `{"d":1,"l":1,"s":null}`, `field "s" of row 0: expected a text (string), got null`},
		{"bool as double", `{"d":true,"l":1,"s":"x"}`, `field "d" of row 0: expected a number (double), got true`},
		{"missing", `{"d":1,"s":"x"}`, `field "l" of row 0: expected a whole number (long), got nothing`},
		{"two problems", `{"d":"x","s":1}`, `field "d" of row 0: expected a number (double), got text "x"; field "s" of row 0: expected a text (string), got the number 1; field "l" of row 0: expected a whole number (long), got nothing`},
		{"list for a number", `{"d":[1],"l":1,"s":"x"}`, `field "d" of row 0: expected a number (double), got a list`},
		{"short row", `[[1,2]]`, `row 0: expected 6 values, got 2`},
		{"bad date", `{"d":1,"l":1,"s":"x","t":"soon"}`, `field "t" of row 0: expected a date and time such as "2026-01-31T13:00:00" (datetime), got text "soon"`},
		{"huge number", `{"d":1e999,"l":1,"s":"x"}`, `field "d" of row 0: expected a number within the range of a double, got the number 1e999`},
		{"empty", ``, "the input is not valid JSON"},
		{"empty list", `[]`, "expected at least one row, got none"},
		{"scalar", `5`, "expected a record, or a list of records or of rows, got the number 5"},
		{"cut", `{"d":1,"l":`, "the input is not valid JSON near byte 11: the text ends too early"},
		{"trailing", `{"d":1,"l":1,"s":"x"}}`, "the input is not valid JSON near byte 21"},
		{"leading zero", `{"d":01,"l":1,"s":"x"}`, "the input is not valid JSON"},
		{"bare word", `{"d":nope,"l":1,"s":"x"}`, "the input is not valid JSON"},
		{"deep", `{"zz":` + strings.Repeat("[", 100000) + `}`, "nested too deeply"},
	}
	b := NewBinder(testSignature(), Limits{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := b.Predict([]byte(c.body))
			checkBound(t, got, err, c.want)
		})
	}
}

func checkBound(t *testing.T, got *Bound, err error, want string) {
	t.Helper()
	if err != nil {
		var input *InputError
		if !errors.As(err, &input) || len(input.Problems) == 0 {
			t.Fatalf("not an input error with a problem: %v", err)
		}
		if !strings.Contains(err.Error(), want) {
			t.Fatalf("got error %s\nwant %s", err, want)
		}
		return
	}
	if show(got.Frame) != want {
		t.Fatalf("got %q, want %q", show(got.Frame), want)
	}
}

func TestBindInvocations(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, body, want, warning string }{
		{"split", `{"dataframe_split":{"columns":["s","d","zz","l"],"index":[0,1],"data":[["x",1,0,2],["y",2,0,3]]}}`, "1 2 - x - - | 2 3 - y - -", `the column "zz" is not in the model's signature and was ignored`},
		{"records", `{"dataframe_records":[{"d":1,"l":2,"s":"x","q":[1,{"a":2}]}]}`, "1 2 - x - -", `the column "q" is not in the model's signature and was ignored`},
		{"instances", `{"instances":[{"d":1,"l":2,"s":"x"}]}`, "1 2 - x - -", ""},
		{"inputs by column", `{"inputs":{"d":[1,2],"s":["x","y"],"l":[1,2]}}`, "1 1 - x - - | 2 2 - y - -", ""},
		{"params", `{"inputs":{"d":1,"s":"x","l":3},"params":{"zz":1}}`, "1 3 - x - -", `the parameter "zz" is not in the model's signature and was ignored`},
		{"unequal", `{"inputs":{"d":[1,2],"s":["x"],"l":[1,2]}}`, `field "s": expected 2 values as in the other columns, got 1`, ""},
		{"two kinds", `{"inputs":[],"instances":[]}`, "got both inputs and instances", ""},
		{"none", `{"data":[]}`, "expected an object with one of dataframe_split", ""},
		{"list", `[1]`, "expected an object with one of dataframe_split", ""},
		{"split without data", `{"dataframe_split":{"columns":["d"]}}`, "expected a list of rows in data, got nothing", ""},
		{"missing column", `{"dataframe_split":{"columns":["d","s"],"data":[[1,"x"]]}}`, `field "l" of row 0`, ""},
	}
	b := NewBinder(testSignature(), Limits{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := b.Invocations([]byte(c.body))
			checkBound(t, got, err, c.want)
			if err == nil && strings.Join(got.Warnings, ";") != c.warning {
				t.Fatalf("warnings %q", got.Warnings)
			}
		})
	}
}

func TestBindTensorAndFree(t *testing.T) {
	t.Parallel()
	tensor := NewBinder(&Signature{Inputs: []Spec{{Type: "float32", Kind: Float64, Required: true, Shape: []int{3}, Batch: -1}}}, Limits{})
	open := NewBinder(&Signature{Inputs: []Spec{{Name: "x", Type: "int64", Kind: Int64, Required: true, Shape: []int{-1, 2}, Batch: -1}}}, Limits{})
	free := NewBinder(nil, Limits{})
	small := NewBinder(testSignature(), Limits{Rows: 1})
	cases := []struct {
		name   string
		call   func([]byte) (*Bound, error)
		body   string
		want   string
		column string
	}{
		{"rows", tensor.Predict, `[[1,2,3],[4,5,6]]`, "1 2 3 | 4 5 6", ""},
		{"one row", tensor.Predict, `[1,2,3]`, "1 2 3", ""},
		{"float32", tensor.Predict, `[0.1,2,3]`, "0.10000000149011612 2 3", ""},
		{"split", tensor.Invocations, `{"dataframe_split":{"columns":["a","b","c"],"data":[[1,2,3]]}}`, "1 2 3", ""},
		{"ragged", tensor.Predict, `[[1,2,3],[4,5]]`, "expected an array of shape [3], got shape [2]", ""},
		{"too deep", tensor.Predict, `[[1,2,[3]]]`, "expected a number (float32), got a list", ""},
		{"open", open.Invocations, `{"inputs":{"x":[[[1,2],[3,4]],[[5,6],[7,8]]]}}`, "1 2 3 4 | 5 6 7 8", ""},
		{"open, fixed by the first", open.Invocations, `{"inputs":{"x":[[[1,2]],[[5,6],[7,8]]]}}`, "expected an array of shape [1, 2], got shape [2, 2]", ""},
		{"open, bad first row", open.Invocations, `{"inputs":{"x":[[1],[[5,6],[7,8]]]}}`, "expected an array of shape [any, 2], got shape [1]", ""},
		{"free record", free.Predict, `{"a":1,"b":"x","c":null,"d":{"e":[1]},"f":true}`, `1 x - {"e":[1]} true`, ""},
		{"free rows", free.Predict, `[{"a":1},{"a":2.5,"b":"x"}]`, "1 - | 2.5 x", ""},
		{"free split", free.Invocations, `{"dataframe_split":{"columns":["p","q"],"data":[[1,2],[3,null]]}}`, "1 2 | 3 -", ""},
		{"too many rows", small.Predict, `[{},{}]`, "expected at most 1 rows", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.call([]byte(c.body))
			checkBound(t, got, err, c.want)
		})
	}
}

func TestBindExampleOfLoggedModel(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"testdata/parity/xgb-sk-regressor", "testdata/parity/lgb-sk-multi"} {
		d, err := ReadDescription(dir)
		if err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(dir + "/" + d.InputExample.ServingPath)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewBinder(d.Signature, Limits{}).Invocations(body)
		if err != nil || got.Frame.Rows != 2 || len(got.Warnings) > 0 {
			t.Fatalf("%v %v", got, err)
		}
		m, err := Load(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		example, err := Source{Dir: dir, Description: d}.Example()
		if err != nil || example.Rows != 2 {
			t.Fatal(err)
		}
		if _, err := m.Predict(t.Context(), example); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkBindRecord(b *testing.B) {
	d, err := ReadDescription("testdata/parity/xgb-sk-regressor")
	if err != nil {
		b.Fatal(err)
	}
	binder := NewBinder(d.Signature, Limits{})
	body, _ := json.Marshal(map[string]any{"a": 1.25, "b b": -100.5, "c": 2, "zero": nil, "n": 4, "flag": true, "k": 7})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := binder.Predict(body); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzBind(f *testing.F) {
	f.Add([]byte(`{"d":1,"l":2.0,"s":"x"}`))
	f.Add([]byte(`{"dataframe_split":{"columns":["s"],"data":[["x"]]},"params":{}}`))
	f.Add([]byte(`[[1,2,3],[4,5,6]]`))
	f.Add([]byte(`{"inputs":{"d":[1,2],"s":["x","y"],"l":[1,2]}}`))
	binders := []*Binder{
		NewBinder(testSignature(), Limits{Rows: 100, Values: 10_000}), NewBinder(nil, Limits{Rows: 100, Values: 10_000}),
		NewBinder(&Signature{Inputs: []Spec{{Name: "x", Type: "int64", Kind: Int64, Required: true, Shape: []int{-1, 2}, Batch: -1}}}, Limits{Rows: 100, Values: 10_000}),
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range binders {
			for _, call := range []func([]byte) (*Bound, error){b.Predict, b.Invocations, b.Columns} {
				got, err := call(body)
				if err != nil {
					continue
				}
				for _, c := range got.Frame.Columns {
					if c.Len() != got.Frame.Rows*c.Width() || (c.Valid != nil && len(c.Valid) != c.Len()) {
						t.Fatalf("column %q has %d values for %d rows of %d", c.Name, c.Len(), got.Frame.Rows, c.Width())
					}
				}
			}
		}
	})
}
