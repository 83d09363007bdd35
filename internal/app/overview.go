package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/pipeline"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/tracking"
)

// Overview is the counts that the navigation shows.
type Overview struct {
	Endpoints        int   `json:"endpoints"`
	EndpointsFailing int   `json:"endpoints_failing" doc:"degraded or failed"`
	RunsRunning      int64 `json:"runs_running"`
	PipelinesRunning int64 `json:"pipelines_running"`
	AlertsOpen       int64 `json:"alerts_open"`
	MonitorsBreach   int64 `json:"monitors_breach"`
}

// counter asks one domain for one number.
type counter func(ctx context.Context) (int64, error)

// overviewRoutes composes the counts of the domains; alerts and breaches are asked of those who own them.
func (s *Server) overviewRoutes(runs *tracking.Service, steps *pipeline.Service, p plane, alerts, breaches counter) {
	httpx.Get(s.f.router, "/api/v1/overview", "overview:read", "Counts for the navigation", func(ctx context.Context, _ *struct{}) (*Overview, error) {
		o := &Overview{}
		for _, e := range p.ends.List(ctx) {
			o.Endpoints++
			if st := string(e.Status.State); st == "degraded" || st == "failed" {
				o.EndpointsFailing++
			}
		}
		for _, c := range []struct {
			into *int64
			ask  counter
		}{{&o.RunsRunning, runs.RunningRuns}, {&o.PipelinesRunning, steps.RunningRuns}, {&o.AlertsOpen, alerts}, {&o.MonitorsBreach, breaches}} {
			n, err := c.ask(ctx)
			if err != nil {
				return nil, err
			}
			*c.into = n
		}
		return o, nil
	})
}
