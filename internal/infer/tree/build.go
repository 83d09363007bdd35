package tree

import (
	"fmt"
	"math"
)

// Missing says what a numeric node takes for a missing value.
type Missing uint8

const (
	// MissingNaN sends NaN to the default child.
	MissingNaN Missing = iota
	// MissingNone treats NaN as 0.
	MissingNone
	// MissingZero sends NaN and values within 1e-35 of zero to the default child (LightGBM's zero_as_missing).
	MissingZero
)

// Node is a node as a reader describes it. A leaf has Left < 0.
type Node struct {
	Left, Right int32
	Value       float64 // of a leaf
	Feature     int32
	Threshold   float64 // goes Left when x <= Threshold, or x < Threshold with Strict
	Strict      bool
	DefaultLeft bool
	Missing     Missing
	// Categories, when not nil, makes this a categorical node: bit v set sends value v (truncated to a whole number)
	// Left; every other value goes Right, NaN to the default child.
	Categories []uint32
}

// Limits that no honest model reaches.
const (
	maxNodes    = 1 << 28
	maxFeatures = 1 << 20
	maxDepth    = 1 << 12
)

// op is how a slot sees its feature.
type op uint8

const (
	opRaw op = iota
	opNaNToZero
	opZeroToNaN
)

// zeroThreshold is LightGBM's kZeroThreshold, a float32 constant.
var zeroThreshold = float64(float32(1e-35)) //nolint:gochecknoglobals // a constant that Go cannot write as one

type slot struct {
	feature int32
	op      op
	negate  bool
}

// node is 16 bytes. A numeric node goes to left+1 when slot <= threshold and to left otherwise (NaN included). A leaf
// has left == its own index and slot 0, which always holds NaN; its value is in threshold. A categorical node has
// categorical set in slot, and its index into Ensemble.sets in threshold's bits.
type node struct {
	threshold float64
	slot      uint32
	left      int32
}

const categorical = 1 << 31

// set is the categories of a node; nan says whether NaN belongs to it.
type set struct {
	bits []uint32
	nan  bool
}

type tree struct {
	root   int32
	group  int32
	depth  int32
	hasSet bool
}

// Builder collects trees into an [Ensemble].
type Builder struct {
	e     *Ensemble
	slots map[slot]uint32
}

// NewBuilder starts an ensemble over features columns that sums leaf values into groups outputs. With float32 set,
// values are rounded to float32 before they are compared and sums are kept in float32, as XGBoost does.
func NewBuilder(features, groups int, float32s bool) (*Builder, error) {
	if features < 0 || features > maxFeatures {
		return nil, fmt.Errorf("%d features (at most %d)", features, maxFeatures)
	}
	if groups < 1 || groups > maxFeatures {
		return nil, fmt.Errorf("%d outputs (1 to %d)", groups, maxFeatures)
	}
	return &Builder{
		e:     &Ensemble{features: features, groups: groups, float32s: float32s, slots: []slot{{}}},
		slots: map[slot]uint32{},
	}, nil
}

// Add appends a tree whose root is node 0 and whose leaves add to the given output. Nodes that the root does not reach
// are dropped; a node reached twice, a child out of range or a feature out of range is an error.
func (b *Builder) Add(group int, nodes []Node) error {
	e := b.e
	if group < 0 || group >= e.groups {
		return fmt.Errorf("tree for output %d of %d", group, e.groups)
	}
	if len(nodes) == 0 {
		return fmt.Errorf("a tree without nodes")
	}
	if len(e.nodes)+len(nodes) > maxNodes {
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	type item struct{ from, to, depth int32 }
	seen := make([]bool, len(nodes))
	seen[0] = true
	root := int32(len(e.nodes))
	t := tree{root: root, group: int32(group)}
	e.nodes = append(e.nodes, node{})
	queue := []item{{from: 0, to: root}}
	for len(queue) > 0 {
		it := queue[0]
		queue = queue[1:]
		n := &nodes[it.from]
		t.depth = max(t.depth, it.depth)
		if n.Left < 0 {
			e.nodes[it.to] = node{threshold: n.Value, left: it.to}
			continue
		}
		if it.depth >= maxDepth {
			return fmt.Errorf("a tree deeper than %d", maxDepth)
		}
		for _, child := range [2]int32{n.Left, n.Right} {
			if child < 0 || int(child) >= len(nodes) {
				return fmt.Errorf("node %d has child %d of %d", it.from, child, len(nodes))
			}
			if seen[child] {
				return fmt.Errorf("node %d is reached twice", child)
			}
			seen[child] = true
		}
		compiled, rightFirst, err := b.compile(n)
		if err != nil {
			return fmt.Errorf("node %d: %w", it.from, err)
		}
		compiled.left = int32(len(e.nodes))
		e.nodes[it.to] = compiled
		e.nodes = append(e.nodes, node{}, node{})
		no, yes := n.Right, n.Left // "slot <= threshold" false and true
		if rightFirst {
			no, yes = n.Left, n.Right
		}
		queue = append(queue, item{no, compiled.left, it.depth + 1}, item{yes, compiled.left + 1, it.depth + 1})
		t.hasSet = t.hasSet || n.Categories != nil
	}
	e.trees = append(e.trees, t)
	return nil
}

// compile turns the test of a node into "slot <= threshold". NaN fails every comparison, so a node that sends NaN left
// compares the negated value: x > T is -x < -T, and its true side is Right.
func (b *Builder) compile(n *Node) (out node, rightFirst bool, err error) {
	if n.Feature < 0 || int(n.Feature) >= b.e.features {
		return node{}, false, fmt.Errorf("feature %d of %d", n.Feature, b.e.features)
	}
	if n.Categories != nil {
		if n.Feature >= 1<<24 {
			return node{}, false, fmt.Errorf("categorical feature %d", n.Feature)
		}
		b.e.sets = append(b.e.sets, set{bits: n.Categories, nan: n.DefaultLeft})
		at := b.slot(slot{feature: n.Feature})
		return node{threshold: math.Float64frombits(uint64(len(b.e.sets) - 1)), slot: at | categorical}, false, nil
	}
	if math.IsNaN(n.Threshold) {
		return node{}, false, fmt.Errorf("the threshold is not a number")
	}
	t := n.Threshold
	if n.Strict {
		t = math.Nextafter(t, math.Inf(-1))
	}
	s := slot{feature: n.Feature}
	switch n.Missing {
	case MissingNone:
		s.op = opNaNToZero
	case MissingZero:
		s.op = opZeroToNaN
	case MissingNaN:
	}
	if !n.DefaultLeft || n.Missing == MissingNone {
		return node{threshold: t, slot: b.slot(s)}, false, nil
	}
	s.negate = true
	return node{threshold: math.Nextafter(-t, math.Inf(-1)), slot: b.slot(s)}, true, nil
}

func (b *Builder) slot(s slot) uint32 {
	at, ok := b.slots[s]
	if !ok {
		at = uint32(len(b.e.slots))
		b.slots[s] = at
		b.e.slots = append(b.e.slots, s)
	}
	return at
}

// Build finishes the ensemble; the builder must not be used after. init holds the starting value of every output.
func (b *Builder) Build(init []float64) (*Ensemble, error) {
	if len(init) != b.e.groups {
		return nil, fmt.Errorf("%d starting values for %d outputs", len(init), b.e.groups)
	}
	b.e.init = init
	return b.e, nil
}
