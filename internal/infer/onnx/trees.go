package onnx

import (
	"fmt"

	"github.com/modelyard/modelyard/internal/infer/tree"
)

// ensemble reads the attributes of TreeEnsembleRegressor (prefix "target") and TreeEnsembleClassifier ("class"). A leaf
// may weigh on several outputs; the tree is then added once for each of them.
func ensemble(n *Node, prefix string, outputs int) (*tree.Ensemble, error) {
	at := func(name string) []int64 { return n.Attributes[name].Ints }
	trees, ids, features := at("nodes_treeids"), at("nodes_nodeids"), at("nodes_featureids")
	yes, no := at("nodes_truenodeids"), at("nodes_falsenodeids")
	modes, values := n.Attributes["nodes_modes"].Strings, n.Attributes["nodes_values"].Floats
	missing := at("nodes_missing_value_tracks_true")
	count := len(ids)
	if len(trees) != count || len(features) != count || len(yes) != count || len(no) != count || len(modes) != count || len(values) != count || count == 0 {
		return nil, fmt.Errorf("node lists of different lengths (doubles are for ONNX Runtime): %w", ErrUnsupported)
	}
	if f := n.Attributes["aggregate_function"].Text; f != "" && f != "SUM" {
		return nil, fmt.Errorf("aggregate_function %.20q: %w", f, ErrUnsupported)
	}
	type key struct{ tree, node int64 }
	index := make(map[key]int32, count) // position within its tree
	members := map[int64][]int{}
	var order []int64
	width := int64(0)
	for i := range ids {
		k := key{trees[i], ids[i]}
		if _, twice := index[k]; twice {
			return nil, fmt.Errorf("node %d of tree %d twice", k.node, k.tree)
		}
		if members[k.tree] == nil {
			order = append(order, k.tree)
		}
		index[k] = int32(len(members[k.tree]))
		members[k.tree] = append(members[k.tree], i)
		width = max(width, features[i]+1)
	}
	weights, err := leafWeights(n, prefix, outputs)
	if err != nil {
		return nil, err
	}
	b, err := tree.NewBuilder(int(min(width, 1<<30)), outputs, true)
	if err != nil {
		return nil, err
	}
	for _, id := range order {
		nodes := make([]tree.Node, len(members[id]))
		for j, i := range members[id] {
			if modes[i] == "LEAF" {
				nodes[j] = tree.Node{Left: -1}
				continue
			}
			left, ok1 := index[key{id, yes[i]}]
			right, ok2 := index[key{id, no[i]}]
			if !ok1 || !ok2 || features[i] < 0 {
				return nil, fmt.Errorf("node %d of tree %d has no such child", ids[i], id)
			}
			tracks := i < len(missing) && missing[i] == 1
			nodes[j] = tree.Node{Left: left, Right: right, Feature: int32(features[i]), Threshold: float64(values[i]), DefaultLeft: tracks}
			switch modes[i] {
			case "BRANCH_LEQ":
			case "BRANCH_LT":
				nodes[j].Strict = true
			case "BRANCH_GTE", "BRANCH_GT":
				nodes[j].Left, nodes[j].Right, nodes[j].DefaultLeft = right, left, !tracks
				nodes[j].Strict = modes[i] == "BRANCH_GTE"
			default:
				return nil, fmt.Errorf("mode %.20q: %w", modes[i], ErrUnsupported)
			}
		}
		for group := range outputs {
			used := false
			for j, i := range members[id] {
				if nodes[j].Left < 0 {
					w, ok := weights[leaf{id, ids[i], group}]
					nodes[j].Value, used = w, used || ok
				}
			}
			if !used {
				continue
			}
			if err := b.Add(group, nodes); err != nil {
				return nil, fmt.Errorf("tree %d: %w", id, err)
			}
		}
	}
	init := make([]float64, outputs)
	base := n.Attributes["base_values"].Floats
	if len(base) != 0 && len(base) != outputs {
		return nil, fmt.Errorf("%d base values for %d outputs: %w", len(base), outputs, ErrUnsupported)
	}
	for i, v := range base {
		init[i] = float64(v)
	}
	return b.Build(init)
}

type leaf struct {
	tree, node int64
	output     int
}

func leafWeights(n *Node, prefix string, outputs int) (map[leaf]float64, error) {
	trees, nodes := n.Attributes[prefix+"_treeids"].Ints, n.Attributes[prefix+"_nodeids"].Ints
	ids, weights := n.Attributes[prefix+"_ids"].Ints, n.Attributes[prefix+"_weights"].Floats
	if len(trees) != len(nodes) || len(ids) != len(nodes) || len(weights) != len(nodes) {
		return nil, fmt.Errorf("weight lists of different lengths: %w", ErrUnsupported)
	}
	out := make(map[leaf]float64, len(nodes))
	for i := range nodes {
		if ids[i] < 0 || ids[i] >= int64(outputs) {
			return nil, fmt.Errorf("a weight for output %d of %d", ids[i], outputs)
		}
		out[leaf{trees[i], nodes[i], int(ids[i])}] += float64(weights[i])
	}
	return out, nil
}

