package trash

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	purged *prometheus.CounterVec
	freed  prometheus.Counter
	swept  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		purged: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_trash_purged_total", Help: "Things removed for good, by kind."}, []string{"kind"}),
		freed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_trash_freed_bytes_total", Help: "Bytes that purges and sweeps gave back."}),
		swept:  prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_trash_swept_total", Help: "Contents without a name that sweeps removed."}),
	}
	if reg != nil {
		reg.MustRegister(m.purged, m.freed, m.swept)
	}
	return m
}
