package lifecycle

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	rollouts    *prometheus.CounterVec
	retrainings *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		rollouts:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_lifecycle_rollouts_total", Help: "Rollouts that ended, by how."}, []string{"outcome"}),
		retrainings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_lifecycle_retrainings_total", Help: "Retrainings that ended, by how."}, []string{"outcome"}),
	}
	if r != nil {
		r.MustRegister(m.rollouts, m.retrainings)
	}
	return m
}
