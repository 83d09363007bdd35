package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/infer/onnx"
	"github.com/modelyard/modelyard/internal/infer/ortlib"
)

type onnxCase struct {
	parityCase
	Outputs map[string][]any `json:"outputs"`
}

// nativeONNX are the graphs that need no library.
func nativeONNX(name string) bool {
	switch name {
	case "mlp":
		return false
	}
	return true
}

// TestONNXParity runs every graph of testdata/onnx natively and, where it is installed, in ONNX Runtime.
func TestONNXParity(t *testing.T) {
	t.Parallel()
	library, missing := ortlib.Find("", "")
	dirs, err := filepath.Glob("testdata/onnx/*/MLmodel")
	if err != nil || len(dirs) < 16 {
		t.Fatalf("%d cases: %v", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		name := filepath.Base(dir)
		data, err := os.ReadFile(filepath.Join(dir, "case.json"))
		if err != nil {
			t.Fatal(err)
		}
		var c onnxCase
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		for _, runtime := range []string{RuntimeNative, RuntimeONNX, ""} {
			t.Run(name+"/"+runtime, func(t *testing.T) {
				t.Parallel()
				if runtime != RuntimeNative && missing != nil {
					t.Skip(missing)
				}
				m, err := Load(t.Context(), dir, Options{Prefer: runtime, ONNXRuntime: library})
				if runtime == RuntimeNative && !nativeONNX(name) {
					if err == nil {
						t.Fatal("expected to need ONNX Runtime")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				if want := map[bool]string{true: RuntimeNative, false: RuntimeONNX}[nativeONNX(name)]; runtime == "" && m.Info().Runtime != want {
					t.Fatalf("ran in %s: %v", m.Info().Runtime, m.Info().Notes)
				}
				out, err := m.Predict(t.Context(), c.frame(t))
				if err != nil {
					t.Fatal(err)
				}
				if len(out.Columns) != len(c.Outputs) {
					t.Fatalf("%d outputs, want %d", len(out.Columns), len(c.Outputs))
				}
				for _, col := range out.Columns {
					compare(t, col.Name, col, flat([]any(c.Outputs[col.Name])))
				}
			})
		}
	}
}

func TestONNXExternalDataEscape(t *testing.T) {
	t.Parallel()
	// GraphProto{initializer{name "w", external_data{key "location" value "../../etc/passwd"}}}
	entry := message(13, append(field(1, "location"), field(2, "../../etc/passwd")...))
	graph := message(7, message(5, append(field(8, "w"), entry...)))
	m, err := onnx.Read(graph)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.CheckExternal(); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Fatalf("got %v", err)
	}
}

func field(n byte, s string) []byte { return message(n, []byte(s)) }

func message(n byte, b []byte) []byte { return append([]byte{n<<3 | 2, byte(len(b))}, b...) }

func FuzzONNX(f *testing.F) {
	for _, name := range []string{"mixed", "forest", "lgb-binary"} {
		data, err := os.ReadFile("testdata/onnx/" + name + "/model.onnx")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := onnx.Read(data)
		if err != nil {
			return
		}
		g, err := onnx.Compile(file)
		if err != nil {
			return
		}
		m := newONNXModel(g, RuntimeNative, "onnx-ml", Source{Description: &Description{}}, 0)
		for _, p := range g.Inputs() {
			if len(p.Shape) == 2 && (p.Shape[1] > 1000 || p.Shape[1] < 0) {
				return
			}
		}
		out, err := m.Predict(t.Context(), m.sample(3))
		if err == nil && out.Rows != 3 {
			t.Fatal("rows were lost")
		}
	})
}
