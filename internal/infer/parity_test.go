package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parityCase is what test/parity/infer wrote: rows, and what the library answered through mlflow.pyfunc.
type parityCase struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	Predict []any    `json:"predict"`
	Proba   [][]any  `json:"proba"`
	Note    string   `json:"note"`
}

// tolerance is absolute below one and relative above: the libraries round to float32 (XGBoost) or print 17 digits.
const tolerance = 1e-6

func loadCase(t testing.TB, dir string) parityCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c parityCase
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// frame builds the typed frame of a case: numbers as float64, booleans and texts as themselves.
func (c parityCase) frame(t testing.TB) *Frame {
	t.Helper()
	f := &Frame{Rows: len(c.Rows)}
	for i, name := range c.Columns {
		col := Column{Name: name, Kind: Float64}
		for _, row := range c.Rows {
			switch row[i].(type) {
			case string:
				col.Kind = String
			case bool:
				col.Kind = Bool
			}
		}
		for _, row := range c.Rows {
			switch col.Kind {
			case String:
				s, ok := row[i].(string)
				col.Strings, col.Valid = append(col.Strings, s), append(col.Valid, ok)
			case Bool:
				col.Bools = append(col.Bools, row[i].(bool))
			default:
				v := math.NaN()
				if x, ok := row[i].(float64); ok {
					v = x
				}
				col.Floats = append(col.Floats, v)
			}
		}
		f.Columns = append(f.Columns, col)
	}
	return f
}

func flat(v any) []any {
	list, ok := v.([]any)
	if !ok {
		return []any{v}
	}
	var out []any
	for _, x := range list {
		out = append(out, flat(x)...)
	}
	return out
}

func compare(t *testing.T, what string, got Column, want []any) {
	t.Helper()
	if got.Len() != len(want) {
		t.Fatalf("%s: %d values, want %d", what, got.Len(), len(want))
	}
	worst := 0.0
	for i, w := range want {
		switch x := w.(type) {
		case float64:
			g := got.Float(i)
			diff := math.Abs(g-x) / math.Max(1, math.Abs(x))
			worst = math.Max(worst, diff)
			if !(diff <= tolerance) {
				t.Fatalf("%s %d: got %v, want %v", what, i, g, x)
			}
		default:
			if got.Value(i) != w {
				t.Fatalf("%s %d: got %v, want %v", what, i, got.Value(i), w)
			}
		}
	}
	t.Logf("%s: %d values, worst difference %.1e", what, len(want), worst)
}

// TestTreeParity checks every model of testdata/parity against its library's answers, at once and row by row.
func TestTreeParity(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/parity/*/MLmodel")
	if err != nil || len(dirs) < 60 {
		t.Fatalf("%d cases: %v", len(dirs), err)
	}
	toPython := map[string]bool{"lgb-linear": true, "lgb-sk-pickle": true}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		name := filepath.Base(dir)
		if !strings.HasPrefix(name, "xgb-") && !strings.HasPrefix(name, "lgb-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := loadCase(t, dir)
			m, err := Load(t.Context(), dir, Options{})
			if toPython[name] {
				var load *LoadError
				if !asLoadError(err, &load) || !load.Missing {
					t.Fatalf("want an error that names the missing Python runtime, got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if m.Info().Runtime != RuntimeNative {
				t.Fatalf("runtime %s", m.Info().Runtime)
			}
			frame := c.frame(t)
			out, err := m.Predict(t.Context(), frame)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "predict", out.Columns[0], flat([]any(c.Predict)))
			if c.Proba != nil {
				var want []any
				for _, row := range c.Proba {
					want = append(want, row...)
				}
				compare(t, "proba", *out.Column("probability"), want)
			}
			single := c
			for i := range c.Rows {
				single.Rows, single.Predict = c.Rows[i:i+1], c.Predict[i:i+1]
				f := single.frame(t)
				for k := range f.Columns { // a row alone may hide a column's type
					f.Columns[k].retype(frame.Columns[k].Kind)
				}
				one, err := m.Predict(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := fmt.Sprint(values(one.Columns[0])), fmt.Sprint(values(slice(out.Columns[0], i))); got != want {
					t.Fatalf("row %d alone gives %s, in a batch %s", i, got, want)
				}
			}
		})
	}
}

func (c *Column) retype(k Kind) {
	if c.Kind == k {
		return
	}
	if k == String {
		c.Strings, c.Valid, c.Kind = make([]string, len(c.Floats)), make([]bool, len(c.Floats)), String
		c.Floats = nil
	}
}

func values(c Column) []any {
	var out []any
	for i := range c.Len() {
		out = append(out, c.Value(i))
	}
	return out
}

// slice is row i of a column.
func slice(c Column, i int) Column {
	w := c.Width()
	out := c
	switch c.Kind {
	case Float64:
		out.Floats = c.Floats[i*w : (i+1)*w]
	case Int64:
		out.Ints = c.Ints[i*w : (i+1)*w]
	case Bool:
		out.Bools = c.Bools[i*w : (i+1)*w]
	default:
		out.Strings = c.Strings[i*w : (i+1)*w]
	}
	return out
}

func asLoadError(err error, into **LoadError) bool { return errors.As(err, into) }
