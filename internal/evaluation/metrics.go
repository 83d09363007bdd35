package evaluation

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	checks  *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_evaluation_checks_total", Help: "Gate checks by verdict."}, []string{"verdict"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "modelyard_evaluation_check_seconds", Help: "Time of a gate check.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1000}}),
	}
	if reg != nil {
		reg.MustRegister(m.checks, m.seconds)
	}
	return m
}
