package evaluation

import (
	"fmt"
	"math"
	"slices"

	"github.com/modelyard/modelyard/internal/num/metric"
	"github.com/modelyard/modelyard/internal/num/stats"
)

// alpha is the one-sided level at which a comparison counts as shown.
const alpha = 0.05

// truth is what really happened, row by row.
type truth struct {
	task     Task
	numbers  []float64
	labels   []string
	positive string // of two classes the one that probabilities are about
}

// scored is a set of predictions beside the truth.
type scored struct {
	truth
	predictions
	metrics map[string]float64
}

// score computes every metric that is defined. A model that answers something else than the task needs is an error that says so.
func score(t truth, p predictions) (scored, error) {
	s := scored{truth: t, predictions: p, metrics: map[string]float64{}}
	if t.task == Regression {
		if p.numbers == nil {
			return s, fmt.Errorf("the model answers text or classes, the target is a number")
		}
		if n := missing(p.numbers); n > 0 {
			return s, fmt.Errorf("the model gave no finite number for %d of %d rows", n, len(p.numbers))
		}
		r, err := metric.NewRegression(t.numbers, p.numbers)
		if err != nil {
			return s, err
		}
		s.metrics = r.Map()
		return s, nil
	}
	s.useScores()
	c, err := metric.NewClassification(t.labels, s.predictions.labels)
	if err != nil {
		return s, err
	}
	s.metrics = c.Map()
	if s.proba == nil || missing(s.proba) > 0 {
		return s, nil
	}
	positive := make([]bool, len(t.labels))
	for i, l := range t.labels {
		positive[i] = l == t.positive
	}
	for name, f := range map[string]func([]bool, []float64) (float64, error){"auc": metric.AUC, "log_loss": metric.LogLoss, "brier": metric.Brier} {
		if v, err := f(positive, s.proba); err == nil && !math.IsNaN(v) {
			s.metrics[name] = v
		}
	}
	return s, nil
}

// useScores reads answers between 0 and 1 as probabilities where the truth is 0 or 1: what a booster answers for two classes.
func (s *scored) useScores() {
	if s.predictions.numbers == nil || s.proba != nil || !slices.Contains([]string{"1", "0"}, s.positive) {
		return
	}
	fraction := false
	for _, x := range s.predictions.numbers {
		if x < 0 || x > 1 || math.IsNaN(x) {
			return
		}
		fraction = fraction || x != math.Trunc(x)
	}
	if !fraction {
		return
	}
	s.proba = s.predictions.numbers
	s.predictions.labels = make([]string, len(s.predictions.numbers))
	for i, x := range s.predictions.numbers {
		s.predictions.labels[i] = "0"
		if x >= 0.5 {
			s.predictions.labels[i] = "1"
		}
	}
}

func missing(xs []float64) (n int) {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			n++
		}
	}
	return n
}

// losses gives a loss a row whose mean, less being better, orders models as the metric does; nil when it has none.
func (s *scored) losses(name string) []float64 {
	n := max(len(s.truth.numbers), len(s.truth.labels))
	out := make([]float64, n)
	for i := range out {
		switch name {
		case "mae":
			out[i] = math.Abs(s.predictions.numbers[i] - s.truth.numbers[i])
		case "mse", "rmse", "r2":
			d := s.predictions.numbers[i] - s.truth.numbers[i]
			out[i] = d * d
		case "mape":
			out[i] = math.Abs(s.predictions.numbers[i]-s.truth.numbers[i]) / max(math.Abs(s.truth.numbers[i]), 0x1p-52)
		case "accuracy":
			if s.predictions.labels[i] != s.truth.labels[i] {
				out[i] = 1
			}
		case "brier", "log_loss":
			if s.proba == nil {
				return nil
			}
			p := s.proba[i]
			if s.truth.labels[i] != s.positive {
				p = 1 - p
			}
			if out[i] = (1 - p) * (1 - p); name == "log_loss" {
				out[i] = -math.Log(max(p, 0x1p-52))
			}
		default:
			return nil
		}
	}
	return out
}

