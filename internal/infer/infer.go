package infer

import (
	"context"
	"math"
	"strings"
)

// Kind is the type of the values of a column.
type Kind string

// The kinds of a column. Integers of every width are Int64 and both float widths Float64; what the model declared
// (int32, float32...) stays in its [Spec].
const (
	Float64  Kind = "float64"  // Column.Floats; a missing value is NaN
	Int64    Kind = "int64"    // Column.Ints
	String   Kind = "string"   // Column.Strings
	Bool     Kind = "bool"     // Column.Bools
	Datetime Kind = "datetime" // Column.Ints, microseconds since 1970-01-01 UTC
	Binary   Kind = "binary"   // Column.Strings, raw bytes
	JSON     Kind = "json"     // Column.Strings, one JSON text a value: MLflow's Array, Map, Object and Any types
)

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool {
	switch k {
	case Float64, Int64, String, Bool, Datetime, Binary, JSON:
		return true
	}
	return false
}

// Column is one named column, or one tensor whose first dimension is the row. Exactly one of the value slices is in
// use, the one of Kind; its length is rows times [Column.Width], row-major.
type Column struct {
	Name    string
	Kind    Kind
	Floats  []float64
	Ints    []int64
	Strings []string
	Bools   []bool
	// Valid marks which values are present; nil means all. Float64 columns leave it nil and use NaN.
	Valid []bool
	// Shape is the shape of one row's value: nil for a scalar, [3] for three class probabilities, [28 28] for an image.
	Shape []int
}

// Width is the number of values a row has: 1 for a plain column.
func (c *Column) Width() int {
	n := 1
	for _, d := range c.Shape {
		n *= d
	}
	return n
}

// Len is the number of values in the column, over all rows.
func (c *Column) Len() int {
	switch c.Kind {
	case Float64:
		return len(c.Floats)
	case Int64, Datetime:
		return len(c.Ints)
	case Bool:
		return len(c.Bools)
	default:
		return len(c.Strings)
	}
}

// Missing reports whether value i (rows times width) is absent.
func (c *Column) Missing(i int) bool {
	if c.Kind == Float64 {
		return math.IsNaN(c.Floats[i])
	}
	return c.Valid != nil && !c.Valid[i]
}

// Float is value i as a number: NaN where it is missing or not numeric, 1 and 0 for a boolean.
func (c *Column) Float(i int) float64 {
	switch {
	case c.Kind == Float64:
		return c.Floats[i]
	case c.Missing(i):
		return math.NaN()
	case c.Kind == Int64 || c.Kind == Datetime:
		return float64(c.Ints[i])
	case c.Kind == Bool:
		if c.Bools[i] {
			return 1
		}
		return 0
	}
	return math.NaN()
}

// Value is value i as a plain Go value (float64, int64, string, bool), nil where it is missing.
func (c *Column) Value(i int) any {
	if c.Missing(i) {
		return nil
	}
	switch c.Kind {
	case Float64:
		return c.Floats[i]
	case Int64, Datetime:
		return c.Ints[i]
	case Bool:
		return c.Bools[i]
	default:
		return c.Strings[i]
	}
}

// Frame is what a model is asked: named columns of equal length, or one unnamed tensor for a model that takes an array.
type Frame struct {
	Rows    int
	Columns []Column
	// Params are the inference parameters of the signature (MLflow's params); nil for most models.
	Params map[string]any
}

// Column finds a column by name, nil when it is not there.
func (f *Frame) Column(name string) *Column { return find(f.Columns, name) }

// Output is what a model answers.
type Output struct {
	Rows int
	// Columns are what mlflow.pyfunc's predict returns. An array result is one column with the name from the signature,
	// else "prediction", and Array set.
	Columns []Column
	// Array is true when the model returns an array instead of a table: replies then carry values without names.
	Array bool
	// Extra holds what the runtime can give beyond predict, under fixed names: "probability" (Shape [classes], in the
	// order of Info.Classes; class 1 alone is never given) for classifiers whose predict returns labels.
	Extra []Column
}

