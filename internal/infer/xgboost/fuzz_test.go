package xgboost

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/infer/tree"
)

const cases = "../testdata/parity/"

func FuzzParse(f *testing.F) {
	for _, name := range []string{"xgb-json/model.json", "xgb-categorical/model.ubj", "xgb-dart/model.ubj", "xgb-gblinear/model.ubj", "xgb-category-text/model.ubj"} {
		data, err := os.ReadFile(cases + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, Options{BestIteration: true})
		if err != nil || m.Features > 1000 || m.Groups() > 1000 {
			return
		}
		columns := make([]tree.Column, m.Features)
		for i := range columns {
			columns[i] = tree.Column{Data: []float64{1, math.NaN(), -3, 0, 2.5}, Stride: 1}
		}
		out := make([]float64, 5*m.Groups())
		m.Margin(out, columns, 5)
		m.Link(out)
	})
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(cases + "xgb-json/model.json")
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for name, c := range map[string]struct{ data, want string }{
		"empty":          {"", "too early"},
		"not an object":  {"[1]", "not an object"},
		"no learner":     {"{}", "learner"},
		"cut":            {text[:len(text)/2], "JSON at byte"},
		"cycle":          {strings.Replace(text, `"left_children":[1,`, `"left_children":[0,`, 1), "reached twice"},
		"child outside":  {strings.Replace(text, `"left_children":[1,`, `"left_children":[9999,`, 1), "child"},
		"big feature":    {strings.Replace(text, `"split_indices":[`, `"split_indices":[77`, 1), "feature"},
		"base_score":     {strings.Replace(text, `"base_score":"[`, `"base_score":"[x`, 1), "base_score"},
		"objective":      {strings.Replace(text, `"name":"reg:squarederror"`, `"name":"my:own"`, 1), "not supported natively"},
		"huge claim":     {"{i\x01a[$d#l\x7f\xff\xff\xff", "too early"},
		"no-byte values": {"{i\x01a[$T#l\x00\x00\x00\x08", "container"},
		"deep":           {"{i\x01a" + strings.Repeat("[", 1000), "deep"},
	} {
		if c.data == text {
			t.Fatalf("%s: the file was not changed", name)
		}
		if _, err := Parse([]byte(c.data), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
