package evaluation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/table"
)

// check is one gate being carried out.
type check struct {
	s       *Service
	gate    Gate
	version registry.Version
	frame   *table.Frame // rows whose target is there
	left    int          // rows left out because it is not
	truth   truth
	model   infer.Model
	input   *infer.Frame
	scored  scored
	others  map[string]other
}

// other is what a version is compared with.
type other struct {
	scored  scored
	against string
	none    string // why there is nothing to compare with, which is no fault
	failed  string // why it could not be compared
}

// judge fills the result. An error means that no judgement was possible.
func (s *Service) judge(ctx context.Context, r CheckRequest, res *Result) error {
	c := check{s: s, gate: r.Gate, others: map[string]other{}}
	var err error
	if c.version, err = s.d.Registry.GetVersion(ctx, r.Model, r.Version); err != nil {
		return err
	}
	name, number, err := dataset.ParseRef(r.Gate.Dataset)
	if err != nil {
		return err
	}
	full, _, err := s.d.Datasets.Open(ctx, name, number)
	if err != nil {
		return err
	}
	if err := c.takeTruth(full); err != nil {
		return err
	}
	res.Rows = c.frame.Rows()
	if c.left > 0 {
		res.Note = fmt.Sprintf("%d rows without a value of %s were left out", c.left, c.gate.Target)
	}
	if c.model, err = s.d.Loader(ctx, c.version); err != nil {
		note, fatal := loadFailed(c.version, err)
		if fatal != nil {
			return fatal
		}
		res.Rules, res.Verdict = []RuleResult{{Name: "load", Verdict: Fail, Note: note}}, Fail
		return nil
	}
	defer func() { _ = c.model.Close() }()
	if err := c.run(ctx, res); err != nil {
		return err
	}
	res.Verdict = overall(res.Rules)
	return nil
}

func (c *check) run(ctx context.Context, res *Result) error {
	specs := c.specs(c.version, c.model)
	problems := schemaProblems(specs, c.frame)
	if len(problems) > 0 {
		res.Rules = append(res.Rules, RuleResult{Name: "schema", Verdict: Fail, Note: sentence(problems)})
		return nil
	}
	if c.frame.Rows() == 0 {
		c.tooFew(res)
		return nil
	}
	var err error
	if c.input, err = inputFrame(specs, c.frame, c.leaveOut()...); err != nil {
		return c.predictFailed(res, err)
	}
	p, err := predict(ctx, c.model, c.input)
	if err != nil {
		return c.predictFailed(res, err)
	}
	if len(c.truth.labels)+len(c.truth.numbers) > 0 {
		if c.scored, err = score(c.truth, p); err != nil {
			return c.predictFailed(res, err)
		}
		res.Metrics = c.scored.metrics
	}
	for _, r := range c.gate.Rules {
		out, err := c.rule(ctx, r)
		if err != nil {
			return c.predictFailed(res, err)
		}
		res.Rules = append(res.Rules, out)
	}
	return nil
}

// tooFew answers a gate over no rows at all.
func (c *check) tooFew(res *Result) {
	for _, r := range c.gate.Rules {
		v := RuleResult{Name: r.Label(), Metric: r.Metric, Verdict: InsufficientData, Note: "there are no labelled rows"}
		if r.Schema != nil {
			v.Verdict, v.Note = Pass, ""
		}
		res.Rules = append(res.Rules, v)
	}
}

// predictFailed makes a failure of the model a failed rule. A server that stops, or a failing store, stays an error.
func (c *check) predictFailed(res *Result, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if k := errs.KindOf(err); k != errs.Internal && k != errs.Invalid {
		return err
	}
	res.Rules = append(res.Rules, RuleResult{Name: "predict", Verdict: Fail, Note: fmt.Sprintf("%s fails on the data: %v", c.version.URI(), err)})
	return nil
}

