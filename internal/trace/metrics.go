package trace

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	traces prometheus.Counter
	spans  *prometheus.CounterVec
	search prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		traces: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_trace_traces_total", Help: "Traces that clients told of."}),
		spans:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_trace_spans_total", Help: "Spans received, by outcome."}, []string{"outcome"}),
		search: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "modelyard_trace_search_seconds", Help: "Duration of trace searches.", Buckets: []float64{.001, .005, .02, .1, .5, 2, 10}}),
	}
	if r != nil {
		r.MustRegister(m.traces, m.spans, m.search)
	}
	return m
}
