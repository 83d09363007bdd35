package monitor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/num/drift"
	"github.com/modelyard/modelyard/internal/num/sketch"
)

// Method is how drift is measured.
type Method string

// The methods; all are sizes of an effect, 0 for none.
const (
	PSI           Method = "psi"            // population stability index on ten groups of equal reference share
	Wasserstein   Method = "wasserstein"    // first Wasserstein distance in standard deviations of the reference
	KS            Method = "ks"             // Kolmogorov-Smirnov distance
	JensenShannon Method = "jensen_shannon" // Jensen-Shannon distance, natural logarithm
)

// limits are the method's own limits, unless the settings have some.
func (m Method) limits(d DriftLimits) (watch, breach float64) {
	watch, breach = 0.1, 0.2
	switch m {
	case PSI:
		watch, breach = 0.1, 0.25
	case Wasserstein:
		watch, breach = 0.25, 0.5
	}
	if d.Watch > 0 {
		watch = d.Watch
	}
	if d.Breach > 0 {
		breach = d.Breach
	}
	return watch, max(watch, breach)
}

// words is what sentences call the method.
func (m Method) words() string {
	switch m {
	case PSI:
		return "PSI"
	case Wasserstein:
		return "Wasserstein distance"
	case KS:
		return "KS distance"
	}
	return "Jensen-Shannon distance"
}

// judgeColumn compares a column of a window with its reference.
func judgeColumn(ref *refColumn, cur *sketch.Column, t Thresholds) Feature {
	f := Feature{Name: ref.Name, Type: ref.Type, Verdict: NoData, Quality: NoData, Test: t.Drift.Numeric, Count: cur.Count()}
	if ref.Type == category {
		f.Test = t.Drift.Categorical
	}
	f.Watch, f.Threshold = f.Test.limits(t.Drift)
	f.Reference, f.Current = distributions(ref.Column, cur)
	judgeQuality(&f, ref.Column, cur, t)
	if cur.Count() < t.MinCount || ref.Column.Count() == 0 {
		return f
	}
	effect := drift.Options{Method: map[Method]drift.Method{PSI: drift.MethodPSI, Wasserstein: drift.MethodWasserstein, KS: drift.MethodKS, JensenShannon: drift.MethodJensenShannon}[f.Test]}
	result, err := drift.Sketched(ref.Column, cur, effect)
	if err != nil {
		return f
	}
	statistic := result.Score
	if f.Test == KS {
		statistic = result.Statistic
	}
	f.Statistic = num(statistic)
	if ref.Type == number && f.Test != Wasserstein {
		if w, err := drift.Sketched(ref.Column, cur, drift.Options{Method: drift.MethodWasserstein}); err == nil {
			f.Wasserstein = num(w.Score)
		}
	}
	test := drift.MethodKS
	if ref.Type == category {
		test = drift.MethodChiSquare
	}
	significant := true
	if p, err := drift.Sketched(ref.Column, cur, drift.Options{Method: test}); err == nil {
		f.PValue = num(p.Score)
		significant = p.Score <= t.Drift.Significance
	}
	f.Verdict = grade(statistic, f.Watch, f.Threshold)
	if !significant {
		f.Verdict = OK
	}
	return f
}

// judgeQuality looks at the values that are missing, unknown or outside the reference range, as shares of all rows above the
// reference's own share.
func judgeQuality(f *Feature, ref, cur *sketch.Column, t Thresholds) {
	rows := cur.Count() + cur.Missing()
	if rows == 0 {
		return
	}
	n := float64(rows)
	missing := float64(cur.Missing()) / n
	f.MissingShare = num(missing)
	before := 0.0
	if all := ref.Count() + ref.Missing(); all > 0 {
		before = float64(ref.Missing()) / float64(all)
	}
	see := func(v Verdict, excess float64, fault string, args ...any) {
		if v.rank() > f.Quality.rank() || v == f.Quality && excess > f.excess {
			f.Quality, f.excess, f.fault = v, excess, fmt.Sprintf(fault, args...)
		}
	}
	q := t.Quality
	see(grade(missing-before, q.Watch, q.Breach), missing-before, "%s of %s is missing", percent(missing), f.Name)
	unseen, outside := strangers(ref, cur)
	if ref.Categories != nil {
		x := float64(unseen) / n
		f.UnseenShare = num(x)
		see(grade(x, q.Watch, q.Breach), x, "%s of %s has values that the baseline does not know", percent(x), f.Name)
	} else {
		x := float64(outside) / n
		f.OutOfRangeShare = num(x)
		see(grade(x, q.OutOfRange, min(1, 5*q.OutOfRange)), x, "%s of %s lies outside the baseline's range", percent(x), f.Name)
	}
	if rows < t.MinCount {
		f.Quality = NoData
	}
}

