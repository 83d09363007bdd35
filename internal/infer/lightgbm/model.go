package lightgbm

import (
	"bytes"
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
	// Objective is the first word of the objective line, "" for a custom objective (predictions are raw scores then).
	Objective    string
	Classes      int // 1 unless the objective is multiclass or multiclassova
	Features     int
	FeatureNames []string
	// Categorical marks the features that were categorical at training.
	Categorical []bool
	// PandasCategories are the categories of the data frame's category columns, in column order: prediction wants the
	// index of a value in its list.
	PandasCategories [][]any
	Trees            int

	ensemble *tree.Ensemble
	average  float64 // iterations to divide by (boosting rf), 0 to keep the sum
	link     func([]float64)
}

// Parse reads a model text. iterations limits how many boosting rounds are used, 0 means all. A model that the native
// engine cannot run gives an error that wraps [ErrUnsupported].
func Parse(data []byte, iterations int) (*Model, error) {
	s := &scanner{rest: data}
	if first, ok := s.line(); !ok || first != "tree" {
		return nil, errors.New("not a LightGBM model: the first line is not \"tree\"")
	}
	header, err := s.header()
	if err != nil {
		return nil, err
	}
	m, perIteration, err := newModel(header)
	if err != nil {
		return nil, err
	}
	b, err := tree.NewBuilder(m.Features, m.Classes, false)
	if err != nil {
		return nil, err
	}
	for s.tree() {
		fields := s.fields()
		if iterations > 0 && m.Trees >= iterations*perIteration {
			continue
		}
		nodes, err := readTree(fields)
		if err == nil {
			err = b.Add(m.Trees%perIteration, nodes)
		}
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", m.Trees, err)
		}
		m.Trees++
	}
	if !s.ended {
		return nil, errors.New("the file ends too early: no \"end of trees\"")
	}
	if m.Trees%perIteration != 0 {
		return nil, fmt.Errorf("%d trees are no multiple of %d", m.Trees, perIteration)
	}
	if m.average > 0 {
		m.average = math.Max(1, float64(m.Trees/perIteration))
	}
	if m.PandasCategories, err = s.pandasCategories(); err != nil {
		return nil, err
	}
	m.ensemble, err = b.Build(make([]float64, m.Classes))
	return m, err
}

// Groups is the number of outputs of a row.
func (m *Model) Groups() int { return m.Classes }

// Bytes estimates the memory of the model.
func (m *Model) Bytes() int64 { return m.ensemble.Bytes() }

// Margin writes the raw scores of every row to out (rows times Groups).
func (m *Model) Margin(out []float64, columns []tree.Column, rows int) {
	m.ensemble.Predict(out, columns, rows)
	if m.average > 0 {
		for i := range out[:rows*m.Classes] {
			out[i] /= m.average
		}
	}
}

// Link turns raw scores into predictions in place, row by row.
func (m *Model) Link(out []float64) { m.link(out) }

func newModel(header map[string]string) (*Model, int, error) {
	whole := func(key string, low, high int) (int, error) {
		n, err := strconv.Atoi(header[key])
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%s=%.20q: a whole number from %d to %d was expected", key, header[key], low, high)
		}
		return n, nil
	}
	last, err := whole("max_feature_idx", 0, 1<<20)
	if err != nil {
		return nil, 0, err
	}
	perIteration, err := whole("num_tree_per_iteration", 1, 1<<16)
	if err != nil {
		return nil, 0, err
	}
	m := &Model{Classes: perIteration, Features: last + 1, FeatureNames: strings.Fields(header["feature_names"])}
	if len(m.FeatureNames) != m.Features {
		return nil, 0, fmt.Errorf("%d feature names for %d features", len(m.FeatureNames), m.Features)
	}
	m.Categorical = make([]bool, m.Features)
	if infos := strings.Fields(header["feature_infos"]); len(infos) == m.Features {
		for i, info := range infos { // [low:high] for a number, none for a constant, 3:1:7 for categories
			m.Categorical[i] = info != "none" && !strings.HasPrefix(info, "[")
		}
	}
	if _, ok := header["average_output"]; ok {
		m.average = 1
	}
	words := strings.Fields(header["objective"])
	if len(words) > 0 {
		m.Objective = words[0]
	}
	m.link, err = link(words, m.Classes)
	return m, perIteration, err
}

// decision_type bits.
const (
	bitCategorical = 1
	bitDefaultLeft = 2
)

