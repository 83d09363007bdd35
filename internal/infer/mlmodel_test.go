package infer

import (
	"os"
	"strings"
	"testing"
)

func TestParseDescription(t *testing.T) {
	t.Parallel()
	d, err := ReadDescription("testdata/parity/xgb-sk-regressor")
	if err != nil {
		t.Fatal(err)
	}
	if d.MLflowVersion != "3.17.2" || d.Environment.LoaderModule != "mlflow.xgboost" || d.Environment.PythonEnv != "python_env.yaml" || d.InputExample.Orient != "split" {
		t.Fatalf("%+v", d)
	}
	in := d.Signature.Inputs
	if len(in) != 7 || in[0].Name != "a" || in[0].Kind != Float64 || in[5].Kind != Bool || in[4].Type != "long" || !in[4].Required {
		t.Fatalf("%+v", in)
	}
	out := d.Signature.Outputs
	if len(out) != 1 || out[0].Type != "float32" || out[0].Batch != -1 {
		t.Fatalf("%+v", out)
	}
}

func TestParseDescriptionBad(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"empty":      "",
		"no flavors": "run_id: x\n",
		"not yaml":   "flavors: [",
		"deep":       "flavors: " + strings.Repeat("[", 5000),
		"deep lists": "flavors:\n" + strings.Repeat("- ", 100000) + "x",
		"bomb":       "a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nflavors: {x: {y: *c}}\n",
		"signature":  "flavors: {x: {}}\nsignature: {inputs: '[{\"type\": \"nonsense\", \"name\": \"a\"}]'}\n",
		"twice":      "flavors: {x: {}}\nsignature: {inputs: '[{\"type\": \"long\", \"name\": \"a\"},{\"type\": \"long\", \"name\": \"a\"}]'}\n",
	} {
		if d, err := ParseDescription([]byte(data)); err == nil {
			t.Errorf("%s: no error, got %+v", name, d)
		}
	}
}

func FuzzDescription(f *testing.F) {
	data, err := os.ReadFile("testdata/parity/xgb-sk-regressor/MLmodel")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := ParseDescription(data); err == nil && len(d.Flavors) == 0 {
			t.Fatal("no flavors")
		}
	})
}
