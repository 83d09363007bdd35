package dataset

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	created, refused prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		created: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_dataset_versions_created_total", Help: "Dataset versions stored since the start."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_dataset_versions_refused_total", Help: "Uploads refused by a contract or unreadable since the start."}),
	}
	if reg != nil {
		reg.MustRegister(m.created, m.refused)
	}
	return m
}
