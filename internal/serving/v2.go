package serving

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// tensor is one input of an Open Inference Protocol request.
type tensor struct {
	Name     string          `json:"name"`
	Shape    []int           `json:"shape"`
	Datatype string          `json:"datatype"`
	Data     json.RawMessage `json:"data"`
}

// v2Request is the body of an inference request.
type v2Request struct {
	ID         string                     `json:"id"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Inputs     []tensor                   `json:"inputs"`
	Outputs    []struct {
		Name string `json:"name"`
	} `json:"outputs"`
}

func (r *v2Request) parameter(name string) string {
	raw := r.Parameters[name]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

var v2Types = map[string]infer.Kind{"BOOL": infer.Bool, "UINT8": infer.Int64, "UINT16": infer.Int64, "UINT32": infer.Int64, "UINT64": infer.Int64, "INT8": infer.Int64,
	"INT16": infer.Int64, "INT32": infer.Int64, "INT64": infer.Int64, "FP16": infer.Float64, "FP32": infer.Float64, "FP64": infer.Float64, "BYTES": infer.String}

// parseV2 reads a request and turns its tensors into the body of one of the binder's forms: named columns where each input is a column,
// rows where one tensor holds a row a line.
func parseV2(body []byte) (*v2Request, error) {
	var r v2Request
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, errs.E(errs.Invalid, "serving.v2", "the body is not an inference request", err)
	}
	var c errs.Collector
	if len(r.Inputs) == 0 {
		c.Add("inputs", "expected at least one tensor")
	}
	for i := range r.Inputs {
		t := &r.Inputs[i]
		at := "inputs[" + strconv.Itoa(i) + "]"
		if t.Name == "" {
			c.Add(at+".name", "expected a name")
		}
		if _, ok := v2Types[t.Datatype]; !ok {
			c.Add(at+".datatype", "%.20q is not a datatype: expected FP32, FP64, INT64, BYTES, BOOL or another of the protocol", t.Datatype)
		}
		if _, ok := sizeOf(t.Shape); !ok {
			c.Add(at+".shape", "expected a list of whole numbers from 0, the first one the number of rows")
		}
		if len(t.Data) == 0 {
			c.Add(at+".data", "expected a list of values (binary tensors are not taken here)")
		}
	}
	return &r, c.Err("serving.v2", "the inference request is not valid")
}

// sizeOf is the number of values of a shape.
func sizeOf(shape []int) (int, bool) {
	if len(shape) == 0 {
		return 0, false
	}
	n := 1
	for _, d := range shape {
		if d < 0 || d > 1<<28 {
			return 0, false
		}
		if n *= d; n > 1<<28 {
			return 0, false
		}
	}
	return n, true
}

// bind reads the tensors into a frame.
func (r *v2Request) bind(specs []infer.Spec) bind {
	return func(b *infer.Binder, _ []byte) (*infer.Bound, error) {
		tensors := len(specs) > 0 && specs[0].Batch != 0
		if len(r.Inputs) == 1 && !tensors {
			t := &r.Inputs[0]
			n, _ := sizeOf(t.Shape)
			if wide := len(t.Shape) == 2 && t.Shape[1] > 1 || len(specs) > 1 && len(t.Shape) == 2; wide && n > 0 {
				nested, err := t.nested(t.Shape, 0)
				if err != nil {
					return nil, err
				}
				return b.Predict(nested)
			}
		}
		out := []byte{'{'}
		for i := range r.Inputs {
			t := &r.Inputs[i]
			shape := t.Shape
			if !tensors && len(shape) == 2 && shape[1] == 1 {
				shape = shape[:1] // [N, 1] is a plain column
			}
			nested, err := t.nested(shape, i)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				out = append(out, ',')
			}
			name := t.Name
			if tensors && len(specs) == 1 {
				name = specs[0].Name
			}
			out = append(append(appendString(out, name), ':'), nested...)
		}
		return b.Columns(append(out, '}'))
	}
}

// nested gives the data as nested lists of a shape; the data may come flat or nested.
func (t *tensor) nested(shape []int, index int) ([]byte, error) {
	want, _ := sizeOf(t.Shape)
	values := make([][]byte, 0, min(want, 1<<16))
	values, ok := flatten(values, t.Data)
	if !ok || len(values) != want {
		e := errs.Invalidf("serving.v2", "the inference request is not valid")
		return nil, e.WithField(fmt.Sprintf("inputs[%d].data", index), "tensor %q has %d values: expected %d for its shape", t.Name, len(values), want)
	}
	out := make([]byte, 0, len(t.Data)+2*len(values))
	var write func(shape []int, at, n int)
	write = func(shape []int, at, n int) {
		if len(shape) == 0 {
			out = append(out, values[at]...)
			return
		}
		out = append(out, '[')
		for i := range shape[0] {
			if i > 0 {
				out = append(out, ',')
			}
			write(shape[1:], at+i*(n/shape[0]), n/shape[0])
		}
		out = append(out, ']')
	}
	write(shape, 0, want)
	return out, nil
}

// flatten lists the scalars of JSON lists, however nested. The text is valid JSON already.
func flatten(out [][]byte, data []byte) ([][]byte, bool) {
	for i := 0; i < len(data); {
		switch c := data[i]; c {
		case '[', ']', ',', ' ', '\n', '\t', '\r':
			i++
		case '{', '}':
			return out, false
		case '"':
			j := i + 1
			for data[j] != '"' {
				if data[j] == '\\' {
					j++
				}
				j++
			}
			out = append(out, data[i:j+1])
			i = j + 1
		default:
			j := i + bytes.IndexAny(data[i:], ",] \n\t\r")
			if j < i {
				j = len(data)
			}
			out = append(out, data[i:j])
			i = j
		}
	}
	return out, true
}

// v2Type is the protocol's name of a column's type.
func v2Type(s infer.Spec) string {
	switch s.Type {
	case "float", "float32":
		return "FP32"
	case "integer", "int32":
		return "INT32"
	}
	return v2Kind(s.Kind)
}

func v2Kind(k infer.Kind) string {
	switch k {
	case infer.Float64:
		return "FP64"
	case infer.Int64:
		return "INT64"
	case infer.Bool:
		return "BOOL"
	}
	return "BYTES"
}

// appendV2 is the answer of an inference request; wanted names the outputs, nil means those of predict.
func appendV2(b []byte, endpoint string, r *v2Request, a *answer, specs []infer.Spec) ([]byte, error) {
	b = appendString(append(b, `{"model_name":`...), endpoint)
	b = appendString(append(b, `,"model_version":`...), a.version)
	if r.ID != "" {
		b = appendString(append(b, `,"id":`...), r.ID)
	}
	b = appendIDs(append(b, `,"parameters":{"prediction_ids":`...), a.ids)
	b = appendString(append(b, `,"model":`...), a.model)
	b = strconv.AppendBool(append(b, `,"logged":`...), a.logged)
	b = append(b, `},"outputs":[`...)
	cols := make([]*infer.Column, 0, len(a.out.Columns))
	for i := range a.out.Columns {
		cols = append(cols, &a.out.Columns[i])
	}
	if len(r.Outputs) > 0 {
		cols = cols[:0]
		for i, o := range r.Outputs {
			c := a.out.Column(o.Name)
			if c == nil {
				return nil, errs.Invalidf("serving.v2", "the inference request is not valid").WithField(fmt.Sprintf("outputs[%d].name", i), "the model has no output %.80q", o.Name)
			}
			cols = append(cols, c)
		}
	}
	for i, c := range cols {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"name":`...), c.Name)
		typ := v2Kind(c.Kind)
		for _, s := range specs {
			if s.Name == c.Name {
				typ = v2Type(s)
			}
		}
		b = appendString(append(b, `,"datatype":`...), typ)
		b = strconv.AppendInt(append(b, `,"shape":[`...), int64(a.out.Rows), 10)
		for _, d := range c.Shape {
			b = strconv.AppendInt(append(b, ','), int64(d), 10)
		}
		b = append(b, `],"data":[`...)
		for j := range c.Len() {
			if j > 0 {
				b = append(b, ',')
			}
			if c.Kind == infer.JSON && !c.Missing(j) {
				b = appendString(b, c.Strings[j])
				continue
			}
			b = appendOne(b, c, j)
		}
		b = append(b, `]}`...)
	}
	return append(b, `]}`...), nil
}
