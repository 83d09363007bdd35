package infer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/modelyard/modelyard/internal/infer/lightgbm"
	"github.com/modelyard/modelyard/internal/infer/tree"
	"github.com/modelyard/modelyard/internal/infer/xgboost"
)

// task is what a model's predict makes of the booster's scores.
type task int

const (
	taskBooster task = iota // the booster's own predictions
	taskRegressor
	taskClassifier
)

func xgboostClass(class string) (task, bool) {
	switch strings.TrimPrefix(class, "xgboost.sklearn.") {
	case "", "xgboost.core.Booster":
		return taskBooster, true
	case "XGBRegressor", "XGBRFRegressor", "XGBRanker":
		return taskRegressor, true
	case "XGBClassifier", "XGBRFClassifier":
		return taskClassifier, true
	}
	return 0, false
}

// answer is the shape of a tree model's predict.
type answer int

const (
	answerValues     answer = iota // scores, one or several a row
	answerArgmax                   // index of the highest score as a float (multi:softmax of a Booster)
	answerLabels                   // label of the highest score
	answerBinary                   // label 1 where the score is above one half
	answerMultilabel               // 1.0 where a score is above one half, several a row
)

type booster interface {
	Groups() int
	Bytes() int64
	Margin(out []float64, columns []tree.Column, rows int)
	Link(out []float64)
}

// treeModel runs a booster on frames.
type treeModel struct {
	booster  booster
	answer   answer
	proba    bool // probabilities can be given besides labels
	labels   Column
	names    []string // the frame's column for each feature; nil takes columns by position
	features int
	// categories maps the texts of a feature to their index; unknown texts are missing values, or refused when closed.
	categories map[int]map[string]float64
	closed     bool
	info       Info
	scratch    sync.Pool // *treeScratch
}

type treeScratch struct {
	columns []tree.Column
	values  []float64
}

func newXGBoostModel(m *xgboost.Model, t task, src Source) (Model, error) {
	tm := &treeModel{booster: m, features: m.Features, closed: true}
	tm.info = Info{Runtime: RuntimeNative, Engine: "xgboost", Flavor: "xgboost", Trees: m.Trees}
	if len(m.FeatureNames) == m.Features {
		tm.names = m.FeatureNames
	} else if s := src.Description.Signature; s != nil {
		tm.names = columnNames(s.Inputs, m.Features)
	}
	for f, texts := range m.Categories {
		tm.addCategories(f, texts)
	}
	groups := m.Groups()
	switch {
	case t != taskClassifier:
		if m.Objective == "multi:softmax" {
			tm.answer = answerArgmax
		}
	case m.Objective == "multi:softmax":
		tm.answer, tm.proba, tm.labels = answerLabels, true, intLabels(groups)
	case groups > 1 && m.Classes != 2 && m.Classes != 0:
		tm.answer, tm.proba, tm.labels = answerLabels, true, intLabels(groups)
	case groups > 1:
		tm.answer = answerMultilabel
	default:
		tm.answer, tm.labels = answerBinary, intLabels(2)
		tm.proba = m.Objective != "binary:logitraw"
	}
	tm.finishInfo(src)
	return tm, nil
}

func newLightGBMModel(m *lightgbm.Model, class string, labels any, src Source) (Model, error) {
	tm := &treeModel{booster: m, features: m.Features}
	tm.info = Info{Runtime: RuntimeNative, Engine: "lightgbm", Flavor: "lightgbm", Trees: m.Trees}
	if s := src.Description.Signature; s != nil {
		tm.names = columnNames(s.Inputs, m.Features) // the library goes by position
	}
	if labels != nil {
		tm.labels = labelColumn(labels)
		tm.answer, tm.proba = answerLabels, true
		if m.Groups() == 1 {
			tm.answer = answerBinary
		}
	}
	if err := tm.lightgbmCategories(m, src); err != nil {
		return nil, err
	}
	tm.finishInfo(src)
	if tm.names == nil {
		tm.names = m.FeatureNames
	}
	_ = class
	return tm, nil
}

// lightgbmCategories finds the column of each category list: the lists follow the order of the category columns, which
// are the text columns of the signature, or else the features that were categorical at training.
func (tm *treeModel) lightgbmCategories(m *lightgbm.Model, src Source) error {
	lists := m.PandasCategories
	if len(lists) == 0 {
		return nil
	}
	var columns []int
	if s := src.Description.Signature; s != nil && len(s.Inputs) == m.Features {
		for f, spec := range s.Inputs {
			if spec.Kind == String {
				columns = append(columns, f)
			}
		}
	}
	if len(columns) != len(lists) {
		columns = nil
		for f, is := range m.Categorical {
			if is {
				columns = append(columns, f)
			}
		}
	}
	if len(columns) != len(lists) {
		return fmt.Errorf("%d category lists for %d category columns: %w", len(lists), len(columns), errNotNative)
	}
	for i, f := range columns {
		texts := make([]string, len(lists[i]))
		for k, v := range lists[i] {
			texts[k] = categoryKey(v)
		}
		tm.addCategories(f, texts)
	}
	return nil
}

