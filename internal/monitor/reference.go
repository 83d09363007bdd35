package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/table"
)

const (
	maxFeatures   = 200 // columns of an endpoint that are watched
	maxCategories = 200 // named categories of one column
	firstN        = 500 // predictions that become the baseline where there is no dataset
	firstOutputs  = 200 // predictions that the prediction itself is compared with
)

// The types of features.
const (
	number   = "number"
	category = "category"
)

// refColumn is the reference of one column.
type refColumn struct {
	Name   string         `json:"name"`
	Type   string         `json:"type"`
	Column *sketch.Column `json:"column"`
}

// reference is what windows are compared with. It does not change; another one has another ID.
type reference struct {
	Baseline Baseline     `json:"baseline"`
	Features []*refColumn `json:"features"`
	Output   *refColumn   `json:"output,omitempty"` // nil until enough predictions are collected
	Collect  *collection  `json:"collect,omitempty"`
}

// collection holds the first rows while they become a baseline.
type collection struct {
	Names   []string        `json:"names,omitempty"` // features to collect; nil: only outputs, or not known yet
	Limit   int             `json:"limit"`           // rows of features
	Inputs  map[string]cell `json:"inputs,omitempty"`
	Outputs cell            `json:"outputs"`
	Rows    int             `json:"rows"`
}

// cell holds the values of one column that is collected.
type cell struct {
	Numbers []float64 `json:"numbers,omitempty"`
	Texts   []string  `json:"texts,omitempty"`
	Missing int64     `json:"missing,omitempty"`
}

func (c *cell) add(v any) {
	if s, ok := v.(string); ok {
		c.Texts = append(c.Texts, s)
	} else if f, ok := predlog.Float(v); ok && !math.IsInf(f, 0) {
		c.Numbers = append(c.Numbers, f)
	} else {
		c.Missing++
	}
}

func (c *cell) size() int { return len(c.Numbers) + len(c.Texts) }

// column makes a reference of what was collected; nil when there is nothing.
func (c *cell) column(name string) (*refColumn, error) {
	switch {
	case len(c.Texts) > len(c.Numbers):
		texts := slices.Clone(c.Texts)
		for _, x := range c.Numbers {
			texts = append(texts, strconv.FormatFloat(x, 'g', -1, 64))
		}
		col, err := sketch.NewCategorical(texts, c.Missing, maxCategories)
		return &refColumn{name, category, col}, err
	case len(c.Numbers) > 0:
		xs := slices.Clone(c.Numbers)
		sort.Float64s(xs)
		col, err := sketch.NewNumeric(xs, c.Missing+int64(len(c.Texts)), 0)
		return &refColumn{name, number, col}, err
	}
	return nil, nil
}

// scalar reports whether a value can be watched: no lists, no bytes, no JSON, and no times, which always move.
func scalar(v any) bool {
	switch v.(type) {
	case nil, []any, []byte, json.RawMessage, time.Time:
		return false
	}
	return true
}

// add takes one answered row; it reports whether the collection is complete.
func (c *collection) add(r *predlog.Record) bool {
	if c.Limit > 0 && c.Rows < c.Limit {
		for i, f := range r.Schema.Inputs {
			if i >= len(r.Inputs) || i >= maxFeatures || len(c.Names) > 0 && !slices.Contains(c.Names, f.Name) {
				continue
			}
			v := r.Inputs[i]
			if v != nil && !scalar(v) {
				continue
			}
			col := c.Inputs[f.Name]
			col.add(v)
			if c.Inputs == nil {
				c.Inputs = map[string]cell{}
			}
			c.Inputs[f.Name] = col
		}
		c.Rows++
	}
	if v := r.Prediction(); scalar(v) && c.Outputs.size() < firstOutputs {
		c.Outputs.add(v)
	}
	return c.done()
}

func (c *collection) done() bool {
	outputs := c.Outputs.size() >= firstOutputs || c.Limit > 0 && c.Rows >= c.Limit
	return c.Rows >= c.Limit && outputs
}

// finish is the reference with what was collected.
func (r *reference) finish() (*reference, error) {
	out := &reference{Baseline: r.Baseline, Features: r.Features}
	var err error
	if r.Collect.Limit > 0 {
		out.Baseline.Rows, out.Baseline.Ready = int64(r.Collect.Rows), true
		names := r.Collect.Names
		if len(names) == 0 {
			for name := range r.Collect.Inputs {
				names = append(names, name)
			}
			sort.Strings(names)
		}
		for _, name := range names {
			cell := r.Collect.Inputs[name]
			col, cerr := cell.column(name)
			if cerr != nil {
				return nil, cerr
			}
			if col != nil {
				out.Features = append(out.Features, col)
			}
		}
	}
	out.Output, err = r.Collect.Outputs.column("prediction")
	return out, err
}

