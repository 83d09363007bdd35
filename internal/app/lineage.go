package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/governance"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
)

// runFacts gives lineage what the events of a run do not carry.
func runFacts(track *tracking.Service) func(context.Context, string) (governance.RunFacts, error) {
	return func(ctx context.Context, runID string) (governance.RunFacts, error) {
		r, err := track.Run(ctx, runID)
		if err != nil {
			return governance.RunFacts{}, err
		}
		f := governance.RunFacts{Name: r.Name, User: r.User, Tags: map[string]string{}}
		for _, t := range r.Tags {
			f.Tags[t.Key] = t.Value
		}
		return f, nil
	}
}

// versionFacts gives lineage what the event of a new version does not carry.
func versionFacts(models *registry.Service) func(context.Context, string, string) (governance.VersionFacts, error) {
	return func(ctx context.Context, model, version string) (governance.VersionFacts, error) {
		v, err := models.GetVersion(ctx, model, version)
		if err != nil {
			return governance.VersionFacts{}, err
		}
		return governance.VersionFacts{Digest: v.Digest, Flavor: v.Flavor, Runtime: v.Runtime, Requirements: v.Requirements, PythonVersion: v.PythonVersion}, nil
	}
}

// predictionFacts says which version answered a prediction, and when.
func predictionFacts(log *predlog.Service) func(context.Context, string) (governance.Served, error) {
	return func(ctx context.Context, predictionID string) (governance.Served, error) {
		p, err := log.Get(ctx, predictionID)
		return governance.Served{Endpoint: p.Endpoint, Model: p.Model, Version: p.Version, At: p.Time}, err
	}
}