func categoryKey(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(x)
	}
	return fmt.Sprint(v)
}

func (tm *treeModel) addCategories(feature int, texts []string) {
	if tm.categories == nil {
		tm.categories = map[int]map[string]float64{}
	}
	index := make(map[string]float64, len(texts))
	for i, s := range texts {
		index[s] = float64(i)
	}
	tm.categories[feature] = index
}

func (tm *treeModel) finishInfo(src Source) {
	info := &tm.info
	info.Bytes = tm.booster.Bytes()
	if s := src.Description.Signature; s != nil {
		info.Inputs, info.Outputs = s.Inputs, s.Outputs
	}
	if len(info.Inputs) == 0 {
		for _, name := range tm.names {
			info.Inputs = append(info.Inputs, Spec{Name: name, Type: "double", Kind: Float64, Required: true})
		}
	}
	for i := range tm.labels.Len() {
		info.Classes = append(info.Classes, fmt.Sprint(tm.labels.Value(i)))
	}
	if len(info.Outputs) == 0 {
		spec := Spec{Name: "prediction", Type: "double", Kind: Float64, Required: true}
		if tm.answer == answerLabels || tm.answer == answerBinary {
			spec.Kind, spec.Type = tm.labels.Kind, map[Kind]string{Int64: "long", Bool: "boolean", String: "string", Float64: "double"}[tm.labels.Kind]
		}
		info.Outputs = []Spec{spec}
	}
}

func (tm *treeModel) Info() Info { return tm.info }

func (tm *treeModel) Close() error { return nil }

// predictRows is how many rows run between two looks at the context.
const predictRows = 8192

func (tm *treeModel) Predict(ctx context.Context, in *Frame) (*Output, error) {
	s, ok := tm.scratch.Get().(*treeScratch)
	if !ok {
		s = &treeScratch{columns: make([]tree.Column, tm.features)}
	}
	defer func() {
		clear(s.columns) // keep no caller's data
		s.values = s.values[:0]
		tm.scratch.Put(s)
	}()
	if err := tm.bind(s, in); err != nil {
		return nil, err
	}
	groups := tm.booster.Groups()
	scores := make([]float64, in.Rows*groups)
	for from := 0; from < in.Rows; from += predictRows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(predictRows, in.Rows-from)
		part := scores[from*groups : (from+n)*groups]
		tm.booster.Margin(part, s.columns, n)
		tm.booster.Link(part)
		for i := range s.columns {
			c := &s.columns[i]
			c.Data = c.Data[min(n*c.Stride, len(c.Data)):]
		}
	}
	return tm.output(scores, in.Rows), nil
}

// bind finds the data of each feature in the frame.
func (tm *treeModel) bind(s *treeScratch, in *Frame) error {
	if len(in.Columns) == 1 && in.Columns[0].Width() == tm.features && (tm.features > 1 || in.Columns[0].Name == "") {
		data, err := tm.numbers(s, &in.Columns[0], -1, in.Rows*tm.features)
		if err != nil {
			return err
		}
		for f := range s.columns {
			s.columns[f] = tree.Column{Data: data[min(f, len(data)):], Stride: tm.features}
		}
		return nil
	}
	byName := tm.names
	if tm.info.Engine == "lightgbm" && !tm.inFrame(in) && len(in.Columns) == tm.features {
		byName = nil
	}
	if byName == nil && len(in.Columns) != tm.features {
		return problem("", -1, "shape", fmt.Sprintf("%d columns", tm.features), plural(len(in.Columns), "column", "columns"))
	}
	var faults InputError
	for f := range s.columns {
		var c *Column
		if f < len(in.Columns) && (byName == nil || in.Columns[f].Name == byName[f]) {
			c = &in.Columns[f]
		} else if c = in.Column(byName[f]); c == nil {
			faults.add(Problem{Field: byName[f], Row: -1, Code: "missing_column", Expected: "a column named " + strconv.Quote(byName[f]), Got: "nothing"})
			continue
		}
		data, err := tm.numbers(s, c, f, in.Rows)
		if err != nil {
			return err
		}
		s.columns[f] = tree.Column{Data: data, Stride: 1}
	}
	return faults.orNil()
}

// inFrame reports whether the frame has all feature names.
func (tm *treeModel) inFrame(in *Frame) bool {
	for i, name := range tm.names {
		if (i >= len(in.Columns) || in.Columns[i].Name != name) && in.Column(name) == nil {
			return false
		}
	}
	return true
}