// inputNames are the signature's inputs that can be watched; nil without a signature of named columns.
func inputNames(v registry.Version, target, timeColumn string) []string {
	if v.Signature == nil {
		return nil
	}
	var out []string
	for _, in := range v.Signature.Inputs {
		switch in.Type {
		case "datetime", "binary", "array", "map", "object":
			continue
		}
		if in.Name != "" && in.Shape == nil && in.Name != target && in.Name != timeColumn && len(out) < maxFeatures {
			out = append(out, in.Name)
		}
	}
	return out
}

// taskOf guesses what a model does from its first output.
func taskOf(v registry.Version) Task {
	if v.Signature == nil || len(v.Signature.Outputs) == 0 {
		return ""
	}
	switch v.Signature.Outputs[0].Type {
	case "float", "double", "float32", "float64":
		return Regression
	case "string", "boolean", "integer", "long", "int32", "int64", "bool", "str":
		return Classification
	}
	return ""
}

// build finds the baseline of a version: the dataset its run logged, else the first predictions. What goes wrong with the dataset is told in
// the baseline's note rather than left without a monitor.
func (s *Service) build(ctx context.Context, model, version, label string) (*reference, Task, error) {
	v, err := s.d.Registry.GetVersion(ctx, model, version)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, "", err
	}
	task := taskOf(v)
	first := func(note string) *reference {
		names := inputNames(v, label, "")
		return &reference{Baseline: Baseline{Kind: "first_n", Note: note}, Collect: &collection{Names: names, Limit: firstN}}
	}
	if s.d.Baseline == nil {
		return first(""), task, nil
	}
	name, dataVersion, target, ok, err := s.d.Baseline(ctx, model, version)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, "", err
	case err != nil:
		return first("the dataset of the run could not be found: " + err.Error()), task, nil
	case !ok:
		return first("the run of version " + version + " logged no dataset of this server"), task, nil
	}
	n, err := strconv.ParseInt(dataVersion, 10, 64)
	if err != nil {
		return first(fmt.Sprintf("the dataset version %q is no number", dataVersion)), task, nil
	}
	frame, dv, err := s.d.Datasets.Open(ctx, name, n)
	if err != nil {
		if ctx.Err() != nil || errs.Is(err, errs.Unavailable) {
			return nil, "", err
		}
		return first(fmt.Sprintf("dataset %s@%d could not be read: %v", name, n, err)), task, nil
	}
	for _, t := range []string{label, dv.Target} {
		if target == "" || label != "" {
			target = firstText(t, target)
		}
	}
	ref, err := fromFrame(frame, inputNames(v, target, dv.TimeColumn), target, dv.TimeColumn)
	if err != nil {
		return first(fmt.Sprintf("dataset %s@%d cannot be compared with: %v", name, n, err)), task, nil
	}
	if len(ref.Features) == 0 {
		return first(fmt.Sprintf("dataset %s@%d has none of the model's inputs", name, n)), task, nil
	}
	ref.Baseline = Baseline{Kind: "dataset", Dataset: name, DatasetVersion: n, Rows: int64(frame.Rows()), Ready: true}
	return ref, task, nil
}

func firstText(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

// fromFrame sketches the columns of a dataset that are inputs; without a signature all but target and time.
func fromFrame(f *table.Frame, inputs []string, target, timeColumn string) (*reference, error) {
	ref := &reference{Collect: &collection{}}
	for _, c := range f.Columns() {
		name := c.Name()
		if name == target || name == timeColumn || len(inputs) > 0 && !slices.Contains(inputs, name) || len(ref.Features) >= maxFeatures {
			continue
		}
		if c.Type() == table.Time || c.Missing() == c.Len() {
			continue
		}
		var col *sketch.Column
		var err error
		kind := number
		if c.Type() == table.String {
			kind = category
			col, err = sketch.NewCategorical(c.Present(), int64(c.Missing()), maxCategories)
		} else {
			xs := make([]float64, 0, c.Len())
			for _, x := range c.Floats() {
				if x-x == 0 {
					xs = append(xs, x)
				}
			}
			if len(xs) == 0 {
				continue
			}
			sort.Float64s(xs)
			col, err = sketch.NewNumeric(xs, int64(c.Len()-len(xs)), 0)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", name, err)
		}
		ref.Features = append(ref.Features, &refColumn{name, kind, col})
	}
	if len(inputs) > 0 { // in the order of the signature
		slices.SortStableFunc(ref.Features, func(a, b *refColumn) int {
			return slices.Index(inputs, a.Name) - slices.Index(inputs, b.Name)
		})
	}
	return ref, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