// bounds checks a metric against min and max.
func bounds(r Rule, s *scored) RuleResult {
	out := RuleResult{Name: r.Label(), Metric: r.Metric, Verdict: Pass}
	v, ok := s.metrics[r.Metric]
	if !ok {
		out.Verdict, out.Note = InsufficientData, undefined(r.Metric)
		return out
	}
	out.Measured = &v
	if r.Max != nil {
		out.Op, out.Required = "<=", r.Max
		if v > *r.Max {
			out.Verdict = Fail
			return out
		}
	}
	if r.Min != nil {
		if v < *r.Min || out.Required == nil {
			out.Op, out.Required = ">=", r.Min
		}
		if v < *r.Min {
			out.Verdict = Fail
		}
	}
	return out
}

func undefined(name string) string {
	return name + " is not defined on these rows: it needs other labels, or probabilities that the model does not give"
}

// compare checks that a model beats another set of predictions for the same rows. The point estimate must be better by the margin, and
// where the metric is a mean over rows a paired one-sided t-test must show it; better but not shown is a lack of data.
func compare(r Rule, s, other *scored) RuleResult {
	m := measures()[r.Metric]
	out := RuleResult{Name: r.Label(), Metric: r.Metric, Margin: &r.Margin, Op: "<="}
	if m.moreIsBetter {
		out.Op = ">="
	}
	mine, ok := s.metrics[r.Metric]
	theirs, ok2 := other.metrics[r.Metric]
	if !ok || !ok2 {
		out.Verdict, out.Note = InsufficientData, undefined(r.Metric)
		return out
	}
	required := theirs * (1 - r.Margin)
	better := mine < required
	if m.moreIsBetter {
		required = theirs + r.Margin
		better = mine > required
	}
	out.Measured, out.Baseline, out.Required = &mine, &theirs, &required
	out.Difference = difference(r.Metric, s, other)
	if !better {
		out.Verdict, out.Note = Fail, "not better"
		if r.Margin > 0 && mine != theirs && (mine < theirs) != m.moreIsBetter {
			out.Note = "better, but by less than the margin"
		}
		return out
	}
	a, b := s.losses(r.Metric), other.losses(r.Metric)
	if a == nil || b == nil {
		out.Verdict, out.Note = Pass, "compared as numbers: "+r.Metric+" is no mean over rows that could be tested"
		return out
	}
	for i := range b {
		b[i] = s.withMargin(r, b[i])
	}
	t, err := stats.PairedT(a, b, stats.Less)
	if err != nil {
		out.Verdict, out.Note = InsufficientData, "too few rows for a paired test"
		return out
	}
	out.PValue, out.Verdict = &t.PValue, Pass
	if t.PValue >= alpha {
		out.Verdict, out.Note = InsufficientData, fmt.Sprintf("better, but %d rows do not show it (p = %.2g, expected below %g)", len(a), t.PValue, alpha)
	}
	return out
}

// withMargin moves the other's loss by the margin, so that the test is about being better by that much.
func (s *scored) withMargin(r Rule, loss float64) float64 {
	switch r.Metric {
	case "r2": // points of R2 are shares of the variance of the truth
		return loss - r.Margin*stats.Variance(s.truth.numbers, 0)
	case "rmse":
		return loss * (1 - r.Margin) * (1 - r.Margin)
	case "accuracy":
		return loss - r.Margin
	}
	return loss * (1 - r.Margin)
}

// constant predictions that need no model, made of the very rows that are scored: the best that a constant can do there.
func constant(name string, t truth) predictions {
	var p predictions
	switch name {
	case NaiveMajority:
		top, counts := "", map[string]int{}
		for _, l := range t.labels {
			counts[l]++
			if counts[l] > counts[top] || counts[l] == counts[top] && l < top {
				top = l
			}
		}
		p.labels = slices.Repeat([]string{top}, len(t.labels))
	case NaiveMedian:
		sorted := slices.Clone(t.numbers)
		slices.Sort(sorted)
		p.numbers = slices.Repeat([]float64{stats.Quantile(sorted, 0.5)}, len(t.numbers))
	default:
		p.numbers = slices.Repeat([]float64{stats.Mean(t.numbers)}, len(t.numbers))
	}
	return p
}
