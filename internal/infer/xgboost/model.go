package xgboost

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/infer/tree"
)

// ErrUnsupported marks a valid model that only the library itself can run.
var ErrUnsupported = errors.New("not supported natively")

// Model is a booster. It is safe for concurrent use.
type Model struct {
	Objective string
	// Version is the XGBoost release that saved the file.
	Version [3]int
	// Classes is the number of classes, 0 unless the objective is multi:*.
	Classes int
	// Targets is the number of outputs that are not classes (quantiles, labels of a multi-label model).
	Targets int
	// FeatureNames and FeatureTypes are empty when the training data had none.
	FeatureNames []string
	FeatureTypes []string
	Features     int
	// Categories holds the texts of features that were text categories at training: prediction wants their index.
	Categories map[int][]string
	// BestIteration is where early stopping found the best score, -1 without.
	BestIteration int
	Trees         int

	ensemble *tree.Ensemble
	linear   *linear
	link     func([]float64)
}

// linear is a gblinear booster: weights[f*groups+g], the bias in the last row.
type linear struct {
	weights []float64
	bias    []float64 // bias and base score together
}

// Options choose what part of the model runs.
type Options struct {
	// BestIteration stops at the best iteration when there is one, as the scikit-learn classes do; Booster.predict uses
	// every tree.
	BestIteration bool
}

// Parse reads a model in JSON or UBJSON. A model that the native engine cannot run gives an error that wraps
// [ErrUnsupported].
func Parse(data []byte, opts Options) (*Model, error) {
	root, err := decode(data)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	learner := r.object(root, "learner")
	m := r.header(root, learner)
	base, err := r.baseScore(learner, m)
	if err != nil {
		return nil, err
	}
	gb := r.object(learner, "gradient_booster")
	if r.err != nil {
		return nil, r.err
	}
	if m.link, err = link(m.Objective, m.Groups()); err != nil {
		return nil, err
	}
	switch name := r.text(gb, "name"); name {
	case "gbtree":
		err = m.loadTrees(r.object(gb, "model"), nil, base, opts)
	case "dart":
		err = m.loadTrees(r.object(r.object(gb, "gbtree"), "model"), r.numbers(gb, "weight_drop"), base, opts)
	case "gblinear":
		err = m.loadLinear(r.numbers(r.object(gb, "model"), "weights"), base)
	default:
		err = fmt.Errorf("booster %q: %w", name, ErrUnsupported)
	}
	return m, errors.Join(r.err, err)
}

// Groups is the number of outputs of a row.
func (m *Model) Groups() int { return max(1, m.Classes, m.Targets) }

// Bytes estimates the memory of the model.
func (m *Model) Bytes() int64 {
	if m.linear != nil {
		return int64(len(m.linear.weights)+len(m.linear.bias)) * 8
	}
	return m.ensemble.Bytes()
}

// Margin writes the raw scores of every row to out (rows times Groups).
func (m *Model) Margin(out []float64, columns []tree.Column, rows int) {
	if m.ensemble != nil {
		m.ensemble.Predict(out, columns, rows)
		return
	}
	g := m.Groups()
	for r := range rows {
		sums := out[r*g : (r+1)*g]
		copy(sums, m.linear.bias)
		for f, c := range columns {
			x := float64(float32(c.Data[r*c.Stride]))
			if math.IsNaN(x) {
				continue
			}
			for k := range sums {
				sums[k] = float64(float32(sums[k] + float64(float32(x*m.linear.weights[f*g+k]))))
			}
		}
	}
}

// Link turns margins into predictions in place, row by row: probabilities for logistic objectives, a softmax for
// multi:softprob and multi:softmax, exp for counts. Results are float32 values.
func (m *Model) Link(out []float64) { m.link(out) }

// header reads what the learner says of itself.
func (r *reader) header(root, learner map[string]any) *Model {
	param := r.object(learner, "learner_model_param")
	m := &Model{
		Objective:     r.text(r.object(learner, "objective"), "name"),
		Classes:       r.whole(param, "num_class"),
		Features:      r.whole(param, "num_feature"),
		BestIteration: -1,
	}
	if m.Classes == 1 {
		m.Classes = 0
	}
	if _, ok := param["num_target"]; ok {
		m.Targets = r.whole(param, "num_target")
	}
	if r.err == nil && (m.Classes < 0 || m.Classes > 1<<16 || m.Targets < 0 || m.Targets > 1<<16 || m.Features < 0) {
		r.err = fmt.Errorf("%d classes, %d targets, %d features", m.Classes, m.Targets, m.Features)
	}
	m.FeatureNames = texts(learner["feature_names"])
	m.FeatureTypes = texts(learner["feature_types"])
	if attributes, ok := learner["attributes"].(map[string]any); ok {
		if s, ok := attributes["best_iteration"].(string); ok {
			if n, err := strconv.Atoi(s); err == nil && n >= 0 {
				m.BestIteration = n
			}
		}
	}
	if v, ok := root["version"].([]float64); ok {
		for i := range min(3, len(v)) {
			m.Version[i] = int(v[i])
		}
	}
	return m
}

