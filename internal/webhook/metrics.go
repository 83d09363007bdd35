package webhook

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ deliveries *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_webhook_deliveries_total",
		Help: "Attempts to deliver MLflow webhooks, by outcome."}, []string{"outcome"})}
	if r != nil {
		r.MustRegister(m.deliveries)
	}
	return m
}
