package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protowire"
)

// Model is an ONNX file as far as this package reads it (onnx.proto, ONNX 1.x).
type Model struct {
	Opsets       map[string]int64
	Nodes        []Node
	Initializers map[string]Tensor
	Inputs       []Port
	Outputs      []Port
	// External are the locations of data files beside the model, as the file names them.
	External []string
	// Plain is false when the graph has what only ONNX Runtime can run: sub-graphs, sparse or external tensors, functions.
	Plain bool
}

// Node is one operation.
type Node struct {
	Op, Domain      string
	Inputs, Outputs []string
	Attributes      map[string]Attribute
}

// Attribute is a setting of a node.
type Attribute struct {
	Float   float32
	Int     int64
	Text    string
	Floats  []float32
	Ints    []int64
	Strings []string
	Tensor  *Tensor
}

// Limits of a file.
const (
	maxGraphDepth = 16
	maxNodes      = 1 << 20
	maxDims       = 16
)

// fields calls f for every field of a message; b is the payload of a length-delimited field, v the number of others.
func fields(data []byte, f func(num protowire.Number, typ protowire.Type, b []byte, v uint64) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var b []byte
		var v uint64
		switch typ {
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(data)
			v = uint64(x)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(data)
		default:
			return fmt.Errorf("wire type %d", typ)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(num, typ, b, v); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Read reads an ONNX file. It keeps no reference to data.
func Read(data []byte) (*Model, error) {
	m := &Model{Opsets: map[string]int64{}, Initializers: map[string]Tensor{}, Plain: true}
	found := false
	err := fields(data, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
		switch num {
		case 7:
			found = true
			return m.graph(b, 0)
		case 8:
			domain, version := "", int64(0)
			err := fields(b, func(num protowire.Number, _ protowire.Type, b []byte, v uint64) error {
				if num == 1 {
					domain = string(b)
				} else if num == 2 {
					version = int64(v)
				}
				return nil
			})
			m.Opsets[domain] = version
			return err
		case 25:
			m.Plain = false // functions
		}
		return nil
	})
	if err == nil && !found {
		err = errors.New("no graph")
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	return m, nil
}

// CheckExternal refuses external data that lies outside of the model's folder. The names are as the library will open
// them: relative to the folder of the model file.
func (m *Model) CheckExternal() error {
	for _, name := range m.External {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("external data %.100q lies outside of the model's folder", name)
		}
	}
	return nil
}

func (m *Model) graph(data []byte, depth int) error {
	if depth > maxGraphDepth {
		return errors.New("graphs nested too deeply")
	}
	top := depth == 0
	return fields(data, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
		switch num {
		case 1:
			n, err := m.node(b, depth)
			if err != nil {
				return err
			}
			if top {
				if len(m.Nodes) >= maxNodes {
					return errors.New("too many nodes")
				}
				m.Nodes = append(m.Nodes, n)
			}
		case 5:
			t, name, err := m.tensor(b)
			if err != nil {
				return err
			}
			if top {
				m.Initializers[name] = t
			}
		case 11, 12:
			if !top {
				return nil
			}
			p, err := port(b)
			if err != nil {
				return err
			}
			if num == 11 {
				m.Inputs = append(m.Inputs, p)
			} else {
				m.Outputs = append(m.Outputs, p)
			}
		case 15:
			m.Plain = false
		}
		return nil
	})
}

func (m *Model) node(data []byte, depth int) (Node, error) {
	n := Node{Attributes: map[string]Attribute{}}
	err := fields(data, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
		switch num {
		case 1:
			n.Inputs = append(n.Inputs, string(b))
		case 2:
			n.Outputs = append(n.Outputs, string(b))
		case 4:
			n.Op = string(b)
		case 5:
			name, a, err := m.attribute(b, depth)
			n.Attributes[name] = a
			return err
		case 7:
			n.Domain = string(b)
		}
		return nil
	})
	return n, err
}

func (m *Model) attribute(data []byte, depth int) (name string, a Attribute, err error) {
	err = fields(data, func(num protowire.Number, typ protowire.Type, b []byte, v uint64) error {
		switch num {
		case 1:
			name = string(b)
		case 2:
			a.Float = math.Float32frombits(uint32(v))
		case 3:
			a.Int = int64(v)
		case 4:
			a.Text = string(b)
		case 5, 10:
			t, _, err := m.tensor(b)
			a.Tensor = &t
			return err
		case 6, 11:
			m.Plain = false
			return m.graph(b, depth+1)
		case 7:
			a.Floats = appendFloats(a.Floats, typ, b, v)
		case 8:
			return appendInts(&a.Ints, typ, b, v)
		case 9:
			a.Strings = append(a.Strings, string(b))
		case 22, 23:
			m.Plain = false // sparse tensors
		}
		return nil
	})
	return name, a, err
}