// evaluate runs an ensemble over a table.
func evaluate(e *tree.Ensemble, t *Tensor) (rows int, sums []float64, err error) {
	rows, width, err := table(t)
	if err != nil {
		return 0, nil, err
	}
	if width < e.Features() {
		return 0, nil, fmt.Errorf("%d columns, %d are needed", width, e.Features())
	}
	x := t.Doubles
	if t.Elem != Double {
		narrow, err := floats(t)
		if err != nil {
			return 0, nil, err
		}
		x = make([]float64, len(narrow))
		for i, v := range narrow {
			x[i] = float64(v)
		}
	}
	columns := make([]tree.Column, e.Features())
	for f := range columns {
		columns[f] = tree.Column{Data: x[min(f, len(x)):], Stride: width}
	}
	sums = make([]float64, rows*e.Groups())
	e.Predict(sums, columns, rows)
	return rows, sums, nil
}

const maxTargets = 1 << 10

func treeRegressor(n *Node) (kernel, error) {
	targets := int64(1)
	if v, given := n.Attributes["n_targets"]; given {
		targets = v.Int
	}
	if targets < 1 || targets > maxTargets {
		return nil, fmt.Errorf("%d targets", targets)
	}
	transform, err := postTransform(n)
	if err != nil {
		return nil, err
	}
	e, err := ensemble(n, "target", int(targets))
	if err != nil {
		return nil, err
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, sums, err := evaluate(e, &in[0])
		if err != nil {
			return nil, err
		}
		out := narrowed(sums)
		for r := range rows {
			transform(out[r*int(targets) : (r+1)*int(targets)])
		}
		return floatTable(rows, int(targets), out), nil
	}, nil
}

func narrowed(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func treeClassifier(n *Node) (kernel, error) {
	labels, classes := classLabels(n)
	if classes < 2 || classes > maxTargets {
		return nil, fmt.Errorf("%d labels: %w", classes, ErrUnsupported)
	}
	transform, err := postTransform(n)
	if err != nil {
		return nil, err
	}
	if classes == 2 && oneSided(n) {
		return binaryTrees(n, labels)
	}
	e, err := ensemble(n, "class", classes)
	if err != nil {
		return nil, err
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, sums, err := evaluate(e, &in[0])
		if err != nil {
			return nil, err
		}
		return classified(labels, rows, classes, narrowed(sums), transform), nil
	}, nil
}

// oneSided reports whether all leaves of a classifier weigh on one class only.
func oneSided(n *Node) bool {
	ids := n.Attributes["class_ids"].Ints
	for _, id := range ids {
		if id != ids[0] {
			return false
		}
	}
	return len(ids) > 0
}

// binaryTrees is a two-class ensemble that scores one class. As in ONNX Runtime, non-negative weights are read as a
// probability (label at one half), others as a margin (label at zero).
func binaryTrees(n *Node, labels Tensor) (kernel, error) {
	margin := false
	for _, w := range n.Attributes["class_weights"].Floats {
		margin = margin || w < 0
	}
	transform := n.Attributes["post_transform"].Text
	if transform == "SOFTMAX" || (!margin && transform == "LOGISTIC") {
		return nil, fmt.Errorf("post_transform %s on one class: %w", transform, ErrUnsupported)
	}
	one := *n
	one.Attributes = map[string]Attribute{}
	for k, v := range n.Attributes {
		one.Attributes[k] = v
	}
	one.Attributes["class_ids"] = Attribute{Ints: make([]int64, len(n.Attributes["class_ids"].Ints))}
	if base := n.Attributes["base_values"].Floats; len(base) == 2 {
		one.Attributes["base_values"] = Attribute{Floats: base[1:]}
	}
	e, err := ensemble(&one, "class", 1)
	if err != nil {
		return nil, err
	}
	return func(in []Tensor) ([]Tensor, error) {
		rows, sums, err := evaluate(e, &in[0])
		if err != nil {
			return nil, err
		}
		label := Tensor{Elem: labels.Elem, Shape: []int{rows}}
		scores := make([]float32, 0, 2*rows)
		for _, s := range sums {
			switch {
			case !margin:
				label.add(&labels, b2i(s > 0.5))
				scores = append(scores, 1-float32(s), float32(s))
			case transform == "LOGISTIC":
				label.add(&labels, b2i(s > 0))
				scores = append(scores, float32(logistic(-s)), float32(logistic(s)))
			default:
				label.add(&labels, b2i(s > 0))
				scores = append(scores, -float32(s), float32(s))
			}
		}
		return append([]Tensor{label}, floatTable(rows, 2, scores)...), nil
	}, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
