package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/modelyard/modelyard/internal/infer/onnx"
	"github.com/modelyard/modelyard/internal/infer/ort"
	"github.com/modelyard/modelyard/internal/infer/ortlib"
)

// graph runs an ONNX graph: natively, or in ONNX Runtime.
type graph interface {
	Inputs() []onnx.Port
	Outputs() []onnx.Port
	Run(ctx context.Context, in []onnx.Tensor) ([]onnx.Tensor, error)
	Close() error
}

// onnxModel runs a graph on frames, as MLflow's onnx flavour does: one input takes all columns, several take one column
// each by name; every output is a column.
type onnxModel struct {
	graph graph
	info  Info
}

func loadONNX(ctx context.Context, src Source, opts Options) (Model, error) {
	flavor := src.Description.Flavors["onnx"]
	name, data, err := modelFile(src, flavor, opts)
	if err != nil {
		return nil, err
	}
	file, err := onnx.Read(data)
	if err != nil {
		return nil, err
	}
	if err := checkExternal(src.Dir, name, file); err != nil {
		return nil, &LoadError{Reason: "the model refers to data that it does not bring along", Err: err}
	}
	size := int64(len(data))
	library, missing := ortlib.Find(opts.ONNXRuntime, opts.CacheDir)
	var native graph
	why := "onnxruntime was asked for"
	if opts.Prefer != RuntimeONNX {
		if native, err = onnx.Compile(file); err != nil {
			native, why = nil, err.Error()
		}
	}
	if native != nil && (missing != nil || opts.Prefer == RuntimeNative) {
		m := newONNXModel(native, RuntimeNative, "onnx-ml", src, size)
		m.info.Notes = append(m.info.Notes, "ONNX Runtime is not installed or not wanted, so the native engine was not compared with it.")
		return m, nil
	}
	if opts.Prefer == RuntimeNative {
		return nil, &LoadError{Reason: "the native engine cannot run this graph: " + why}
	}
	if missing != nil {
		return nil, &LoadError{Reason: "the model needs ONNX Runtime (" + why + ")", Hint: missing.Error(), Missing: true}
	}
	m, err := openORT(ctx, src, opts, filepath.Join(src.Dir, filepath.FromSlash(name)), library, size)
	if err != nil {
		return nil, err
	}
	if native == nil {
		m.info.Notes = append(m.info.Notes, "The native engine cannot run this graph: "+why+".")
		return m, nil
	}
	rows := m.sample(16)
	if example, err := src.Example(); err == nil && example != nil {
		rows = example
	}
	return chooseONNX(ctx, newONNXModel(native, RuntimeNative, "onnx-ml", src, size), m, rows)
}

