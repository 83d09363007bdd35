// Package ort runs ONNX graphs with the ONNX Runtime library, through its C API (version 17) without cgo.
//
// The C API is one table of functions that only ever grows, so a low version works with every release since. A session
// runs with one intra-op thread: parallelism comes from the callers, and threads that spin would starve them.
package ort

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/modelyard/modelyard/internal/infer/onnx"
)

const apiVersion = 17

// Slots of OrtApi (onnxruntime_c_api.h). The library guarantees that they never move.
const (
	getErrorMessage                    = 2
	createEnv                          = 3
	createSession                      = 7
	run                                = 9
	createSessionOptions               = 10
	setSessionLogSeverityLevel         = 22
	setIntraOpNumThreads               = 24
	setInterOpNumThreads               = 25
	sessionGetInputCount               = 30
	sessionGetOutputCount              = 31
	sessionGetInputTypeInfo            = 33
	sessionGetOutputTypeInfo           = 34
	sessionGetInputName                = 36
	sessionGetOutputName               = 37
	createTensorAsOrtValue             = 48
	createTensorWithData               = 49
	getTensorMutableData               = 51
	fillStringTensor                   = 52
	getStringTensorDataLength          = 53
	getStringTensorContent             = 54
	castTypeInfoToTensorInfo           = 55
	getOnnxTypeFromTypeInfo            = 56
	getTensorElementType               = 60
	getDimensionsCount                 = 61
	getDimensions                      = 62
	getTensorTypeAndShape              = 65
	getValueType                       = 67
	createCPUMemoryInfo                = 69
	allocatorFree                      = 76
	getAllocatorWithDefaults           = 78
	getValue                           = 80
	getValueCount                      = 81
	releaseStatus                      = 93
	releaseMemoryInfo                  = 94
	releaseSession                     = 95
	releaseValue                       = 96
	releaseTypeInfo                    = 98
	releaseTensorTypeAndShape          = 99
	releaseSessionOptions              = 100
	addSessionConfigEntry              = 130
	slots                              = 131
	logError                   uintptr = 3
	typeTensor                         = 1
	typeSequence                       = 2
	typeMap                            = 3
)

// Library is a loaded ONNX Runtime. The operating system keeps it loaded until the process ends.
type Library struct {
	making  sync.Mutex
	env     uintptr // see environment
	Path    string
	Version string
	api     []uintptr
}

// Open loads the library at path.
func Open(path string) (*Library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	symbol, err := purego.Dlsym(handle, "OrtGetApiBase")
	if err != nil {
		return nil, fmt.Errorf("%s is not ONNX Runtime: %w", path, err)
	}
	base, _, _ := purego.SyscallN(symbol)
	if base == 0 {
		return nil, fmt.Errorf("%s gives no API", path)
	}
	functions := unsafe.Slice((*uintptr)(pointer(base)), 2) // OrtApiBase: GetApi, GetVersionString
	version, _, _ := purego.SyscallN(functions[1])
	table, _, _ := purego.SyscallN(functions[0], apiVersion)
	l := &Library{Path: path, Version: goString(version)}
	if table == 0 {
		return nil, fmt.Errorf("ONNX Runtime %s at %s is older than 1.17", l.Version, path)
	}
	l.api = unsafe.Slice((*uintptr)(pointer(table)), slots)
	return l, nil
}

// pointer turns an address of the library's memory into a pointer.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func goString(address uintptr) string {
	if address == 0 {
		return ""
	}
	p := (*byte)(pointer(address))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// buffer makes memory that the library may read or write. It must not be inlined: what a function returns is on the
// heap, and a goroutine's stack may move while the library holds an address in it.
//
//go:noinline
func buffer[T any](n int) []T { return make([]T, n, n+1) }

// cString is s with the zero byte that C wants, on the heap.
func cString(s string) *byte {
	b := buffer[byte](len(s) + 1)
	copy(b, s)
	return &b[0]
}

// call runs a function of the table that returns a status.
func (l *Library) call(slot int, args ...uintptr) error {
	status, _, _ := purego.SyscallN(l.api[slot], args...)
	if status == 0 {
		return nil
	}
	message, _, _ := purego.SyscallN(l.api[getErrorMessage], status)
	err := errors.New(goString(message))
	l.release(releaseStatus, status)
	return err
}

