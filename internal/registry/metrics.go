package registry

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	models, versions prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		models:   prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_registry_models_created_total", Help: "Models registered since the start."}),
		versions: prometheus.NewCounter(prometheus.CounterOpts{Name: "modelyard_registry_versions_created_total", Help: "Model versions registered since the start."}),
	}
	if reg != nil {
		reg.MustRegister(m.models, m.versions)
	}
	return m
}