// numbers gives n values of a column as floats: the column's own where it has floats, else a copy in the scratch space.
func (tm *treeModel) numbers(s *treeScratch, c *Column, feature, n int) ([]float64, error) {
	if c.Len() != n {
		return nil, problem(c.Name, -1, "shape", plural(n, "value", "values"), strconv.Itoa(c.Len()))
	}
	index := tm.categories[feature]
	if c.Kind == Float64 && index == nil {
		return c.Floats, nil
	}
	s.values = slices.Grow(s.values, n)
	out := s.values[len(s.values) : len(s.values)+n]
	s.values = s.values[:len(s.values)+n]
	switch {
	case c.Kind == String && index != nil:
		for i, v := range c.Strings {
			at, known := index[v]
			if known && !c.Missing(i) {
				out[i] = at
				continue
			}
			out[i] = math.NaN()
			if tm.closed && !c.Missing(i) {
				return nil, problem(c.Name, i, "wrong_type", "one of the categories known from training ("+sample(index)+")", "text "+quote(v))
			}
		}
	case c.Kind == Float64 || c.Kind == Int64 || c.Kind == Bool:
		for i := range out {
			out[i] = c.Float(i)
			if index == nil || c.Missing(i) {
				continue
			}
			if at, known := index[categoryKey(c.Value(i))]; known {
				out[i] = at
			} else if i64, isInt := c.Value(i).(int64); isInt {
				if at, known := index[categoryKey(float64(i64))]; known {
					out[i] = at
				}
			}
		}
	default:
		return nil, problem(c.Name, -1, "wrong_type", "numbers", string(c.Kind)+" values")
	}
	return out, nil
}

func (tm *treeModel) output(scores []float64, rows int) *Output {
	groups := tm.booster.Groups()
	out := &Output{Rows: rows, Array: true}
	result := Column{Name: "prediction"}
	if len(tm.info.Outputs) == 1 && tm.info.Outputs[0].Name != "" {
		result.Name = tm.info.Outputs[0].Name
	}
	switch tm.answer {
	case answerValues:
		result.Kind, result.Floats = Float64, scores
		if groups > 1 {
			result.Shape = []int{groups}
		}
	case answerArgmax:
		result.Kind, result.Floats = Float64, make([]float64, rows)
		for r := range rows {
			result.Floats[r] = float64(argmax(scores[r*groups : (r+1)*groups]))
		}
	case answerLabels:
		result = pick(tm.labels, result.Name, rows, func(r int) int { return argmax(scores[r*groups : (r+1)*groups]) })
		if tm.proba {
			out.Extra = []Column{{Name: "probability", Kind: Float64, Floats: scores, Shape: []int{groups}}}
		}
	case answerBinary:
		result = pick(tm.labels, result.Name, rows, func(r int) int {
			if scores[r] > 0.5 {
				return 1
			}
			return 0
		})
		if tm.proba {
			both := make([]float64, 2*rows)
			for r, p := range scores {
				both[2*r], both[2*r+1] = 1-p, p
			}
			out.Extra = []Column{{Name: "probability", Kind: Float64, Floats: both, Shape: []int{2}}}
		}
	case answerMultilabel:
		result.Kind, result.Shape, result.Floats = Float64, []int{groups}, make([]float64, len(scores))
		for i, p := range scores {
			if p > 0.5 {
				result.Floats[i] = 1
			}
		}
	}
	out.Columns = []Column{result}
	return out
}

func argmax(v []float64) int {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}

// pick makes a column of labels by their index.
func pick(labels Column, name string, rows int, at func(row int) int) Column {
	out := Column{Name: name, Kind: labels.Kind}
	switch labels.Kind {
	case Int64:
		out.Ints = make([]int64, rows)
		for r := range rows {
			out.Ints[r] = labels.Ints[at(r)]
		}
	case Bool:
		out.Bools = make([]bool, rows)
		for r := range rows {
			out.Bools[r] = labels.Bools[at(r)]
		}
	case Float64:
		out.Floats = make([]float64, rows)
		for r := range rows {
			out.Floats[r] = labels.Floats[at(r)]
		}
	default:
		out.Strings = make([]string, rows)
		for r := range rows {
			out.Strings[r] = labels.Strings[at(r)]
		}
	}
	return out
}

func intLabels(n int) Column {
	c := Column{Kind: Int64, Ints: make([]int64, n)}
	for i := range c.Ints {
		c.Ints[i] = int64(i)
	}
	return c
}

func labelColumn(labels any) Column {
	switch v := labels.(type) {
	case []int64:
		return Column{Kind: Int64, Ints: v}
	case []float64:
		return Column{Kind: Float64, Floats: v}
	case []bool:
		return Column{Kind: Bool, Bools: v}
	case []string:
		return Column{Kind: String, Strings: v}
	}
	return Column{}
}

// columnNames are the names of a signature with n columns; nil when it has another number or unnamed ones.
func columnNames(specs []Spec, n int) []string {
	if len(specs) != n {
		return nil
	}
	names := make([]string, n)
	for i, s := range specs {
		if s.Name == "" || s.Shape != nil {
			return nil
		}
		names[i] = s.Name
	}
	return names
}