func (l *Library) release(slot int, object uintptr) {
	if object != 0 {
		purego.SyscallN(l.api[slot], object)
	}
}

// out is a place for the library to write an address or a number to. It lives on the heap, which never moves.
type out struct{ value uintptr }

//go:noinline
func newOut() *out { return new(out) }

func (o *out) address() uintptr { return uintptr(unsafe.Pointer(o)) }

// Session is a loaded graph. Run may be called by many goroutines at once.
type Session struct {
	lib       *Library
	session   uintptr
	memory    uintptr
	allocator uintptr
	inputs    []onnx.Port
	outputs   []onnx.Port
	inNames   []*byte
	outNames  []*byte
	closing   sync.RWMutex
	closed    bool
}

// environment makes the environment that all sessions share, once. It is never released: making one while the last is being released fails.
func (l *Library) environment() (uintptr, error) {
	l.making.Lock()
	defer l.making.Unlock()
	if l.env != 0 {
		return l.env, nil
	}
	name, o := cString("modelyard"), newOut()
	err := l.call(createEnv, logError, address(name), o.address())
	runtime.KeepAlive(name)
	l.env = o.value
	return l.env, err
}

// NewSession loads the graph at path, external data files beside it included.
func (l *Library) NewSession(path string) (s *Session, err error) {
	s = &Session{lib: l}
	defer func() {
		if err != nil {
			s.free()
			s = nil
		}
	}()
	env, err := l.environment()
	if err != nil {
		return s, err
	}
	o := newOut()
	if err = l.call(createSessionOptions, o.address()); err != nil {
		return s, err
	}
	options := o.value
	defer l.release(releaseSessionOptions, options)
	for _, set := range [][2]uintptr{{setIntraOpNumThreads, 1}, {setInterOpNumThreads, 1}, {setSessionLogSeverityLevel, logError}} {
		if err = l.call(int(set[0]), options, set[1]); err != nil {
			return s, err
		}
	}
	key, zero := cString("session.intra_op.allow_spinning"), cString("0")
	if err = l.call(addSessionConfigEntry, options, address(key), address(zero)); err != nil {
		return s, err
	}
	file := cString(path)
	if err = l.call(createSession, env, address(file), options, o.address()); err != nil {
		return s, err
	}
	s.session = o.value
	const arena, defaultMemory = 1, 0
	if err = l.call(createCPUMemoryInfo, arena, defaultMemory, o.address()); err != nil {
		return s, err
	}
	s.memory = o.value
	if err = l.call(getAllocatorWithDefaults, o.address()); err != nil {
		return s, err
	}
	s.allocator = o.value
	if s.inputs, s.inNames, err = s.ports(sessionGetInputCount, sessionGetInputName, sessionGetInputTypeInfo); err != nil {
		return s, err
	}
	s.outputs, s.outNames, err = s.ports(sessionGetOutputCount, sessionGetOutputName, sessionGetOutputTypeInfo)
	runtime.KeepAlive([]*byte{key, zero, file})
	return s, err
}

func address(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

// Inputs describes what Run wants.
func (s *Session) Inputs() []onnx.Port { return s.inputs }

// Outputs describes what Run gives.
func (s *Session) Outputs() []onnx.Port { return s.outputs }

// Close frees the graph once no call runs any more.
func (s *Session) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.free()
	return nil
}

func (s *Session) free() {
	if s.closed {
		return
	}
	s.closed = true
	s.lib.release(releaseMemoryInfo, s.memory)
	s.lib.release(releaseSession, s.session)
}

