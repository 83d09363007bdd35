package monitor

import "github.com/prometheus/client_golang/prometheus"

// shownFeatures bounds the features of an endpoint that have series of their own: the most drifted ones.
const shownFeatures = 50

type metrics struct {
	consumed  prometheus.Counter
	drift     *prometheus.GaugeVec
	threshold *prometheus.GaugeVec
	verdict   *prometheus.GaugeVec
	loss      *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		consumed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_monitor_entries_consumed_total", Help: "Predictions and labels taken in by monitors since the start."}),
		drift:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "modelyard_drift_score", Help: "Drift of a feature in the newest window; the 50 most drifted features of an endpoint."}, []string{"endpoint", "feature", "method"}),
		threshold: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "modelyard_drift_threshold", Help: "Drift from which a feature is in breach."}, []string{"endpoint", "feature", "method"}),
		verdict:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "modelyard_monitor_verdict", Help: "State of a monitor: 0 no data, 1 ok, 2 watch, 3 breach."}, []string{"endpoint", "kind"}),
		loss:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "modelyard_monitor_labelled_error", Help: "Labelled error of the newest window that has labels."}, []string{"endpoint", "metric"}),
	}
	if reg != nil {
		reg.MustRegister(m.consumed, m.drift, m.threshold, m.verdict, m.loss)
	}
	return m
}

// observe shows how a monitor stands after a flush.
func (m *metrics) observe(w *watcher) {
	for _, k := range kinds() {
		m.verdict.WithLabelValues(w.endpoint, string(k)).Set(float64(w.st.Verdicts.of(k).rank()))
	}
	if len(w.out.windows) == 0 || w.newest == nil {
		return
	}
	mine := prometheus.Labels{"endpoint": w.endpoint}
	m.drift.DeletePartialMatch(mine)
	m.threshold.DeletePartialMatch(mine)
	for i, f := range w.newest.Features {
		if f.Statistic == nil || i >= shownFeatures {
			continue
		}
		m.drift.WithLabelValues(w.endpoint, f.Name, string(f.Test)).Set(*f.Statistic)
		m.threshold.WithLabelValues(w.endpoint, f.Name, string(f.Test)).Set(f.Threshold)
	}
	if p := w.newest.Performance; p != nil && p.Value != nil {
		m.loss.WithLabelValues(w.endpoint, p.Metric).Set(*p.Value)
	}
}

func (m *metrics) forget(endpoint string) {
	for _, v := range []*prometheus.GaugeVec{m.drift, m.threshold, m.verdict, m.loss} {
		v.DeletePartialMatch(prometheus.Labels{"endpoint": endpoint})
	}
}
