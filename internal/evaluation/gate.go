package evaluation

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/yamlx"
)

// Limits of a gate.
const (
	maxGateBytes   = 64 << 10
	maxRules       = 50
	DefaultMinRows = 30 // labelled rows below which no metric decides
)

// Task is what a model does.
type Task string

// The tasks.
const (
	Regression     Task = "regression"
	Classification Task = "classification"
)

// Gate is what a version must fulfil on a dataset. In YAML or JSON:
//
//	name: ship
//	dataset: bike@3            # or bike@latest
//	target: riders             # default: the target of the dataset version
//	min_rows: 100              # labelled rows; default 30
//	rules:
//	  - {metric: mae, max: 60}
//	  - {metric: r2, min: 0.3}
//	  - {better_than: naive_mean, metric: mae, margin: 0.1}
//	  - {better_than: champion, metric: mae}
//	  - {latency_p95_ms: 50}
//	  - {schema: true}
type Gate struct {
	Name    string `json:"name" yaml:"name"`
	Dataset string `json:"dataset" yaml:"dataset"`
	Target  string `json:"target,omitempty" yaml:"target,omitempty"`
	Task    Task   `json:"task,omitempty" yaml:"task,omitempty"` // "": found out from the target and the rules
	MinRows int    `json:"min_rows,omitempty" yaml:"min_rows,omitempty"`
	Rules   []Rule `json:"rules" yaml:"rules"`
}

// Rule is one condition: a metric within bounds, better than something, fast enough, or of the right schema.
type Rule struct {
	Metric string   `json:"metric,omitempty" yaml:"metric,omitempty"`
	Min    *float64 `json:"min,omitempty" yaml:"min,omitempty"`
	Max    *float64 `json:"max,omitempty" yaml:"max,omitempty"`
	// BetterThan is naive_mean, naive_median, naive_majority, a column of the dataset that holds a simple prediction (or column:NAME),
	// or an alias of the model (or alias:NAME), such as champion.
	BetterThan string `json:"better_than,omitempty" yaml:"better_than,omitempty"`
	// Margin is by how much: a share of the other's error where less is better (0.1: at most 90 % of it), points where more is better.
	Margin       float64  `json:"margin,omitempty" yaml:"margin,omitempty"`
	LatencyP95MS *float64 `json:"latency_p95_ms,omitempty" yaml:"latency_p95_ms,omitempty"` // of single rows, in milliseconds
	Schema       *bool    `json:"schema,omitempty" yaml:"schema,omitempty"`                 // the dataset has the model's inputs
}

// The baselines that need no model.
const (
	NaiveMean     = "naive_mean"
	NaiveMedian   = "naive_median"
	NaiveMajority = "naive_majority"
)

// measure is what is known of a metric.
type measure struct {
	task         Task
	moreIsBetter bool
	compare      bool // goes with better_than
}

func measures() map[string]measure {
	return map[string]measure{
		"mae": {Regression, false, true}, "mse": {Regression, false, true}, "rmse": {Regression, false, true}, "mape": {Regression, false, true},
		"r2": {Regression, true, true}, "bias": {Regression, false, false},
		"accuracy": {Classification, true, true}, "f1": {Classification, true, true}, "weighted_f1": {Classification, true, true},
		"precision": {Classification, true, true}, "recall": {Classification, true, true},
		"auc": {Classification, true, true}, "log_loss": {Classification, false, true}, "brier": {Classification, false, true},
	}
}