// baseScore reads the starting value in margin space, one for each output. Files hold it as a prediction ("5E-1";
// since 3.1 a list "[5E-1]"), so the inverse link is applied, as the library does on load.
func (r *reader) baseScore(learner map[string]any, m *Model) ([]float64, error) {
	text := r.text(r.object(learner, "learner_model_param"), "base_score")
	if r.err != nil {
		return nil, r.err
	}
	var values []float64
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return nil, fmt.Errorf("base_score %.40q is no list of numbers", text)
		}
	} else {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("base_score %.40q is no number", text)
		}
		values = []float64{v}
	}
	groups := m.Groups()
	if len(values) == 1 {
		for len(values) < groups {
			values = append(values, values[0])
		}
	}
	if len(values) != groups {
		return nil, fmt.Errorf("%d base scores for %d outputs", len(values), groups)
	}
	for i, v := range values {
		values[i] = toMargin(m.Objective, float64(float32(v)))
	}
	return values, nil
}

func (m *Model) loadLinear(weights, base []float64) error {
	g := m.Groups()
	if len(weights) != (m.Features+1)*g {
		return fmt.Errorf("%d weights for %d features and %d outputs", len(weights), m.Features, g)
	}
	for i, w := range weights {
		weights[i] = float64(float32(w))
	}
	l := &linear{weights: weights[:m.Features*g], bias: make([]float64, g)}
	for k := range g {
		l.bias[k] = float64(float32(weights[m.Features*g+k] + base[k]))
	}
	m.linear = l
	return nil
}