func readTree(fields map[string]string) ([]tree.Node, error) {
	leaves, err := strconv.Atoi(fields["num_leaves"])
	if err != nil || leaves < 1 || leaves > 1<<24 {
		return nil, fmt.Errorf("num_leaves=%.20q", fields["num_leaves"])
	}
	if fields["is_linear"] == "1" {
		return nil, fmt.Errorf("linear leaves: %w", ErrUnsupported)
	}
	values, err := numbers(fields, "leaf_value", leaves)
	if err != nil {
		return nil, err
	}
	splits := leaves - 1
	var columns [5][]float64
	for i, key := range []string{"split_feature", "threshold", "decision_type", "left_child", "right_child"} {
		if columns[i], err = numbers(fields, key, splits); err != nil {
			return nil, err
		}
	}
	sets, err := readSets(fields)
	if err != nil {
		return nil, err
	}
	child := func(v float64) int32 {
		if v < 0 {
			return int32(splits) + int32(-v) - 1 // -1 is leaf 0
		}
		return int32(v)
	}
	nodes := make([]tree.Node, 0, splits+leaves)
	for i := range splits {
		decision := int(columns[2][i])
		n := tree.Node{
			Feature: int32(columns[0][i]), Threshold: columns[1][i],
			Left: child(columns[3][i]), Right: child(columns[4][i]),
			DefaultLeft: decision&bitDefaultLeft != 0,
		}
		switch decision >> 2 & 3 {
		case 0:
			n.Missing = tree.MissingNone
		case 1:
			n.Missing = tree.MissingZero
		case 2:
			n.Missing = tree.MissingNaN
		default:
			return nil, fmt.Errorf("decision type %d of node %d", decision, i)
		}
		if decision&bitCategorical != 0 {
			at := int(n.Threshold)
			if at < 0 || at >= len(sets) {
				return nil, fmt.Errorf("node %d uses category set %d of %d", i, at, len(sets))
			}
			n.Categories, n.DefaultLeft = sets[at], false
		}
		nodes = append(nodes, n)
	}
	for _, v := range values {
		nodes = append(nodes, tree.Node{Left: -1, Value: v})
	}
	return nodes, nil
}

// readSets reads the category bitsets of a tree.
func readSets(fields map[string]string) ([][]uint32, error) {
	if fields["num_cat"] == "" || fields["num_cat"] == "0" {
		return nil, nil
	}
	bounds, err := numbers(fields, "cat_boundaries", -1)
	if err != nil {
		return nil, err
	}
	words, err := numbers(fields, "cat_threshold", -1)
	if err != nil {
		return nil, err
	}
	bits := make([]uint32, len(words))
	for i, w := range words {
		if w < 0 || w > math.MaxUint32 {
			return nil, fmt.Errorf("cat_threshold %v", w)
		}
		bits[i] = uint32(w)
	}
	var sets [][]uint32
	for i := range max(0, len(bounds)-1) {
		from, to := int(bounds[i]), int(bounds[i+1])
		if from < 0 || to < from || to > len(bits) {
			return nil, fmt.Errorf("category set %d lies outside of the data", i)
		}
		sets = append(sets, bits[from:to:to])
	}
	return sets, nil
}

// numbers reads a list of n finite numbers; n < 0 takes any length.
func numbers(fields map[string]string, key string, n int) ([]float64, error) {
	text := fields[key]
	out := make([]float64, 0, strings.Count(text, " ")+1)
	for word := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(v) || (math.IsInf(v, 0) && key != "threshold") {
			return nil, fmt.Errorf("%s has %.20q", key, word)
		}
		if key != "threshold" && key != "leaf_value" && (v != math.Trunc(v) || math.Abs(v) > math.MaxUint32) {
			return nil, fmt.Errorf("%s has %.20q, a whole number was expected", key, word)
		}
		if strings.HasSuffix(key, "_child") && math.Abs(v) > 1<<25 {
			return nil, fmt.Errorf("%s has %.20q", key, word)
		}
		out = append(out, v)
	}
	if n >= 0 && len(out) != n {
		return nil, fmt.Errorf("%s has %d values, %d were expected", key, len(out), n)
	}
	return out, nil
}

// scanner walks through the lines of a model text.
type scanner struct {
	rest  []byte
	held  string // a line that was read too far
	has   bool
	ended bool // "end of trees" was seen
}

func (s *scanner) line() (string, bool) {
	if s.has {
		s.has = false
		return s.held, true
	}
	if len(s.rest) == 0 {
		return "", false
	}
	line, rest, _ := bytes.Cut(s.rest, []byte{'\n'})
	s.rest = rest
	return strings.TrimRight(string(line), "\r"), true
}

func (s *scanner) back(line string) { s.held, s.has = line, true }

func (s *scanner) header() (map[string]string, error) {
	out := map[string]string{}
	for {
		line, ok := s.line()
		if !ok {
			return nil, errors.New("the file ends in its header")
		}
		if strings.HasPrefix(line, "Tree=") || line == "end of trees" {
			s.back(line)
			return out, nil
		}
		key, value, _ := strings.Cut(line, "=")
		out[key] = value
	}
}

// tree moves to the fields of the next tree.
func (s *scanner) tree() bool {
	for {
		line, ok := s.line()
		if !ok {
			return false
		}
		if line == "end of trees" {
			s.ended = true
			return false
		}
		if strings.HasPrefix(line, "Tree=") {
			return true
		}
	}
}

func (s *scanner) fields() map[string]string {
	out := map[string]string{}
	for {
		line, ok := s.line()
		if !ok {
			return out
		}
		if strings.HasPrefix(line, "Tree=") || line == "end of trees" {
			s.back(line)
			return out
		}
		if key, value, found := strings.Cut(line, "="); found {
			out[key] = value
		}
	}
}

func (s *scanner) pandasCategories() ([][]any, error) {
	for {
		line, ok := s.line()
		if !ok {
			return nil, nil
		}
		text, found := strings.CutPrefix(line, "pandas_categorical:")
		if !found || text == "null" || text == "[]" || text == "" {
			continue
		}
		var out [][]any
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			return nil, fmt.Errorf("pandas_categorical: %w", err)
		}
		return out, nil
	}
}