// Column finds an output column by name, then an extra one; nil when neither has it.
func (o *Output) Column(name string) *Column {
	if c := find(o.Columns, name); c != nil {
		return c
	}
	return find(o.Extra, name)
}

func find(columns []Column, name string) *Column {
	for i := range columns {
		if columns[i].Name == name {
			return &columns[i]
		}
	}
	return nil
}

// The names of the runtimes, as in [Info].
const (
	RuntimeNative = "native"
	RuntimeONNX   = "onnxruntime"
	RuntimePython = "python"
)

// Spec describes one input or output column, or a tensor.
type Spec struct {
	Name string `json:"name,omitempty"`
	// Type is MLflow's name (boolean, integer, long, float, double, string, datetime, binary, array, map, object, any)
	// for a column, NumPy's (float32, int64, str...) for a tensor.
	Type     string `json:"type"`
	Kind     Kind   `json:"kind"`
	Required bool   `json:"required"`
	// Shape is the shape of one row's value of a tensor, -1 where any size goes; nil for a column.
	Shape []int `json:"shape,omitempty"`
	// Batch is the size of a tensor's first dimension: -1 for any number of rows. 0 for a column.
	Batch int `json:"batch,omitempty"`
}

// Info says what was loaded and how it runs.
type Info struct {
	Runtime string   `json:"runtime"`           // native, onnxruntime or python
	Engine  string   `json:"engine"`            // xgboost, lightgbm, onnx-ml, onnxruntime 1.31.1, python 3.11...
	Flavor  string   `json:"flavor"`            // the MLflow flavour that was run
	Inputs  []Spec   `json:"inputs"`            // empty: the model declares none and any column goes
	Outputs []Spec   `json:"outputs"`           //
	Classes []string `json:"classes,omitempty"` // labels of a classifier, in the order of its probabilities
	Bytes   int64    `json:"bytes"`             // estimated memory of the loaded model; 0 when unknown
	Trees   int      `json:"trees,omitempty"`
	// Notes are plain sentences for people: why this runtime was chosen, what was compared, what was ignored.
	Notes []string `json:"notes,omitempty"`
}

// Model is a loaded model. Predict may be called by many goroutines at once, and not after Close.
type Model interface {
	// Predict answers every row of the frame, or fails as a whole: an [InputError] when the frame is at fault.
	Predict(ctx context.Context, in *Frame) (*Output, error)
	Info() Info
	Close() error
}

// Problem is one fault of an input.
type Problem struct {
	Field    string `json:"field"`         // column or parameter; empty for the request as a whole
	Row      int    `json:"row"`           // 0-based; -1 when it concerns all rows
	Expected string `json:"expected"`      // in words: "a whole number (long)"
	Got      string `json:"got"`           // in words: "text \"abc\""
	Message  string `json:"message"`       // the whole sentence
	Code     string `json:"code,omitzero"` // missing_column, wrong_type, null, shape, format, too_large
}

// InputError says what is wrong with the input of a prediction; at most 20 problems are listed.
type InputError struct {
	Problems []Problem
	Total    int // problems found, listed or not
}

func (e *InputError) Error() string {
	if len(e.Problems) == 0 {
		return "the input does not fit the model"
	}
	parts := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems[:min(3, len(e.Problems))] {
		parts = append(parts, p.Message)
	}
	text := strings.Join(parts, "; ")
	if more := e.Total - len(parts); more > 0 {
		text += "; and " + plural(more, "more problem", "more problems")
	}
	return text
}

// LoadError says why a model cannot be loaded. Missing is true when something absent on this machine would make it
// loadable (ONNX Runtime, a Python environment): Hint then says how to get it.
type LoadError struct {
	Reason  string
	Hint    string
	Missing bool
	Err     error
}

func (e *LoadError) Error() string {
	text := e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *LoadError) Unwrap() error { return e.Err }
