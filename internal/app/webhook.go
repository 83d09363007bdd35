package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/webhook"
)

// egress is the policy of calls to addresses that users name.
func (f *frame) egress() egress.Policy {
	return egress.Policy{AllowPrivate: f.cfg.Loopback() || f.cfg.PrivateCalls, Own: f.cfg.Listen}
}

// webhooks are those of MLflow's kind; what their payloads say is looked up in the registry.
func (s *Server) webhooks(models *registry.Service) *webhook.Service {
	f := &s.f
	return webhook.New(webhook.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "webhook"), Metrics: f.metrics,
		DataDir: f.cfg.DataDir, Egress: f.egress(),
		Model: func(ctx context.Context, name string) (webhook.Model, error) {
			m, err := models.GetModel(ctx, name)
			return webhook.Model{Description: m.Description, Tags: m.Tags}, err
		},
		Version: func(ctx context.Context, model, version string) (webhook.Version, error) {
			v, err := models.GetVersion(ctx, model, version)
			return webhook.Version{Source: v.Source, RunID: v.RunID, Description: v.Description, Tags: v.Tags}, err
		}})
}
