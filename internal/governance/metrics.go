package governance

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ streams prometheus.Gauge }

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "modelyard_governance_event_streams", Help: "Open live streams of events."})}
	if r != nil {
		r.MustRegister(m.streams)
	}
	return m
}
