package onnx

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnsupported marks a graph that only ONNX Runtime can run.
var ErrUnsupported = errors.New("not run natively")

// Graph is a compiled graph. Run may be called by many goroutines at once.
type Graph struct {
	inputs, outputs []Port
	steps           []step
	constants       []Tensor
	values          int // inputs, constants, then results
	results         []int
}

// kernel computes the outputs of a node. Tensors it gets must not be changed.
type kernel func(in []Tensor) ([]Tensor, error)

type step struct {
	op      string
	run     kernel
	in, out []int
}

// Compile prepares a graph for native execution; an error that wraps [ErrUnsupported] names what it cannot run.
func Compile(m *Model) (*Graph, error) {
	if !m.Plain {
		return nil, fmt.Errorf("it has sub-graphs or tensors of unusual kinds: %w", ErrUnsupported)
	}
	g := &Graph{outputs: m.Outputs}
	slots := map[string]int{}
	for _, p := range m.Inputs {
		if _, constant := m.Initializers[p.Name]; constant {
			continue // old files list initializers among the inputs
		}
		if p.Map || !known(p.Elem) || len(p.Shape) > 2 {
			return nil, fmt.Errorf("its input %.60q is no table of plain values: %w", p.Name, ErrUnsupported)
		}
		slots[p.Name] = g.values
		g.inputs = append(g.inputs, p)
		g.values++
	}
	for name, t := range m.Initializers {
		slots[name] = g.values
		g.constants = append(g.constants, t)
		g.values++
	}
	for i := range m.Nodes {
		n := &m.Nodes[i]
		run, err := kernelFor(n, m)
		if err != nil {
			return nil, fmt.Errorf("operation %.60s: %w", n.Op, err)
		}
		s := step{op: n.Op, run: run}
		for _, name := range n.Inputs {
			at, ok := slots[name]
			if !ok {
				return nil, fmt.Errorf("operation %.60s takes %.60q before it is computed: %w", n.Op, name, ErrUnsupported)
			}
			s.in = append(s.in, at)
		}
		for _, name := range n.Outputs {
			slots[name] = g.values
			s.out = append(s.out, g.values)
			g.values++
		}
		g.steps = append(g.steps, s)
	}
	for _, p := range m.Outputs {
		at, ok := slots[p.Name]
		if !ok {
			return nil, fmt.Errorf("output %.60q is never computed", p.Name)
		}
		g.results = append(g.results, at)
	}
	if len(g.inputs) == 0 || len(g.outputs) == 0 {
		return nil, fmt.Errorf("a graph without inputs or outputs: %w", ErrUnsupported)
	}
	return g, nil
}

func known(e Elem) bool {
	switch e {
	case Float, Double, Int64, Int32, String, Bool:
		return true
	}
	return false
}

// Inputs describes what Run wants.
func (g *Graph) Inputs() []Port { return g.inputs }

// Outputs describes what Run gives.
func (g *Graph) Outputs() []Port { return g.outputs }

// Close does nothing: a native graph is ordinary memory.
func (g *Graph) Close() error { return nil }

// Run computes every output for the inputs, which stand in the order of Inputs.
func (g *Graph) Run(ctx context.Context, in []Tensor) ([]Tensor, error) {
	if len(in) != len(g.inputs) {
		return nil, fmt.Errorf("%d tensors for %d inputs", len(in), len(g.inputs))
	}
	values := make([]Tensor, g.values)
	for i := range in {
		if in[i].Elem != g.inputs[i].Elem || in[i].Len() != Size(in[i].Shape) {
			return nil, fmt.Errorf("input %q: %v of shape %v with %d values", g.inputs[i].Name, in[i].Elem, in[i].Shape, in[i].Len())
		}
	}
	copy(values, in)
	copy(values[len(in):], g.constants)
	for _, s := range g.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		args := make([]Tensor, len(s.in))
		for i, at := range s.in {
			args[i] = values[at]
		}
		out, err := s.run(args)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", s.op, err)
		}
		if len(out) < len(s.out) {
			return nil, fmt.Errorf("operation %s gave %d results of %d", s.op, len(out), len(s.out))
		}
		for i, at := range s.out {
			values[at] = out[i]
		}
	}
	out := make([]Tensor, len(g.results))
	for i, at := range g.results {
		out[i] = values[at]
	}
	return out, nil
}
