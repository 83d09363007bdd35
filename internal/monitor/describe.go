package monitor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
)

// describe is the monitor as its page shows it.
func (w *watcher) describe(now time.Time) Monitor {
	m := Monitor{Endpoint: w.endpoint, Model: w.model, Version: w.version, Task: w.task(), Baseline: Baseline{Kind: "none"}, Window: w.settings.Window, Thresholds: w.settings.Thresholds,
		LabelColumn: w.settings.LabelColumn, State: w.st.Verdicts, Reasons: maps.Clone(w.st.Reasons), Since: map[Kind]Moment{}, Features: []MonitorFeature{}, Late: w.st.Late, CreatedAt: w.createdAt, UpdatedAt: w.updatedAt}
	for k, at := range w.st.Since {
		if at != 0 {
			m.Since[k] = clock.FromMicros(at)
		}
	}
	if w.st.Started && w.st.Watermark != 0 {
		at := clock.FromMicros(w.st.Watermark)
		m.Watermark = &at
	}
	if w.ref != nil {
		m.Baseline = w.ref.Baseline
		if w.ref.Collect != nil && w.ref.Collect.Limit > 0 {
			m.Baseline.Rows = int64(w.ref.Collect.Rows)
		}
	}
	if w.newest != nil {
		m.LastWindow = w.newest.ID
	}
	m.Features = w.features()
	if w.ref != nil && w.ref.Output != nil {
		p := w.feature(w.ref.Output)
		m.Prediction = &p
	}
	m.VerdictText = w.sentence(now)
	return m
}

// features lists those of the reference as they stood in the newest window, the most drifted first.
func (w *watcher) features() []MonitorFeature {
	out := []MonitorFeature{}
	if w.ref == nil {
		return out
	}
	for _, f := range w.ref.Features {
		out = append(out, w.feature(f))
	}
	order := map[string]int{}
	if w.newest != nil {
		for i, f := range w.newest.Features {
			order[f.Name] = i
		}
	}
	slices.SortStableFunc(out, func(a, b MonitorFeature) int { return order[a.Name] - order[b.Name] })
	return out
}

func (w *watcher) feature(r *refColumn) MonitorFeature {
	d := w.settings.Thresholds.Drift
	f := MonitorFeature{Name: r.Name, Type: r.Type, Test: d.Numeric, Verdict: NoData, Series: w.series[r.Name]}
	if r.Type == category {
		f.Test = d.Categorical
	}
	f.Watch, f.Threshold = f.Test.limits(d)
	if f.Series == nil {
		f.Series = []*float64{}
	}
	f.Series = slices.Clone(f.Series)
	if w.newest == nil || w.newest.Version != w.version {
		return f
	}
	all := w.newest.Features
	if w.newest.Prediction != nil {
		all = append(slices.Clone(all), *w.newest.Prediction)
	}
	for _, n := range all {
		if n.Name == r.Name {
			f.Test, f.Statistic, f.Threshold, f.Watch, f.Verdict, f.MissingShare = n.Test, n.Statistic, n.Threshold, n.Watch, n.Verdict, n.MissingShare
		}
	}
	return f
}

// sentence says how the endpoint stands: what is wrong, how much, against which limit, since when; else what is known to be well.
func (w *watcher) sentence(now time.Time) string {
	if w.newest == nil || w.newest.Version != w.version {
		why := firstText(w.st.Reasons[KindDrift], "no window is complete yet")
		if w.ref != nil && w.ref.Collect != nil && w.ref.Collect.Limit > 0 {
			return fmt.Sprintf("Collecting a baseline: %d of %d predictions.", w.ref.Collect.Rows, w.ref.Collect.Limit)
		}
		return capital(why) + "."
	}
	var parts []string
	for _, level := range []Verdict{Breach, Watch} {
		for _, k := range [...]Kind{KindPerformance, KindDrift, KindQuality, KindService} {
			if *w.st.Verdicts.of(k) != level {
				continue
			}
			text := w.st.Reasons[k]
			if at := w.st.Since[k]; at != 0 {
				text += ", " + string(level) + " since " + day(lastMoment(clock.FromMicros(at), w.settings.Window), now)
			}
			parts = append(parts, capital(text)+".")
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, " ")
	}
	for _, k := range [...]Kind{KindPerformance, KindDrift} {
		if r := w.st.Reasons[k]; r != "" {
			parts = append(parts, capital(r)+".")
		}
	}
	return strings.Join(parts, " ")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