func metricNames() string {
	names := []string{}
	for n := range measures() {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Label names a rule in errors and results.
func (r Rule) Label() string {
	switch {
	case r.BetterThan != "":
		return strings.TrimSpace("better than " + r.BetterThan + " " + r.Metric)
	case r.Metric != "":
		return r.Metric
	case r.LatencyP95MS != nil:
		return "latency_p95_ms"
	case r.Schema != nil:
		return "schema"
	}
	return "empty rule"
}

// ParseGate reads a gate in YAML or JSON. Unknown keys and rules that make no sense are errors that name the rule. Kind: Invalid.
func ParseGate(text []byte) (Gate, error) {
	const op = "evaluation.gate"
	if len(text) > maxGateBytes {
		return Gate{}, errs.Invalidf(op, "the gate has %d bytes: at most %d are read", len(text), maxGateBytes)
	}
	var raw struct {
		Name    string `yaml:"name"`
		Dataset string `yaml:"dataset"`
		Target  string `yaml:"target"`
		Task    Task   `yaml:"task"`
		MinRows int    `yaml:"min_rows"`
		Rules   []any  `yaml:"rules"`
	}
	if err := yamlx.Decode(text, &raw); err != nil {
		return Gate{}, errs.Invalidf(op, "the gate cannot be read").WithField("gate", "%v", err)
	}
	g := Gate{Name: raw.Name, Dataset: raw.Dataset, Target: raw.Target, Task: raw.Task, MinRows: raw.MinRows}
	var c errs.Collector
	for i, r := range raw.Rules {
		b, err := yaml.Marshal(r)
		var rule Rule
		if err == nil {
			err = yamlx.Decode(b, &rule)
		}
		if err != nil {
			c.Add(fmt.Sprintf("rules[%d]", i), "%v", err)
		}
		g.Rules = append(g.Rules, rule)
	}
	if err := c.Err(op, "the gate has rules that cannot be read"); err != nil {
		return Gate{}, err
	}
	return g, g.Validate()
}

// Validate reports everything that makes no sense, at once. Kind: Invalid.
func (g Gate) Validate() error {
	var c errs.Collector
	if g.Name == "" || len(g.Name) > 128 {
		c.Add("name", "expected a name of 1 to 128 bytes")
	}
	if g.Dataset == "" {
		c.Add("dataset", "expected a dataset such as bike@3 or bike@latest")
	}
	if g.Task != "" && g.Task != Regression && g.Task != Classification {
		c.Add("task", "expected regression or classification, found %.40q", string(g.Task))
	}
	if g.MinRows < 0 {
		c.Add("min_rows", "expected 1 or more, found %d", g.MinRows)
	}
	if len(g.Rules) == 0 || len(g.Rules) > maxRules {
		c.Add("rules", "expected 1 to %d rules, there are %d", maxRules, len(g.Rules))
	}
	task := g.Task
	for i, r := range g.Rules {
		field := fmt.Sprintf("rules[%d] (%s)", i, r.Label())
		r.check(&c, field)
		m, known := measures()[r.Metric]
		if !known {
			continue
		}
		if task == "" {
			task = m.task
		}
		if m.task != task {
			c.Add(field, "%s is a metric of %s, the others are of %s", r.Metric, m.task, task)
		}
	}
	return c.Err("evaluation.gate", "the gate is not valid")
}

func (r Rule) check(c *errs.Collector, field string) {
	kinds := 0
	for _, set := range []bool{r.BetterThan != "", r.BetterThan == "" && r.Metric != "", r.LatencyP95MS != nil, r.Schema != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		c.Add(field, "expected exactly one of metric with min or max, better_than with metric, latency_p95_ms, schema")
		return
	}
	for name, v := range map[string]*float64{"min": r.Min, "max": r.Max, "latency_p95_ms": r.LatencyP95MS, "margin": &r.Margin} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			c.Add(field, "%s: expected a finite number", name)
		}
	}
	if r.Metric == "" && (r.Min != nil || r.Max != nil) || r.BetterThan == "" && r.Margin != 0 || r.BetterThan != "" && (r.Min != nil || r.Max != nil) {
		c.Add(field, "min and max go with metric alone, margin goes with better_than")
	}
	if r.LatencyP95MS != nil && *r.LatencyP95MS <= 0 {
		c.Add(field, "expected more than 0 milliseconds")
	}
	if r.Schema != nil && !*r.Schema {
		c.Add(field, "expected true; leave the rule out otherwise")
	}
	if r.Metric == "" {
		if r.BetterThan != "" {
			c.Add(field, "expected a metric to compare, one of %s", metricNames())
		}
		return
	}
	m, ok := measures()[r.Metric]
	switch {
	case !ok:
		c.Add(field, "there is no metric %.60q: expected one of %s", r.Metric, metricNames())
	case r.BetterThan == "" && r.Min == nil && r.Max == nil:
		c.Add(field, "expected min or max")
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		c.Add(field, "expected min at most max")
	case r.BetterThan != "":
		r.checkComparison(c, field, m)
	}
}

func (r Rule) checkComparison(c *errs.Collector, field string, m measure) {
	if !m.compare {
		c.Add(field, "%s cannot be compared: expected one of mae, rmse, r2, accuracy and the like", r.Metric)
	}
	if r.Margin < 0 || r.Margin >= 1 {
		c.Add(field, "margin: expected 0 to less than 1, found %v", r.Margin)
	}
	if (r.BetterThan == NaiveMean || r.BetterThan == NaiveMedian) && m.task != Regression || r.BetterThan == NaiveMajority && r.Metric != "accuracy" {
		c.Add(field, "%s does not go with %s", r.BetterThan, r.Metric)
	}
}

func (g Gate) minRows() int {
	if g.MinRows > 0 {
		return g.MinRows
	}
	return DefaultMinRows
}