// appendFloats reads a float field, packed or not.
func appendFloats(to []float32, typ protowire.Type, b []byte, v uint64) []float32 {
	if typ != protowire.BytesType {
		return append(to, math.Float32frombits(uint32(v)))
	}
	for ; len(b) >= 4; b = b[4:] {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return to
}

func appendInts(to *[]int64, typ protowire.Type, b []byte, v uint64) error {
	if typ != protowire.BytesType {
		*to = append(*to, int64(v))
		return nil
	}
	for len(b) > 0 {
		x, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		*to = append(*to, int64(x))
		b = b[n:]
	}
	return nil
}

// tensor reads a TensorProto; types that this package does not run make the model not plain.
func (m *Model) tensor(data []byte) (t Tensor, name string, err error) {
	var raw []byte
	var dims []int64
	external := false
	t.Shape = []int{}
	err = fields(data, func(num protowire.Number, typ protowire.Type, b []byte, v uint64) error {
		switch num {
		case 1:
			return appendInts(&dims, typ, b, v)
		case 2:
			t.Elem = Elem(int32(v))
		case 4:
			t.Floats = appendFloats(t.Floats, typ, b, v)
		case 5, 7:
			return appendInts(&t.Ints, typ, b, v)
		case 6:
			t.Strings = append(t.Strings, string(b))
		case 8:
			name = string(b)
		case 9:
			raw = b
		case 10:
			for ; len(b) >= 8; b = b[8:] {
				t.Doubles = append(t.Doubles, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			}
		case 13:
			external, m.Plain = true, false
			return m.externalEntry(b)
		}
		return nil
	})
	if err != nil {
		return t, name, err
	}
	if len(dims) > maxDims {
		return t, name, errors.New("too many dimensions")
	}
	size := int64(1)
	for _, d := range dims {
		if d < 0 || d > 1<<31 || (d > 0 && size > (1<<40)/d) {
			return t, name, fmt.Errorf("a tensor of dimensions %v", dims)
		}
		size *= d
		t.Shape = append(t.Shape, int(d))
	}
	if external {
		return t, name, nil
	}
	if raw != nil {
		unpack(&t, raw)
	} else if t.Elem == Bool {
		for _, v := range t.Ints {
			t.Bools = append(t.Bools, v != 0)
		}
	}
	if int64(t.Len()) != size {
		m.Plain = false // a type or a form that the library may know
	}
	return t, name, nil
}

// externalEntry reads one key and value of where a tensor's data lies.
func (m *Model) externalEntry(data []byte) error {
	var key, value string
	err := fields(data, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
		switch num {
		case 1:
			key = string(b)
		case 2:
			value = string(b)
		}
		return nil
	})
	if key == "location" {
		m.External = append(m.External, value)
	}
	return err
}

// unpack reads raw_data of the types that native graphs use.
func unpack(t *Tensor, raw []byte) {
	switch t.Elem {
	case Float:
		t.Floats = appendFloats(nil, protowire.BytesType, raw, 0)
	case Double:
		for ; len(raw) >= 8; raw = raw[8:] {
			t.Doubles = append(t.Doubles, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		}
	case Int64:
		for ; len(raw) >= 8; raw = raw[8:] {
			t.Ints = append(t.Ints, int64(binary.LittleEndian.Uint64(raw)))
		}
	case Int32:
		for ; len(raw) >= 4; raw = raw[4:] {
			t.Ints = append(t.Ints, int64(int32(binary.LittleEndian.Uint32(raw))))
		}
	case Bool:
		for _, b := range raw {
			t.Bools = append(t.Bools, b != 0)
		}
	}
}

// port reads a ValueInfoProto.
func port(data []byte) (Port, error) {
	var p Port
	err := fields(data, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
		switch num {
		case 1:
			p.Name = string(b)
		case 2:
			return fields(b, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
				switch num {
				case 1:
					return tensorType(&p, b)
				case 4:
					p.Map, p.Elem = true, Float
				}
				return nil
			})
		}
		return nil
	})
	return p, err
}

func tensorType(p *Port, data []byte) error {
	return fields(data, func(num protowire.Number, _ protowire.Type, b []byte, v uint64) error {
		switch num {
		case 1:
			p.Elem = Elem(int32(v))
		case 2:
			p.Shape = []int{}
			return fields(b, func(_ protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
				size := -1
				err := fields(b, func(num protowire.Number, _ protowire.Type, _ []byte, v uint64) error {
					if num == 1 && v < 1<<31 {
						size = int(v)
					}
					return nil
				})
				if len(p.Shape) >= maxDims {
					return errors.New("too many dimensions")
				}
				p.Shape = append(p.Shape, size)
				return err
			})
		}
		return nil
	})
}