// checkExternal refuses data files outside of the model's folder, and links that lead there.
func checkExternal(dir, name string, file *onnx.Model) error {
	if err := file.CheckExternal(); err != nil || len(file.External) == 0 {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, location := range file.External {
		f, err := root.Open(filepath.Join(filepath.Dir(name), location))
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// openORT loads a graph in ONNX Runtime, after a child process has shown that it can be loaded.
func openORT(ctx context.Context, src Source, opts Options, path, library string, size int64) (*onnxModel, error) {
	if opts.Probe != nil {
		if err := opts.Probe(ctx, path); err != nil {
			return nil, &LoadError{Reason: "ONNX Runtime cannot load the model", Err: err}
		}
	}
	lib, err := ort.Open(library)
	if err != nil {
		return nil, &LoadError{Reason: "ONNX Runtime cannot be used", Err: err, Missing: true, Hint: "run `modelyard runtime install`"}
	}
	session, err := lib.NewSession(path)
	if err != nil {
		return nil, &LoadError{Reason: "ONNX Runtime cannot load the model", Err: err}
	}
	return newONNXModel(session, RuntimeONNX, "onnxruntime "+lib.Version, src, size), nil
}

// chooseONNX runs both engines on the input example, or on sample rows, and keeps the native one when they agree to 1e-5.
func chooseONNX(ctx context.Context, native, library *onnxModel, rows *Frame) (Model, error) {
	worst, err := difference(ctx, native, library, rows)
	if err == nil && worst <= 1e-5 {
		native.info.Notes = append(native.info.Notes, fmt.Sprintf("Compared with %s on %s: largest difference %.1e.", library.info.Engine, plural(rows.Rows, "row", "rows"), worst))
		return native, library.Close()
	}
	reason := fmt.Sprintf("they differ by %.1e on %s", worst, plural(rows.Rows, "row", "rows"))
	if err != nil {
		reason = err.Error()
	}
	library.info.Notes = append(library.info.Notes, "The native engine was not used: "+reason+".")
	return library, native.Close()
}

// difference is the largest difference of two models' answers, relative to the largest answer of the column where that is above one: a sum of
// float32 leaves that cancel out has the rounding of the leaves, however near to zero it comes.
func difference(ctx context.Context, a, b Model, in *Frame) (float64, error) {
	left, err := a.Predict(ctx, in)
	if err != nil {
		return 0, err
	}
	right, err := b.Predict(ctx, in)
	if err != nil {
		return 0, err
	}
	if len(left.Columns) != len(right.Columns) {
		return math.Inf(1), nil
	}
	worst := 0.0
	for i := range left.Columns {
		l, r := &left.Columns[i], &right.Columns[i]
		if l.Kind != r.Kind || l.Len() != r.Len() {
			return math.Inf(1), nil
		}
		scale := 1.0
		for _, y := range r.Floats {
			if !math.IsInf(y, 0) && !math.IsNaN(y) {
				scale = math.Max(scale, math.Abs(y))
			}
		}
		for k := range l.Len() {
			if l.Kind != Float64 {
				if l.Value(k) != r.Value(k) {
					return math.Inf(1), nil
				}
				continue
			}
			x, y := l.Floats[k], r.Floats[k]
			if x != y && !(math.IsNaN(x) && math.IsNaN(y)) {
				worst = math.Max(worst, math.Abs(x-y)/scale)
			}
		}
	}
	return worst, nil
}

func newONNXModel(g graph, runtime, engine string, src Source, size int64) *onnxModel {
	m := &onnxModel{graph: g, info: Info{Runtime: runtime, Engine: engine, Flavor: "onnx", Bytes: size}}
	if s := src.Description.Signature; s != nil {
		m.info.Inputs, m.info.Outputs = s.Inputs, s.Outputs
	}
	if len(m.info.Inputs) == 0 {
		m.info.Inputs = specs(g.Inputs())
	}
	if len(m.info.Outputs) == 0 {
		m.info.Outputs = specs(g.Outputs())
	}
	return m
}

// specs describes the ports of a graph as tensors.
func specs(ports []onnx.Port) []Spec {
	var out []Spec
	for _, p := range ports {
		kind, ok := kindOf(p.Elem.String())
		if !ok {
			kind = Float64
		}
		s := Spec{Name: p.Name, Type: p.Elem.String(), Kind: kind, Required: true, Batch: -1}
		if len(p.Shape) > 0 {
			s.Batch, s.Shape = p.Shape[0], append([]int{}, p.Shape[1:]...)
		}
		out = append(out, s)
	}
	return out
}

// sample makes rows of varied values that fit the graph's inputs.
func (m *onnxModel) sample(rows int) *Frame {
	f := &Frame{Rows: rows}
	for k, p := range m.graph.Inputs() {
		shape := []int{}
		for _, d := range p.Shape[min(1, len(p.Shape)):] {
			shape = append(shape, max(1, d))
		}
		kind, ok := kindOf(p.Elem.String())
		if !ok {
			kind = Float64
		}
		c := Column{Name: p.Name, Kind: kind, Shape: shape}
		for i := range rows * c.Width() {
			v := math.Sin(float64(i*7+k)) * math.Pow(10, float64(i%3))
			switch kind {
			case Float64:
				c.Floats = append(c.Floats, v)
			case Int64:
				c.Ints = append(c.Ints, int64(v))
			case Bool:
				c.Bools = append(c.Bools, v > 0)
			default:
				c.Strings = append(c.Strings, strconv.Itoa(i%5))
			}
		}
		f.Columns = append(f.Columns, c)
	}
	return f
}

func (m *onnxModel) Info() Info { return m.info }

func (m *onnxModel) Close() error { return m.graph.Close() }

func (m *onnxModel) Predict(ctx context.Context, in *Frame) (*Output, error) {
	feeds, err := m.feeds(in)
	if err != nil {
		return nil, err
	}
	results, err := m.graph.Run(ctx, feeds)
	if err != nil {
		return nil, err
	}
	out := &Output{Rows: in.Rows}
	for i, p := range m.graph.Outputs() {
		c, err := toColumn(p.Name, &results[i], in.Rows)
		if err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, c)
	}
	return out, nil
}

// feeds makes the tensors of the graph's inputs out of a frame.
func (m *onnxModel) feeds(in *Frame) ([]onnx.Tensor, error) {
	ports := m.graph.Inputs()
	feeds := make([]onnx.Tensor, len(ports))
	if len(ports) == 1 && in.Column(ports[0].Name) == nil {
		return feeds, gather(&feeds[0], ports[0], in.Columns, in.Rows)
	}
	var faults InputError
	for i, p := range ports {
		c := in.Column(p.Name)
		if c == nil {
			faults.add(Problem{Field: p.Name, Row: -1, Code: "missing_column", Expected: "a column for the model's input " + quote(p.Name), Got: "nothing"})
			continue
		}
		if err := gather(&feeds[i], p, []Column{*c}, in.Rows); err != nil {
			return nil, err
		}
	}
	return feeds, faults.orNil()
}

// gather puts columns side by side into one tensor of the port's type.
func gather(t *onnx.Tensor, p onnx.Port, columns []Column, rows int) error {
	width := 0
	for i := range columns {
		c := &columns[i]
		if c.Len() != rows*c.Width() {
			return problem(c.Name, -1, "shape", plural(rows*c.Width(), "value", "values"), strconv.Itoa(c.Len()))
		}
		width += c.Width()
	}
	t.Elem = p.Elem
	t.Shape = []int{rows, width}
	if len(columns) == 1 && columns[0].Shape != nil {
		t.Shape = append([]int{rows}, columns[0].Shape...)
	} else if len(p.Shape) == 1 && width == 1 {
		t.Shape = []int{rows}
	}
	for i, d := range p.Shape {
		if len(t.Shape) != len(p.Shape) || (i > 0 && d >= 0 && d != t.Shape[i]) {
			return problem("", -1, "shape", "an array of shape "+shapeText(p.Shape)+" for the input "+quote(p.Name), shapeText(t.Shape))
		}
	}
	n := rows * width
	for r := range rows {
		for i := range columns {
			c := &columns[i]
			w := c.Width()
			for k := r * w; k < (r+1)*w; k++ {
				if err := put(t, c, k, n); err != nil {
					return problem(c.Name, r, "wrong_type", err.Error(), fmt.Sprintf("%.60v", c.Value(k)))
				}
			}
		}
	}
	return nil
}

// put appends one value to a tensor that will hold n.
func put(t *onnx.Tensor, c *Column, k, n int) error {
	switch {
	case t.Elem == onnx.String:
		if c.Kind != String && c.Kind != Binary {
			return errors.New("a text")
		}
		t.Strings = append(grown(t.Strings, n), c.Strings[k])
	case c.Kind == String || c.Kind == Binary || c.Kind == JSON:
		return errors.New("a number")
	case t.Elem == onnx.Float:
		t.Floats = append(grown(t.Floats, n), float32(c.Float(k)))
	case t.Elem == onnx.Double:
		t.Doubles = append(grown(t.Doubles, n), c.Float(k))
	case t.Elem == onnx.Bool:
		t.Bools = append(grown(t.Bools, n), c.Float(k) != 0)
	case c.Missing(k):
		return errors.New("a whole number")
	case c.Kind == Float64:
		v := c.Floats[k]
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return errors.New("a whole number")
		}
		t.Ints = append(grown(t.Ints, n), int64(v))
	case c.Kind == Bool:
		t.Ints = append(grown(t.Ints, n), int64(c.Float(k)))
	default:
		t.Ints = append(grown(t.Ints, n), c.Ints[k])
	}
	return nil
}

func grown[T any](s []T, n int) []T {
	if s == nil {
		return make([]T, 0, n)
	}
	return s
}

// toColumn makes a column of an output: its first dimension is the row, a last one of size 1 is dropped.
func toColumn(name string, t *onnx.Tensor, rows int) (Column, error) {
	c := Column{Name: name}
	if len(t.Shape) == 0 || t.Shape[0] != rows {
		return c, fmt.Errorf("the model's output %q has shape %v for %d rows", name, t.Shape, rows)
	}
	if rest := t.Shape[1:]; len(rest) > 1 || (len(rest) == 1 && rest[0] != 1) {
		c.Shape = rest
	}
	switch t.Elem {
	case onnx.Float:
		c.Kind, c.Floats = Float64, make([]float64, len(t.Floats))
		for i, v := range t.Floats {
			c.Floats[i] = float64(v)
		}
	case onnx.Double:
		c.Kind, c.Floats = Float64, t.Doubles
	case onnx.String:
		c.Kind, c.Strings = String, t.Strings
	case onnx.Bool:
		c.Kind, c.Bools = Bool, t.Bools
	default:
		c.Kind, c.Ints = Int64, t.Ints
	}
	return c, nil
}
