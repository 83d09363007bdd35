package lightgbm

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/infer/tree"
)

const cases = "../testdata/parity/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(cases + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func try(m *Model) {
	if m.Features > 1000 || m.Groups() > 1000 {
		return
	}
	columns := make([]tree.Column, m.Features)
	for i := range columns {
		columns[i] = tree.Column{Data: []float64{1, math.NaN(), -3, 0, 2.5}, Stride: 1}
	}
	out := make([]float64, 5*m.Groups())
	m.Margin(out, columns, 5)
	m.Link(out)
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"lgb-regression", "lgb-categorical", "lgb-multiclass", "lgb-stump", "lgb-category-text"} {
		f.Add(read(f, name+"/model.lgb"))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if m, err := Parse(data, 0); err == nil {
			try(m)
		}
	})
}

func FuzzSkops(f *testing.F) {
	f.Add(read(f, "lgb-sk-binary/model.skops"))
	f.Add(read(f, "lgb-sk-text/model.skops"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if e, err := ParseSkops(data, 1<<20); err == nil {
			try(e.Model)
		}
	})
}

func FuzzNPY(f *testing.F) {
	f.Add([]byte("\x93NUMPY\x01\x00v\x00{'descr': '<U8', 'fortran_order': False, 'shape': (3,), }"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, n, err := parseNPY(data); err == nil && (v == nil || n < 0) {
			t.Fatalf("%v %d", v, n)
		}
	})
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	text := string(read(t, "lgb-regression/model.lgb"))
	change := func(old, with string) string { return strings.Replace(text, old, with, 1) }
	for name, c := range map[string]struct{ data, want string }{
		"empty":         {"", "not a LightGBM model"},
		"cut":           {text[:len(text)/2], ""},
		"no end":        {change("end of trees", "end of tres"), "too early"},
		"cycle":         {change("left_child=", "left_child=0 #"), "left_child"},
		"child outside": {change("right_child=", "right_child=9"), ""},
		"objective":     {change("objective=regression", "objective=mine"), "not supported natively"},
		"leaves":        {change("num_leaves=", "num_leaves=9"), "values"},
		"feature":       {change("max_feature_idx=6", "max_feature_idx=5"), "feature names"},
	} {
		if c.data == text {
			t.Fatalf("%s: the file was not changed", name)
		}
		if _, err := Parse([]byte(c.data), 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
