package ort

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/modelyard/modelyard/internal/infer/onnx"
)

// value makes an OrtValue of a tensor, whose memory stays pinned.
func (s *Session) value(t *onnx.Tensor, pin *runtime.Pinner) (v uintptr, err error) {
	if t.Len() != onnx.Size(t.Shape) {
		return 0, fmt.Errorf("%d values for shape %v", t.Len(), t.Shape)
	}
	dims := buffer[int64](len(t.Shape) + 1)
	for i, d := range t.Shape {
		dims[i] = int64(d)
	}
	shape, rank, o := uintptr(unsafe.Pointer(&dims[0])), uintptr(len(t.Shape)), newOut()
	if t.Elem == onnx.String {
		if err := s.lib.call(createTensorAsOrtValue, s.allocator, shape, rank, uintptr(t.Elem), o.address()); err != nil {
			return 0, err
		}
		v := o.value
		if len(t.Strings) > 0 {
			texts := buffer[*byte](len(t.Strings))
			for i, text := range t.Strings {
				texts[i] = cString(text)
			}
			err = s.lib.call(fillStringTensor, v, uintptr(unsafe.Pointer(&texts[0])), uintptr(len(texts)))
			runtime.KeepAlive(texts)
		}
		runtime.KeepAlive(dims)
		if err != nil {
			s.lib.release(releaseValue, v)
		}
		return v, err
	}
	data, size, err := packed(t, pin)
	if err != nil {
		return 0, err
	}
	err = s.lib.call(createTensorWithData, s.memory, data, size, shape, rank, uintptr(t.Elem), o.address())
	runtime.KeepAlive(dims)
	return o.value, err
}

// packed gives the memory of a tensor's values in the width of its type.
func packed(t *onnx.Tensor, pin *runtime.Pinner) (data, size uintptr, err error) {
	switch t.Elem {
	case onnx.Float:
		data, size = memory(t.Floats, pin)
	case onnx.Double:
		data, size = memory(t.Doubles, pin)
	case onnx.Bool:
		data, size = memory(t.Bools, pin)
	case onnx.Int64:
		data, size = memory(t.Ints, pin)
	case onnx.Int32:
		data, size = narrow[int32](t.Ints, pin)
	case onnx.Int16:
		data, size = narrow[int16](t.Ints, pin)
	case onnx.Int8:
		data, size = narrow[int8](t.Ints, pin)
	case onnx.Uint8:
		data, size = narrow[uint8](t.Ints, pin)
	case onnx.Uint16:
		data, size = narrow[uint16](t.Ints, pin)
	case onnx.Uint32:
		data, size = narrow[uint32](t.Ints, pin)
	case onnx.Uint64:
		data, size = narrow[uint64](t.Ints, pin)
	default:
		return 0, 0, fmt.Errorf("tensors of %v are not supported", t.Elem)
	}
	return data, size, nil
}

func memory[T any](v []T, pin *runtime.Pinner) (data, size uintptr) {
	n := len(v)
	if n == 0 {
		v = buffer[T](1) // the library wants an address even for no values
	}
	pin.Pin(&v[0])
	return uintptr(unsafe.Pointer(&v[0])), uintptr(n) * unsafe.Sizeof(v[0])
}