func (m *Model) loadTrees(model map[string]any, weights, base []float64, opts Options) error {
	r := &reader{}
	trees := r.list(model, "trees")
	groups := r.numbers(model, "tree_info")
	if r.err != nil {
		return r.err
	}
	if len(groups) != len(trees) {
		return fmt.Errorf("%d trees but %d entries in tree_info", len(trees), len(groups))
	}
	if weights != nil && len(weights) != len(trees) {
		return fmt.Errorf("%d trees but %d dart weights", len(trees), len(weights))
	}
	if err := m.readCategories(model["cats"]); err != nil {
		return err
	}
	used, err := m.usedTrees(model, len(trees), opts)
	if err != nil {
		return err
	}
	b, err := tree.NewBuilder(m.Features, m.Groups(), true)
	if err != nil {
		return err
	}
	for i, t := range trees[:used] {
		weight := 1.0
		if weights != nil {
			weight = float64(float32(weights[i]))
		}
		object, ok := t.(map[string]any)
		if !ok {
			return fmt.Errorf("tree %d is not an object", i)
		}
		nodes, err := readTree(object, weight)
		if err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		if err := b.Add(int(groups[i]), nodes); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	m.Trees = used
	m.ensemble, err = b.Build(base)
	return err
}

// usedTrees is how many of the trees predict uses.
func (m *Model) usedTrees(model map[string]any, trees int, opts Options) (int, error) {
	if !opts.BestIteration || m.BestIteration < 0 {
		return trees, nil
	}
	if ends, ok := model["iteration_indptr"].([]float64); ok && len(ends) > 0 {
		at := min(m.BestIteration+1, len(ends)-1)
		n := int(ends[at])
		if n < 0 || n > trees {
			return 0, fmt.Errorf("iteration %d ends at tree %d of %d", at, n, trees)
		}
		return n, nil
	}
	r := &reader{}
	parallel := 1
	if param, ok := model["gbtree_model_param"].(map[string]any); ok && param["num_parallel_tree"] != nil {
		parallel = max(1, r.whole(param, "num_parallel_tree"))
	}
	if r.err != nil {
		return 0, r.err
	}
	if parallel > 1<<20 || m.BestIteration > 1<<30 {
		return trees, nil
	}
	return min(trees, (m.BestIteration+1)*parallel*m.Groups()), nil
}

// readCategories reads the category texts that versions since 3.1 keep; whole-number categories need no recoding when
// they are 0, 1, 2..., the only ones this reader takes.
func (m *Model) readCategories(v any) error {
	cats, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	enc, _ := cats["enc"].([]any)
	for f, e := range enc {
		c, _ := e.(map[string]any)
		values, _ := c["values"].([]float64)
		if len(values) == 0 {
			continue
		}
		offsets, isText := c["offsets"].([]float64)
		if !isText || len(offsets) == 0 {
			for i, v := range values {
				if v != float64(i) {
					return fmt.Errorf("feature %d has the categories %v...: %w", f, values[:i+1], ErrUnsupported)
				}
			}
			continue
		}
		names, err := splitTexts(values, offsets)
		if err != nil {
			return fmt.Errorf("categories of feature %d: %w", f, err)
		}
		if m.Categories == nil {
			m.Categories = map[int][]string{}
		}
		m.Categories[f] = names
	}
	return nil
}

func splitTexts(values, offsets []float64) ([]string, error) {
	raw := make([]byte, len(values))
	for i, v := range values {
		raw[i] = byte(int(v))
	}
	names := make([]string, 0, len(offsets))
	for i := range len(offsets) - 1 {
		from, to := int(offsets[i]), int(offsets[i+1])
		if from < 0 || to < from || to > len(raw) {
			return nil, fmt.Errorf("text %d lies outside of the data", i)
		}
		names = append(names, string(raw[from:to]))
	}
	return names, nil
}

// readTree reads one tree; weight multiplies its leaves (dart).
func readTree(t map[string]any, weight float64) ([]tree.Node, error) {
	r := &reader{}
	left, right := r.numbers(t, "left_children"), r.numbers(t, "right_children")
	features, conditions := r.numbers(t, "split_indices"), r.numbers(t, "split_conditions")
	defaults := r.numbers(t, "default_left")
	if r.err != nil {
		return nil, r.err
	}
	if param, ok := t["tree_param"].(map[string]any); ok && param["size_leaf_vector"] != nil {
		if r.whole(param, "size_leaf_vector") > 1 {
			return nil, fmt.Errorf("a tree with several outputs: %w", ErrUnsupported)
		}
	}
	n := len(left)
	if len(right) != n || len(features) != n || len(conditions) != n || len(defaults) != n {
		return nil, fmt.Errorf("arrays of different lengths")
	}
	nodes := make([]tree.Node, n)
	for i := range nodes {
		value := float64(float32(conditions[i]))
		if left[i] < 0 {
			nodes[i] = tree.Node{Left: -1, Value: float64(float32(value * weight))}
			continue
		}
		nodes[i] = tree.Node{
			Left: clampIndex(left[i]), Right: clampIndex(right[i]), Feature: clampIndex(features[i]),
			Threshold: value, Strict: true, DefaultLeft: defaults[i] != 0,
		}
	}
	if err := readSets(t, nodes); err != nil {
		return nil, err
	}
	return nodes, r.err
}

// maxSetWords bounds the category bitsets of a tree: a short file could ask for long ones.
const maxSetWords = 1 << 20

// readSets marks the categorical nodes. A value in a node's set goes right, any other left.
func readSets(t map[string]any, nodes []tree.Node) error {
	which, _ := t["categories_nodes"].([]float64)
	if len(which) == 0 {
		return nil
	}
	r := &reader{}
	values, starts, sizes := r.numbers(t, "categories"), r.numbers(t, "categories_segments"), r.numbers(t, "categories_sizes")
	if r.err != nil {
		return r.err
	}
	if len(starts) != len(which) || len(sizes) != len(which) {
		return errors.New("categories of different lengths")
	}
	words := 0
	for i, at := range which {
		k, from, size := int(clampIndex(at)), int(clampIndex(starts[i])), int(clampIndex(sizes[i]))
		if k < 0 || k >= len(nodes) || nodes[k].Left < 0 || from < 0 || size < 0 || from+size > len(values) {
			return fmt.Errorf("categories of node %d lie outside of the data", k)
		}
		set := []uint32{}
		if words > maxSetWords {
			return errors.New("more categories than a model can have")
		}
		for _, v := range values[from : from+size] {
			if v < 0 || v >= 1<<20 {
				return fmt.Errorf("category %v of node %d", v, k)
			}
			c := uint32(v)
			for len(set) <= int(c/32) {
				set = append(set, 0)
			}
			set[c/32] |= 1 << (c % 32)
		}
		words += len(set)
		n := &nodes[k]
		n.Categories = set
		n.Left, n.Right = n.Right, n.Left
		n.DefaultLeft = !n.DefaultLeft
	}
	return nil
}

// clampIndex makes an index of a number; what is no index becomes -1.
func clampIndex(v float64) int32 {
	if v < 0 || v > math.MaxInt32 || v != math.Trunc(v) {
		return -1
	}
	return int32(v)
}

// reader takes fields out of a document and keeps the first error.
type reader struct{ err error }

func (r *reader) fail(key, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("field %q: %s was expected", key, want)
	}
}

func (r *reader) object(m map[string]any, key string) map[string]any {
	v, ok := m[key].(map[string]any)
	if !ok {
		r.fail(key, "an object")
	}
	return v
}

func (r *reader) text(m map[string]any, key string) string {
	v, ok := m[key].(string)
	if !ok {
		r.fail(key, "a text")
	}
	return v
}

// whole reads a whole number, which XGBoost writes as text.
func (r *reader) whole(m map[string]any, key string) int {
	switch v := m[key].(type) {
	case string:
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			return int(n)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<31 {
			return int(v)
		}
	}
	r.fail(key, "a whole number")
	return 0
}

func (r *reader) numbers(m map[string]any, key string) []float64 {
	v, ok := m[key].([]float64)
	if !ok {
		r.fail(key, "a list of numbers")
	}
	return v
}

func (r *reader) list(m map[string]any, key string) []any {
	switch v := m[key].(type) {
	case []any:
		return v
	case []float64:
		if len(v) == 0 {
			return nil
		}
	}
	r.fail(key, "a list")
	return nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil
		}
		out = append(out, s)
	}
	return out
}