// strangers counts the categories that the reference does not know, and the numbers outside its range.
func strangers(ref, cur *sketch.Column) (unseen, outside int64) {
	switch {
	case cur.Categories != nil && ref.Categories != nil:
		known := ref.Categories.Counts()
		for name, n := range cur.Categories.Counts() {
			if known[name] == 0 {
				unseen += n
			}
		}
		if ref.Categories.Other() == 0 {
			unseen += cur.Categories.Other()
		}
	case cur.Histogram != nil:
		outside = cur.Histogram.Under() + cur.Histogram.Over()
	case cur.Discrete != nil:
		cells := cur.Discrete.Cells()
		outside = cells[0] + cells[len(cells)-1]
	}
	return unseen, outside
}

// judged is what a window is made of besides its buckets.
type judged struct {
	settings  Settings
	task      Task
	version   string
	reference *reference
	refID     string
	base      *baseError
	span      string // "7 days to 20 Apr"
	// partial says how much of a window by time there is yet, "4 of 7 days"; empty when it is full. A part of a week has other
	// weekdays than the reference, which is no drift.
	partial string
}

// baseError is what the labelled error is compared with.
type baseError struct {
	Value float64 `json:"value"`
	From  string  `json:"from"` // where it is from, in words
	// Window is the number of the first window that is compared with it.
	Window int64 `json:"window,omitempty"`
}

// judge makes a window of buckets.
func (j judged) judge(bs []*bucket) (*Window, error) {
	t, err := sum(bs, j.reference, j.refID)
	if err != nil {
		return nil, err
	}
	w := &Window{WindowSummary: WindowSummary{Version: j.version, Count: t.Count, Errors: t.Errors, Late: t.Late, Latency: latencyOf(t.Latency), Verdicts: noVerdicts(), Reasons: map[Kind]string{}, Versions: map[string]Version{}, Drifted: []Drifted{}},
		Features: []Feature{}}
	for name, v := range t.Versions {
		w.Versions[name] = Version{Count: v.Count, Errors: v.Errors, Latency: latencyOf(v.Latency), Labelled: v.Loss.N, Value: mean(v.Loss.Sum, v.Loss.N)}
	}
	if j.reference != nil {
		for i, f := range j.reference.Features {
			w.Features = append(w.Features, judgeColumn(f, t.columns[i], j.settings.Thresholds))
		}
		if j.reference.Output != nil {
			p := judgeColumn(j.reference.Output, t.output, j.settings.Thresholds)
			w.Prediction = &p
		}
	}
	slices.SortStableFunc(w.Features, func(a, b Feature) int { return compare(strength(b), strength(a)) })
	j.drift(w)
	j.quality(w)
	j.service(w, t)
	j.performance(w, t)
	w.conclude()
	return w, nil
}

