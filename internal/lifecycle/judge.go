package lifecycle

import (
	"fmt"
	"math"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// Comparison is what monitor.Service.Compare tells about a champion and a challenger of one endpoint since a moment. Every row that
// one version answered, the other scored too, off the request path (role shadow, same request id); so both sides are about the same
// rows, whatever the split of the traffic.
type Comparison struct {
	Champion   Side `json:"champion"`
	Challenger Side `json:"challenger"`
	// Paired is the number of rows that both versions have scored or failed to score.
	Paired int64 `json:"paired"`
	// Labelled is the number of rows that both scored without error and whose label is known. The loss of a row is the absolute
	// error of a regression, and 0 or 1 (wrong) of a classification: less is better.
	Labelled       int64   `json:"labelled"`
	Metric         string  `json:"metric"` // what the mean loss is called: mae, error_rate
	ChampionLoss   float64 `json:"champion_loss"`
	ChallengerLoss float64 `json:"challenger_loss"`
	// DifferenceMean and DifferenceStd are of challenger loss - champion loss, row by row (standard deviation with n - 1).
	DifferenceMean float64 `json:"difference_mean"`
	DifferenceStd  float64 `json:"difference_std"`
}

// Side is how one version did, on live and mirrored rows together.
type Side struct {
	Count  int64 `json:"count"`  // rows scored or failed
	Errors int64 `json:"errors"` // rows that failed
	// Latency of single scorings in milliseconds: the 95th percentile with the ends of its 95 % interval from order statistics.
	// Low and High are 0 when they are not known.
	P95     float64 `json:"p95"`
	P95Low  float64 `json:"p95_low"`
	P95High float64 `json:"p95_high"`
}

// Verdict is the outcome of a check or a step.
type Verdict string

// The verdicts. Inconclusive is between ok and fail; NotEnoughData says why: too few rows, or too few of them labelled.
const (
	OK            Verdict = "ok"
	Fail          Verdict = "fail"
	Inconclusive  Verdict = "inconclusive"
	NotEnoughData Verdict = "not_enough_data"
)

// Checks are the limits that a challenger must keep. A limit that is not set is not checked; at least one has to be.
type Checks struct {
	// MaxErrorRate is the share of failed rows that is accepted, 0 to 1; a champion that fails more sets the limit itself.
	MaxErrorRate *float64 `json:"max_error_rate,omitempty" doc:"Accepted share of failed rows, 0 to 1, or the champion's if that is more"`
	// MaxLatencyRatio is how many times the champion's 95th percentile is accepted, from 1.
	MaxLatencyRatio *float64 `json:"max_latency_ratio,omitempty" doc:"Accepted multiple of the champion's p95 latency, at least 1"`
	// MaxMetricIncrease is by which share of the champion's mean loss the challenger's may be greater, 0 to 10: 0.05 is 5 % worse.
	MaxMetricIncrease *float64 `json:"max_metric_increase,omitempty" doc:"Accepted increase of the labelled error as a share of the champion's, such as 0.05"`
}

// Check is the outcome of one check.
type Check struct {
	Name     string  `json:"name"`
	Required float64 `json:"required"` // the limit in force
	Measured float64 `json:"measured"`
	Baseline float64 `json:"baseline"` // the champion's
	Margin   float64 `json:"margin"`   // room between measured and limit; negative: past it
	Samples  int64   `json:"samples"`
	Verdict  Verdict `json:"verdict" enum:"ok,fail,inconclusive,not_enough_data"`
	Note     string  `json:"note"`
}

// The names of the checks.
const (
	checkErrors  = "error_rate"
	checkLatency = "latency_p95"
	checkMetric  = "labelled_error"
)

const (
	alpha = 0.05 // chance of condemning a version that keeps a limit, per check and step
	// quietLatency is below what a p95 is never too slow, in ms: there the scheduler is measured, not the model.
	quietLatency = 2.0
	// bareLatency is the rows from which a ratio of percentiles is believed without their intervals.
	bareLatency = 200
	// lookGrowth is by how much the rows must have grown before errors are tested again; so few tests share alpha.
	lookGrowth = 1.25
)

// evidence is what a step is judged by.
type evidence struct {
	checks      Checks
	minSamples  int64
	minLabelled int64
	step        Comparison // since the step began: errors and latency depend on the load
	whole       Comparison // since the rollout began: labelled errors of mirrored rows do not
	look        int        // number of this test of errors, from 1; 0: too little is new since the last one
}

// judge gives the outcome of each check and of all together: a failure condemns at once, too few rows wait, and what is neither shown
// to be good nor bad is inconclusive.
func judge(e evidence) ([]Check, Verdict, error) {
	checks := []Check{}
	if e.checks.MaxErrorRate != nil {
		c, err := judgeErrors(e, *e.checks.MaxErrorRate)
		if err != nil {
			return nil, "", err
		}
		checks = append(checks, c)
	}
	if e.checks.MaxLatencyRatio != nil {
		checks = append(checks, judgeLatency(e, *e.checks.MaxLatencyRatio))
	}
	if e.checks.MaxMetricIncrease != nil {
		c, err := judgeMetric(e, *e.checks.MaxMetricIncrease)
		if err != nil {
			return nil, "", err
		}
		checks = append(checks, c)
	}
	for i := range checks {
		checks[i].keepFinite()
	}
	return checks, overall(checks, e.step.Paired >= e.minSamples), nil
}

// keepFinite drops figures that JSON cannot carry; the note tells the story.
func (c *Check) keepFinite() {
	for _, v := range []*float64{&c.Required, &c.Measured, &c.Baseline, &c.Margin} {
		if !finite(*v) {
			*v = 0
		}
	}
}

func overall(checks []Check, enough bool) Verdict {
	v := OK
	if !enough {
		v = NotEnoughData
	}
	for _, c := range checks {
		switch {
		case c.Verdict == Fail:
			return Fail
		case c.Verdict == NotEnoughData, c.Verdict == Inconclusive && v == OK:
			v = c.Verdict
		}
	}
	return v
}

// judgeErrors condemns by Fisher's exact one-sided test of two proportions when the challenger fails more often than the champion and
// the limit. The k-th test has alpha/(k(k+1)), which sums to alpha over any number of tests. With enough rows and no more failures
// than the limit it is ok.
func judgeErrors(e evidence, limit float64) (Check, error) {
	a, b := e.step.Challenger, e.step.Champion
	c := Check{Name: checkErrors, Samples: a.Count, Measured: share(a.Errors, a.Count), Baseline: share(b.Errors, b.Count)}
	c.Required = max(limit, c.Baseline)
	c.Margin = c.Required - c.Measured
	counts := fmt.Sprintf("%d of %d failed, %d of %d of the champion", a.Errors, a.Count, b.Errors, b.Count)
	if a.Count == 0 || b.Count == 0 {
		c.Verdict, c.Note = NotEnoughData, "no rows yet"
		return c, nil
	}
	if e.look > 0 {
		j, err := stats.JudgeProportion(a.Errors, a.Count, b.Errors, b.Count, max(0, limit-c.Baseline), alpha/float64(e.look*(e.look+1)), max(2, e.minSamples))
		if err != nil {
			return c, err
		}
		if j.Verdict == stats.VerdictFail {
			c.Verdict, c.Note = Fail, counts+": more than chance explains"
			return c, nil
		}
	}
	switch {
	case a.Count < e.minSamples:
		c.Verdict, c.Note = NotEnoughData, fmt.Sprintf("%s; %d rows are needed", counts, e.minSamples)
	case c.Margin >= 0:
		c.Verdict, c.Note = OK, counts
	default:
		c.Verdict, c.Note = Inconclusive, counts+": past the limit, but chance may explain it"
	}
	return c, nil
}

func share(k, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(k) / float64(n)
}

// judgeLatency condemns when the whole interval of the challenger's 95th percentile lies above the limit for the whole of the champion's.
func judgeLatency(e evidence, ratio float64) Check {
	a, b := e.step.Challenger, e.step.Champion
	c := Check{Name: checkLatency, Samples: a.Count, Measured: a.P95, Baseline: b.P95, Required: max(ratio*b.P95, quietLatency)}
	c.Margin = c.Required - c.Measured
	figures := fmt.Sprintf("p95 %.3g ms, %.3g ms of the champion", a.P95, b.P95)
	n := min(a.Count, b.Count)
	known := a.P95Low > 0 && b.P95High > 0
	switch {
	case n == 0 || n < e.minSamples:
		c.Verdict, c.Note = NotEnoughData, fmt.Sprintf("%d rows; %d are needed", n, max(e.minSamples, 1))
	case a.P95 <= c.Required:
		c.Verdict, c.Note = OK, figures
	case known && a.P95Low > max(ratio*b.P95High, quietLatency), !known && n >= bareLatency:
		c.Verdict, c.Note = Fail, figures+fmt.Sprintf(": more than %.3g times", ratio)
	default:
		c.Verdict, c.Note = Inconclusive, figures+": past the limit, but within the spread of so few rows"
	}
	return c
}

// judgeMetric condemns, or clears, by a confidence sequence of the mean paired difference of losses: it holds at every number of rows
// at once, so looking often costs nothing. The effect margin is the accepted increase.
func judgeMetric(e evidence, increase float64) (Check, error) {
	w := e.whole
	margin := increase * w.ChampionLoss
	c := Check{Name: checkMetric, Samples: w.Labelled, Measured: w.ChallengerLoss, Baseline: w.ChampionLoss, Required: w.ChampionLoss + margin}
	c.Margin = c.Required - c.Measured
	if w.Labelled < max(2, e.minLabelled) {
		c.Verdict, c.Note = NotEnoughData, fmt.Sprintf("%d labelled rows; %d are needed", w.Labelled, max(2, e.minLabelled))
		return c, nil
	}
	if !finite(w.DifferenceMean) || !finite(w.DifferenceStd) || !finite(w.ChampionLoss) {
		c.Verdict, c.Note = Fail, "the error is not a finite number"
		return c, nil
	}
	j, err := stats.JudgePaired(w.Labelled, w.DifferenceMean, w.DifferenceStd, margin, alpha, max(2, e.minLabelled))
	if err != nil {
		return c, err
	}
	name := w.Metric
	if name == "" {
		name = "error"
	}
	c.Note = fmt.Sprintf("%s %.4g, %.4g of the champion on the same %d rows; difference %.4g to %.4g", name, w.ChallengerLoss, w.ChampionLoss, w.Labelled, j.Interval.Low, j.Interval.High)
	switch j.Verdict {
	case stats.VerdictPass:
		c.Verdict = OK
	case stats.VerdictFail:
		c.Verdict = Fail
	default:
		c.Verdict = Inconclusive
	}
	return c, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// nextLook says whether errors may be tested again with n rows, after looks tests of which the last was at rows.
func nextLook(looks int, rows, n int64) bool {
	return n > 0 && (looks == 0 || float64(n) >= lookGrowth*float64(rows))
}
