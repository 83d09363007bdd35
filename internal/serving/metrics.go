package serving

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	predictions *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	dropped     *prometheus.CounterVec
	loads       *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_serving_requests_total", Help: "Prediction requests by endpoint, version, role and outcome (ok, error, invalid)."}, []string{"endpoint", "version", "role", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "modelyard_serving_request_seconds", Help: "Time from the whole request to its logged answer.",
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"endpoint", "version"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_serving_mirrors_dropped_total", Help: "Requests that other versions should have scored too and did not, because the queue was full."}, []string{"endpoint"}),
		loads:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_serving_loads_total", Help: "Model versions loaded, by runtime and outcome."}, []string{"runtime", "outcome"}),
	}
	if reg != nil {
		reg.MustRegister(m.predictions, m.seconds, m.dropped, m.loads)
	}
	return m
}

// versionMetrics are the metrics of one version, looked up once.
type versionMetrics struct {
	ok, failed, invalid, mirrored prometheus.Counter
	seconds                       prometheus.Observer
}

func (m *metrics) of(endpoint, version string) versionMetrics {
	c := func(role, outcome string) prometheus.Counter {
		return m.predictions.WithLabelValues(endpoint, version, role, outcome)
	}
	return versionMetrics{ok: c("live", "ok"), failed: c("live", "error"), invalid: c("live", "invalid"), mirrored: c("shadow", "ok"), seconds: m.seconds.WithLabelValues(endpoint, version)}
}

func (m *metrics) forget(endpoint string) {
	l := prometheus.Labels{"endpoint": endpoint}
	m.predictions.DeletePartialMatch(l)
	m.seconds.DeletePartialMatch(l)
	m.dropped.DeletePartialMatch(l)
}
