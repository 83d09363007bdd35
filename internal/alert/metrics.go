package alert

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ deliveries *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer, st store) metrics {
	m := metrics{deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "modelyard_alert_deliveries_total", Help: "Attempts to deliver webhooks, by outcome."}, []string{"outcome"})}
	if r != nil {
		r.MustRegister(m.deliveries, &gauge{st: st, desc: prometheus.NewDesc("modelyard_alert_open", "Alerts that are not resolved.", []string{"kind", "severity"}, nil)})
	}
	return m
}

// gauge counts open alerts when it is scraped, so that it is right after a restart too.
type gauge struct {
	st   store
	desc *prometheus.Desc
}

func (g *gauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

func (g *gauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a scrape brings no context
	defer cancel()
	counts, err := g.st.openCounts(ctx)
	if err != nil {
		return // the scrape goes on without it
	}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(c.n), c.kind, c.severity)
	}
}
