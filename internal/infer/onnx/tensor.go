package onnx

import "fmt"

// Elem is the element type of a tensor, with the numbers of TensorProto.DataType.
type Elem int32

// The element types that tensors of this package have.
const (
	Float  Elem = 1
	Uint8  Elem = 2
	Int8   Elem = 3
	Uint16 Elem = 4
	Int16  Elem = 5
	Int32  Elem = 6
	Int64  Elem = 7
	String Elem = 8
	Bool   Elem = 9
	Double Elem = 11
	Uint32 Elem = 12
	Uint64 Elem = 13
)

func (e Elem) String() string {
	names := map[Elem]string{
		Float: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32", Int64: "int64",
		String: "str", Bool: "bool", Double: "float64", Uint32: "uint32", Uint64: "uint64",
	}
	if s, ok := names[e]; ok {
		return s
	}
	return fmt.Sprintf("type %d", int32(e))
}

// Integer reports whether e is a whole-number type.
func (e Elem) Integer() bool {
	switch e {
	case Uint8, Int8, Uint16, Int16, Int32, Int64, Uint32, Uint64:
		return true
	}
	return false
}

// Tensor is a dense row-major tensor. Exactly one value slice is in use: Floats for Float, Doubles for Double, Strings,
// Bools, and Ints for every whole-number type.
type Tensor struct {
	Elem    Elem
	Shape   []int
	Floats  []float32
	Doubles []float64
	Ints    []int64
	Strings []string
	Bools   []bool
	// Labels are the keys of a ZipMap output, in the order of the columns: []int64 or []string.
	Labels any
}

// Port describes an input or output of a graph.
type Port struct {
	Name  string
	Elem  Elem
	Shape []int // -1 where any size goes; nil when the graph does not say
	// Map is true for a list of maps (ZipMap), which Run gives as a tensor with Labels.
	Map bool
}

// Size is the number of elements of a shape.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Len is the number of values the tensor holds.
func (t *Tensor) Len() int {
	switch t.Elem {
	case Float:
		return len(t.Floats)
	case Double:
		return len(t.Doubles)
	case String:
		return len(t.Strings)
	case Bool:
		return len(t.Bools)
	default:
		return len(t.Ints)
	}
}