func narrow[T int8 | int16 | int32 | uint8 | uint16 | uint32 | uint64](v []int64, pin *runtime.Pinner) (data, size uintptr) {
	out := buffer[T](len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return memory(out, pin)
}

// maxOutput bounds the values of one output.
const maxOutput = 1 << 28

// read copies a tensor out of the library's memory.
func (s *Session) read(v uintptr) (onnx.Tensor, error) {
	var t onnx.Tensor
	l, o := s.lib, newOut()
	if err := l.call(getTensorTypeAndShape, v, o.address()); err != nil {
		return t, err
	}
	info := o.value
	var err error
	t.Elem, t.Shape, err = s.shape(info)
	l.release(releaseTensorTypeAndShape, info)
	if err != nil {
		return t, err
	}
	n := 1
	for _, d := range t.Shape {
		if d < 0 || (d > 0 && n > maxOutput/d) {
			return t, fmt.Errorf("shape %v", t.Shape)
		}
		n *= d
	}
	if t.Elem == onnx.String {
		t.Strings, err = s.texts(v, n)
		return t, err
	}
	if err := l.call(getTensorMutableData, v, o.address()); err != nil {
		return t, err
	}
	p := pointer(o.value)
	if n == 0 {
		p = nil
	}
	switch t.Elem {
	case onnx.Float:
		t.Floats = append([]float32{}, unsafe.Slice((*float32)(p), n)...)
	case onnx.Double:
		t.Doubles = append([]float64{}, unsafe.Slice((*float64)(p), n)...)
	case onnx.Bool:
		t.Bools = make([]bool, n)
		for i, b := range unsafe.Slice((*uint8)(p), n) {
			t.Bools[i] = b != 0
		}
	case onnx.Int64:
		t.Ints = append([]int64{}, unsafe.Slice((*int64)(p), n)...)
	case onnx.Int32:
		t.Ints = widen(unsafe.Slice((*int32)(p), n))
	case onnx.Int16:
		t.Ints = widen(unsafe.Slice((*int16)(p), n))
	case onnx.Int8:
		t.Ints = widen(unsafe.Slice((*int8)(p), n))
	case onnx.Uint8:
		t.Ints = widen(unsafe.Slice((*uint8)(p), n))
	case onnx.Uint16:
		t.Ints = widen(unsafe.Slice((*uint16)(p), n))
	case onnx.Uint32:
		t.Ints = widen(unsafe.Slice((*uint32)(p), n))
	case onnx.Uint64:
		t.Ints = widen(unsafe.Slice((*uint64)(p), n))
	default:
		return t, fmt.Errorf("tensors of %v are not supported", t.Elem)
	}
	return t, nil
}

func widen[T int8 | int16 | int32 | uint8 | uint16 | uint32 | uint64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

// texts reads a tensor of n strings.
func (s *Session) texts(v uintptr, n int) ([]string, error) {
	if n == 0 {
		return nil, nil
	}
	l, o := s.lib, newOut()
	if err := l.call(getStringTensorDataLength, v, o.address()); err != nil {
		return nil, err
	}
	size := int(o.value)
	if size < 0 || size > math.MaxInt32 {
		return nil, errors.New("too much text")
	}
	data, offsets := buffer[byte](size+1), buffer[uintptr](n)
	if err := l.call(getStringTensorContent, v, uintptr(unsafe.Pointer(&data[0])), uintptr(size), uintptr(unsafe.Pointer(&offsets[0])), uintptr(n)); err != nil {
		return nil, err
	}
	runtime.KeepAlive(data)
	runtime.KeepAlive(offsets)
	out := make([]string, n)
	for i, from := range offsets {
		to := uintptr(size)
		if i+1 < n {
			to = offsets[i+1]
		}
		if from > to || to > uintptr(size) {
			return nil, errors.New("texts overlap")
		}
		out[i] = string(data[from:to])
	}
	return out, nil
}

// readMaps turns a list of maps (the output of ZipMap) into a tensor with one column a key.
func (s *Session) readMaps(v uintptr) (onnx.Tensor, error) {
	t := onnx.Tensor{Elem: onnx.Float}
	l, o := s.lib, newOut()
	if err := l.call(getValueCount, v, o.address()); err != nil {
		return t, err
	}
	rows := int(o.value)
	for row := range rows {
		keys, values, err := s.readMap(v, row)
		if err != nil {
			return t, err
		}
		if row == 0 {
			t.Shape = []int{rows, keys.Len()}
			t.Labels = labels(keys)
		}
		if values.Len() != t.Shape[1] || (values.Elem != onnx.Float && values.Elem != onnx.Double) {
			return t, errors.New("maps of different keys")
		}
		t.Floats = append(t.Floats, values.Floats...)
		for _, d := range values.Doubles {
			t.Floats = append(t.Floats, float32(d))
		}
	}
	if rows == 0 {
		t.Shape = []int{0, 0}
	}
	return t, nil
}

func labels(keys onnx.Tensor) any {
	if keys.Elem == onnx.String {
		return keys.Strings
	}
	return keys.Ints
}

func (s *Session) readMap(list uintptr, row int) (keys, values onnx.Tensor, err error) {
	l, o := s.lib, newOut()
	if err = l.call(getValue, list, uintptr(row), s.allocator, o.address()); err != nil {
		return keys, values, err
	}
	m := o.value
	defer l.release(releaseValue, m)
	if err = l.call(getValueType, m, o.address()); err != nil {
		return keys, values, err
	}
	if int32(o.value) != typeMap {
		return keys, values, errors.New("a list of something else than maps")
	}
	for i, into := range []*onnx.Tensor{&keys, &values} {
		if err = l.call(getValue, m, uintptr(i), s.allocator, o.address()); err != nil {
			return keys, values, err
		}
		part := o.value
		*into, err = s.read(part)
		l.release(releaseValue, part)
		if err != nil {
			return keys, values, err
		}
	}
	return keys, values, nil
}
