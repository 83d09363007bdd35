package tracking

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	points  prometheus.Counter
	seconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		points: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_tracking_metric_points_total", Help: "Metric points logged."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "modelyard_tracking_search_seconds", Help: "Time to search runs.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}),
	}
	if reg != nil {
		reg.MustRegister(m.points, m.seconds)
	}
	return m
}
