package predlog

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	appended prometheus.Counter
	dropped  prometheus.Counter
	labels   *prometheus.CounterVec
	removed  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		appended: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_predlog_appended_total", Help: "Predictions written to the log."}),
		dropped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_predlog_dropped_total", Help: "Predictions that were answered but could not be logged."}),
		labels:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_predlog_labels_total", Help: "Labels by outcome: accepted, late, replaced, unknown, refused."}, []string{"outcome"}),
		removed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_predlog_raw_removed_bytes_total", Help: "Bytes of raw segments removed after their hour was sealed."}),
	}
	if reg != nil {
		reg.MustRegister(m.appended, m.dropped, m.labels, m.removed)
	}
	return m
}