func (c *check) rule(ctx context.Context, r Rule) (RuleResult, error) {
	switch {
	case r.Schema != nil:
		return RuleResult{Name: r.Label(), Verdict: Pass, Note: fmt.Sprintf("%d inputs are there", len(c.input.Columns))}, nil
	case r.LatencyP95MS != nil:
		ms, n, err := latencyP95(ctx, c.model, c.input)
		out := RuleResult{Name: r.Label(), Op: "<=", Required: r.LatencyP95MS, Measured: &ms, Verdict: Pass, Note: fmt.Sprintf("%d single rows, without network", n)}
		if ms > *r.LatencyP95MS {
			out.Verdict = Fail
		}
		return out, err
	case c.frame.Rows() < c.gate.minRows():
		return RuleResult{Name: r.Label(), Metric: r.Metric, Verdict: InsufficientData,
			Note: fmt.Sprintf("%d labelled rows, expected at least %d", c.frame.Rows(), c.gate.minRows())}, nil
	case r.BetterThan == "":
		return bounds(r, &c.scored), nil
	}
	o, err := c.other(ctx, r)
	if err != nil {
		return RuleResult{}, err
	}
	out := RuleResult{Name: r.Label(), Metric: r.Metric, Against: o.against, Verdict: Pass, Note: o.none}
	switch {
	case o.failed != "":
		out.Verdict, out.Note = InsufficientData, o.failed
	case o.none == "":
		out = compare(r, &c.scored, &o.scored)
		out.Against = o.against
	}
	if out.Measured == nil {
		if v, ok := c.scored.metrics[r.Metric]; ok {
			out.Measured = &v
		}
	}
	return out, nil
}

// specs are the inputs that a version declares, in its MLmodel or by its engine.
func (c *check) specs(v registry.Version, m infer.Model) []infer.Spec {
	if specs := m.Info().Inputs; len(specs) > 0 {
		return specs
	}
	if v.Signature != nil {
		return v.Signature.Inputs
	}
	return nil
}