func (s *Session) ports(count, name, info int) ([]onnx.Port, []*byte, error) {
	l, o := s.lib, newOut()
	if err := l.call(count, s.session, o.address()); err != nil {
		return nil, nil, err
	}
	n := int(o.value)
	var ports []onnx.Port
	var names []*byte
	for i := range n {
		if err := l.call(name, s.session, uintptr(i), s.allocator, o.address()); err != nil {
			return nil, nil, err
		}
		p := onnx.Port{Name: goString(o.value)}
		if err := l.call(allocatorFree, s.allocator, o.value); err != nil {
			return nil, nil, err
		}
		if err := l.call(info, s.session, uintptr(i), o.address()); err != nil {
			return nil, nil, err
		}
		typeInfo := o.value
		err := s.describe(typeInfo, &p)
		l.release(releaseTypeInfo, typeInfo)
		if err != nil {
			return nil, nil, err
		}
		ports, names = append(ports, p), append(names, cString(p.Name))
	}
	return ports, names, nil
}

func (s *Session) describe(typeInfo uintptr, p *onnx.Port) error {
	l, o := s.lib, newOut()
	if err := l.call(getOnnxTypeFromTypeInfo, typeInfo, o.address()); err != nil {
		return err
	}
	switch int32(o.value) {
	case typeTensor:
	case typeSequence:
		p.Map, p.Elem = true, onnx.Float
		return nil
	default:
		return fmt.Errorf("%q is neither a tensor nor a list of maps", p.Name)
	}
	if err := l.call(castTypeInfoToTensorInfo, typeInfo, o.address()); err != nil {
		return err
	}
	var err error
	p.Elem, p.Shape, err = s.shape(o.value)
	return err
}

// shape reads the element type and dimensions of a tensor's description.
func (s *Session) shape(info uintptr) (onnx.Elem, []int, error) {
	l, o := s.lib, newOut()
	if err := l.call(getTensorElementType, info, o.address()); err != nil {
		return 0, nil, err
	}
	elem := onnx.Elem(int32(o.value))
	o.value = 0
	if err := l.call(getDimensionsCount, info, o.address()); err != nil {
		return 0, nil, err
	}
	n := int(o.value)
	if n > 64 {
		return 0, nil, fmt.Errorf("a tensor of %d dimensions", n)
	}
	dims := buffer[int64](max(1, n))
	if err := l.call(getDimensions, info, uintptr(unsafe.Pointer(&dims[0])), uintptr(n)); err != nil {
		return 0, nil, err
	}
	shape := make([]int, n)
	for i := range shape {
		shape[i] = int(dims[i])
		if shape[i] < 0 {
			shape[i] = -1
		}
	}
	return elem, shape, nil
}

// Run computes every output for the inputs, which stand in the order of Inputs.
func (s *Session) Run(ctx context.Context, in []onnx.Tensor) ([]onnx.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return nil, errors.New("the model is closed")
	}
	if len(in) != len(s.inputs) {
		return nil, fmt.Errorf("%d tensors for %d inputs", len(in), len(s.inputs))
	}
	var pin runtime.Pinner // the tensors' memory stays where it is until their values are released
	defer pin.Unpin()
	values, results := buffer[uintptr](len(in)+1), buffer[uintptr](len(s.outputs)+1)
	defer func() {
		for _, v := range values {
			s.lib.release(releaseValue, v)
		}
		for _, v := range results {
			s.lib.release(releaseValue, v)
		}
	}()
	for i := range in {
		v, err := s.value(&in[i], &pin)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", s.inputs[i].Name, err)
		}
		values[i] = v
	}
	inNames, outNames := buffer[*byte](len(in)+1), buffer[*byte](len(s.outputs)+1)
	copy(inNames, s.inNames)
	copy(outNames, s.outNames)
	err := s.lib.call(run, s.session, 0,
		uintptr(unsafe.Pointer(&inNames[0])), uintptr(unsafe.Pointer(&values[0])), uintptr(len(in)),
		uintptr(unsafe.Pointer(&outNames[0])), uintptr(len(s.outputs)), uintptr(unsafe.Pointer(&results[0])))
	runtime.KeepAlive(inNames)
	runtime.KeepAlive(outNames)
	if err != nil {
		return nil, err
	}
	out := make([]onnx.Tensor, len(s.outputs))
	for i := range out {
		if s.outputs[i].Map {
			out[i], err = s.readMaps(results[i])
		} else {
			out[i], err = s.read(results[i])
		}
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", s.outputs[i].Name, err)
		}
	}
	return out, nil
}