// conclude writes the window's one sentence.
func (w *WindowSummary) conclude() {
	var worst []string
	for _, level := range []Verdict{Breach, Watch} {
		for _, k := range kinds() {
			if *w.Verdicts.of(k) == level {
				worst = append(worst, w.Reasons[k])
			}
		}
	}
	if w.Reason = strings.Join(worst, "; "); w.Reason == "" {
		w.Reason = w.Reasons[KindDrift]
		if w.Performance != nil && w.Performance.Value != nil {
			w.Reason = w.Reasons[KindPerformance] + "; " + w.Reason
		}
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// strength is the statistic in units of its limit; what is not drifted comes behind what is.
func strength(f Feature) float64 {
	if f.Statistic == nil {
		return -1
	}
	x := *f.Statistic / max(f.Threshold, 1e-12)
	if f.Verdict.rank() >= Watch.rank() {
		x += 1e9
	}
	return x
}

func (j judged) drift(w *Window) {
	d := j.settings.Thresholds.Drift
	var judgedN, drifted, breached int
	strongest := 0.0
	see := func(f Feature) {
		if f.Verdict.rank() < Watch.rank() {
			return
		}
		w.Drifted = append(w.Drifted, Drifted{f.Name, f.Test, *f.Statistic, f.Threshold, f.Verdict})
		if f.Verdict == Breach {
			strongest = max(strongest, *f.Statistic/f.Threshold)
		}
	}
	for _, f := range w.Features {
		if f.Verdict == NoData {
			continue
		}
		judgedN++
		if f.Verdict.rank() >= Watch.rank() {
			drifted++
		}
		if f.Verdict == Breach {
			breached++
		}
		see(f)
	}
	if w.Prediction != nil {
		see(*w.Prediction)
	}
	switch {
	case j.reference == nil || !j.reference.Baseline.Ready:
		w.Reasons[KindDrift] = "there is no baseline yet"
		return
	case j.partial != "":
		w.Drifted = []Drifted{}
		w.Reasons[KindDrift] = fmt.Sprintf("drift is judged on whole windows; there are %s yet", j.partial)
		return
	case judgedN == 0:
		w.Reasons[KindDrift] = fmt.Sprintf("%s over %s; %d are needed to judge drift", plural(w.Count, "prediction"), j.span, j.settings.Thresholds.MinCount)
		return
	}
	v := OK
	switch {
	case breached > 0 && float64(breached) >= d.Share*float64(judgedN), strongest >= d.Strong:
		v = Breach
	case len(w.Drifted) > 0:
		v = Watch
	}
	w.Verdicts.Drift = v
	against := j.reference.Baseline.name()
	if len(w.Drifted) == 0 {
		w.Reasons[KindDrift] = fmt.Sprintf("none of %s drifted over %s, against %s", plural(int64(judgedN), "feature"), j.span, against)
		return
	}
	var parts []string
	for _, f := range w.Features {
		if f.Verdict.rank() >= Watch.rank() && len(parts) < 3 {
			parts = append(parts, f.describe())
		}
	}
	if p := w.Prediction; p != nil && p.Verdict.rank() >= Watch.rank() {
		parts = append(parts, p.describe())
	}
	w.Reasons[KindDrift] = fmt.Sprintf("%d of %s drifted over %s, against %s: %s", drifted, plural(int64(judgedN), "feature"), j.span, against, strings.Join(parts, ", "))
}

// describe is "temperature (PSI 0.81, limit 0.25; mean 18.2, was 9.1)".
func (f Feature) describe() string {
	out := fmt.Sprintf("%s (%s %s, limit %s", f.Name, f.Test.words(), short(*f.Statistic), short(f.Threshold))
	if f.Reference != nil && f.Current != nil && f.Reference.Mean != nil && f.Current.Mean != nil {
		out += fmt.Sprintf("; mean %s, was %s", short(*f.Current.Mean), short(*f.Reference.Mean))
	}
	return out + ")"
}

func (j judged) quality(w *Window) {
	v, fault, worst := NoData, "", -1.0
	for _, f := range w.Features {
		if f.Quality.rank() > v.rank() || f.Quality == v && f.excess > worst {
			v, fault, worst = f.Quality, f.fault, f.excess
		}
	}
	w.Verdicts.Quality = v
	switch v {
	case NoData:
		w.Reasons[KindQuality] = fmt.Sprintf("%s over %s; %d are needed to judge data quality", plural(w.Count, "prediction"), j.span, j.settings.Thresholds.MinCount)
	case OK:
		w.Reasons[KindQuality] = "missing, unknown and out-of-range values are within their limits over " + j.span
	default:
		w.Reasons[KindQuality] = fault + " over " + j.span
	}
}

func (j judged) service(w *Window, t *total) {
	if t.Count == 0 {
		w.Reasons[KindService] = "no prediction over " + j.span
		return
	}
	l := j.settings.Thresholds.Service
	rate := float64(t.Errors) / float64(t.Count)
	v, reason := OK, fmt.Sprintf("%s over %s", plural(t.Count, "prediction"), j.span)
	if t.Count >= j.settings.Thresholds.MinCount || t.Errors >= 5 {
		v = grade(rate, l.ErrorWatch, l.ErrorBreach)
	}
	if v != OK {
		limit := l.ErrorWatch
		if v == Breach {
			limit = l.ErrorBreach
		}
		reason = fmt.Sprintf("%d of %s failed over %s (%s, limit %s)", t.Errors, plural(t.Count, "prediction"), j.span, percent(rate), percent(limit))
	}
	if n := t.Latency.Count(); n >= j.settings.Thresholds.MinCount {
		p95 := float64(t.Latency.Quantile(0.95)) / float64(time.Millisecond)
		if slow := grade(p95, l.P95WatchMS, l.P95BreachMS); slow.rank() > v.rank() {
			v = slow
			limit := l.P95WatchMS
			if v == Breach {
				limit = l.P95BreachMS
			}
			reason = fmt.Sprintf("the 95th percentile of latency is %s ms over %s, limit %s ms", short(p95), j.span, short(limit))
		} else if v == OK {
			reason += fmt.Sprintf(", %d failed, p95 %s ms", t.Errors, short(p95))
		}
	}
	w.Verdicts.Service, w.Reasons[KindService] = v, reason
}

// performance judges the labelled error of the version in charge, on the rows that it answered or mirrored.
func (j judged) performance(w *Window, t *total) {
	l := j.settings.Thresholds.Performance
	v := t.Versions[j.version]
	w.Verdicts.Performance, w.Performance = NoData, nil
	if v == nil || v.Loss.N == 0 {
		w.Reasons[KindPerformance] = "no labels yet over " + j.span
		return
	}
	s := &Scores{Labelled: v.Loss.N, Metric: metricOf(j.task), Value: mean(v.Loss.Sum, v.Loss.N), LabelledPercent: 100 * float64(v.Loss.N) / float64(max(v.Count, 1))}
	w.Performance = s
	if j.task == Classification {
		s.Accuracy = num(1 - *s.Value)
		if f1, ok := v.Loss.macroF1(); ok {
			s.F1 = num(f1)
		}
		s.LogLoss = mean(v.Loss.LogLoss, v.Loss.LogN)
	} else {
		s.RMSE = num(math.Sqrt(max(v.Loss.Squares, 0) / float64(v.Loss.N)))
		s.Bias = mean(v.Loss.Bias, v.Loss.N)
	}
	is := fmt.Sprintf("%s %s over %s (%s)", metricWords(j.task), short(*s.Value), j.span, plural(v.Loss.N, "label"))
	if v.Loss.N < l.MinLabelled {
		w.Reasons[KindPerformance] = fmt.Sprintf("%s; %d are needed to judge it", is, l.MinLabelled)
		return
	}
	if j.base == nil {
		w.Verdicts.Performance = OK
		w.Reasons[KindPerformance] = is + ": later windows are compared with it"
		return
	}
	s.Baseline, s.BaselineFrom = num(j.base.Value), j.base.From
	s.WatchThreshold, s.Threshold = num(l.Watch*j.base.Value), num(l.Breach*j.base.Value)
	verdict := OK
	switch {
	case *s.Value > *s.Threshold:
		verdict = Breach
	case *s.Value > *s.WatchThreshold:
		verdict = Watch
	}
	limit, factor := *s.Threshold, l.Breach
	if verdict == Watch {
		limit, factor = *s.WatchThreshold, l.Watch
	}
	w.Verdicts.Performance = verdict
	w.Reasons[KindPerformance] = fmt.Sprintf("%s %s over %s, limit %s (%s x %s %s)", metricWords(j.task), short(*s.Value), j.span, short(limit), short(factor), short(j.base.Value), j.base.From)
}

func metricOf(t Task) string {
	if t == Classification {
		return "error_rate"
	}
	return "mae"
}

func metricWords(t Task) string {
	if t == Classification {
		return "error rate"
	}
	return "mean absolute error"
}

// settle is a state from the last verdicts, oldest first: the level that two of the last three judged windows reach. One window alone
// can be ok, or at most watch.
func settle(history []Verdict) Verdict {
	var last []Verdict
	for i := len(history) - 1; i >= 0 && len(last) < windowsHeard; i-- {
		if history[i] != NoData && history[i] != "" {
			last = append(last, history[i])
		}
	}
	if n := len(history); n >= windowsHeard && len(last) > 0 {
		silent := true
		for _, v := range history[n-windowsHeard:] {
			silent = silent && v == NoData
		}
		if silent {
			return NoData
		}
	}
	switch len(last) {
	case 0:
		return NoData
	case 1:
		if last[0] == Breach {
			return Watch
		}
		return last[0]
	}
	slices.SortFunc(last, func(a, b Verdict) int { return b.rank() - a.rank() })
	return last[1]
}

const windowsHeard = 3

func num(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func mean(sum float64, n int64) *float64 {
	if n == 0 {
		return nil
	}
	return num(sum / float64(n))
}

func latencyOf(l *sketch.Latency) Latency {
	if l.Count() == 0 {
		return Latency{}
	}
	q := func(p float64) *float64 { return num(float64(l.Quantile(p)) / float64(time.Millisecond)) }
	return Latency{q(0.5), q(0.95), q(0.99)}
}

// short is a number for a sentence: three digits, more for large ones.
func short(x float64) string {
	switch a := math.Abs(x); {
	case a >= 1000:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 0.095 || a == 0:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", x), ".00")
	}
	return fmt.Sprintf("%.2g", x)
}

func percent(share float64) string {
	if share > 0 && share < 0.001 {
		return "under 0.1 %"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*share), ".0") + " %"
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return itoa(n) + " " + what + "s"
}