// leaveOut are the columns that are never inputs of a model without a signature.
func (c *check) leaveOut() []string {
	out := []string{c.gate.Target}
	for _, r := range c.gate.Rules {
		if name := columnName(r.BetterThan, c.frame); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// takeTruth keeps the rows whose target is there and reads them as numbers or labels.
func (c *check) takeTruth(full *table.Frame) error {
	c.frame = full
	if c.gate.Target == "" {
		return nil
	}
	col, ok := full.Column(c.gate.Target)
	if !ok {
		return errs.Invalidf("evaluation.check", "the dataset has no column %.200q", c.gate.Target).WithField("gate.target", "expected a column of the dataset")
	}
	numbers := col.Floats()
	usable := func(i int) bool { return col.Valid(i) && (numbers == nil || !math.IsInf(numbers[i], 0)) }
	for i := range col.Len() {
		if !usable(i) {
			c.left++
		}
	}
	if c.left > 0 {
		c.frame = full.Filter(usable)
		col, _ = c.frame.Column(c.gate.Target)
	}
	c.truth.task = c.task(col.Type())
	if c.truth.task == Regression {
		if !col.Type().Numeric() && col.Len() > 0 {
			return errs.Invalidf("evaluation.check", "the target %s holds %s values: a regression needs numbers", c.gate.Target, col.Type()).
				WithField("gate.task", "expected classification, or another target")
		}
		c.truth.numbers = col.Floats()
		return nil
	}
	seen := map[string]bool{}
	for i := range col.Len() {
		l := label(col.Value(i))
		c.truth.labels, seen[l] = append(c.truth.labels, l), true
	}
	classes := make([]string, 0, len(seen))
	for l := range seen {
		classes = append(classes, l)
	}
	slices.Sort(classes)
	if len(classes) <= 2 && len(classes) > 0 {
		c.truth.positive = classes[len(classes)-1]
	}
	return nil
}

// task is the one of the gate, of its metrics, or of the kind of target.
func (c *check) task(t table.Type) Task {
	if c.gate.Task != "" {
		return c.gate.Task
	}
	for _, r := range c.gate.Rules {
		if m, ok := measures()[r.Metric]; ok {
			return m.task
		}
	}
	if t.Numeric() {
		return Regression
	}
	return Classification
}

// columnName is the column of the dataset that a better_than means, or "".
func columnName(betterThan string, f *table.Frame) string {
	if name, ok := strings.CutPrefix(betterThan, "column:"); ok {
		return name
	}
	if _, ok := f.Column(betterThan); ok && betterThan != NaiveMean && betterThan != NaiveMedian && betterThan != NaiveMajority {
		return betterThan
	}
	return ""
}

// other finds and scores what a rule compares with, once for all rules that name it.
func (c *check) other(ctx context.Context, r Rule) (other, error) {
	if o, ok := c.others[r.BetterThan]; ok {
		return o, nil
	}
	o, err := c.makeOther(ctx, r)
	if err == nil {
		c.others[r.BetterThan] = o
	}
	return o, err
}

func (c *check) makeOther(ctx context.Context, r Rule) (other, error) {
	if name := columnName(r.BetterThan, c.frame); name != "" {
		return c.columnBaseline(name), nil
	}
	switch r.BetterThan {
	case NaiveMean, NaiveMedian, NaiveMajority:
		sc, err := score(c.truth, constant(r.BetterThan, c.truth))
		o := other{scored: sc, against: r.BetterThan}
		if err != nil {
			o.failed = err.Error()
		}
		return o, nil
	}
	return c.versionBaseline(ctx, strings.TrimPrefix(r.BetterThan, "alias:"))
}

// columnBaseline takes a column of the dataset as the predictions to beat: yesterday's value, the old system's answer.
func (c *check) columnBaseline(name string) other {
	o := other{against: "column:" + name}
	col, ok := c.frame.Column(name)
	if !ok {
		o.failed = fmt.Sprintf("the dataset has no column %q", name)
		return o
	}
	if col.Missing() > 0 {
		o.failed = fmt.Sprintf("column %s has %d missing values: it cannot be compared on the same rows", name, col.Missing())
		return o
	}
	p := predictions{numbers: col.Floats()}
	if c.truth.task == Classification {
		for i := range col.Len() {
			p.labels = append(p.labels, label(col.Value(i)))
		}
	}
	var err error
	if o.scored, err = score(c.truth, p); err != nil {
		o.failed = fmt.Sprintf("column %s: %v", name, err)
	}
	return o
}

// versionBaseline scores the version that an alias points at on the same rows.
func (c *check) versionBaseline(ctx context.Context, alias string) (other, error) {
	champion, err := c.s.d.Registry.ByAlias(ctx, c.version.Model, alias)
	if errs.Is(err, errs.NotFound) {
		return other{against: "alias:" + alias, none: fmt.Sprintf("there is no %s yet to compare with", alias)}, nil
	}
	if err != nil {
		return other{}, err
	}
	o := other{against: champion.URI()}
	if champion.Version == c.version.Version {
		o.none = "it is the " + alias + " itself"
		return o, nil
	}
	m, err := c.s.d.Loader(ctx, champion)
	if err != nil {
		note, fatal := loadFailed(champion, err)
		o.failed = note
		return o, fatal
	}
	defer func() { _ = m.Close() }()
	specs := c.specs(champion, m)
	if problems := schemaProblems(specs, c.frame); len(problems) > 0 {
		o.failed = champion.URI() + " cannot score these rows: " + sentence(problems)
		return o, nil
	}
	in, err := inputFrame(specs, c.frame, c.leaveOut()...)
	if err == nil {
		var p predictions
		if p, err = predict(ctx, m, in); err == nil {
			o.scored, err = score(c.truth, p)
		}
	}
	if err != nil && ctx.Err() != nil {
		return o, ctx.Err()
	}
	if err != nil {
		o.failed = champion.URI() + " fails on the data: " + err.Error()
	}
	return o, nil
}
