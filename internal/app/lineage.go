package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/governance"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
)

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

// runFacts gives lineage what the events of runs do not carry.
func runFacts(runs *tracking.Service) func(context.Context, []string) (map[string]governance.RunFacts, error) {
	return func(ctx context.Context, ids []string) (map[string]governance.RunFacts, error) {
		all, err := runs.Runs(ctx, ids)
		out := make(map[string]governance.RunFacts, len(all))
		for _, r := range all {
			f := governance.RunFacts{Name: r.Name, ExperimentID: r.ExperimentID, User: r.User, Source: r.Tag("mlflow.source.name"), Start: r.StartTime, Tags: make(map[string]string, len(r.Tags))}
			for _, t := range r.Tags {
				f.Tags[t.Key] = t.Value
			}
			out[r.ID] = f
		}
		return out, err
	}
}

// predictionFacts says which version answered a prediction, and when.
func predictionFacts(log *predlog.Service) func(context.Context, string) (governance.Served, error) {
	return func(ctx context.Context, predictionID string) (governance.Served, error) {
		p, err := log.Get(ctx, predictionID)
		return governance.Served{Endpoint: p.Endpoint, Model: p.Model, Version: p.Version, At: p.Time}, err
	}
}

// PredictionLineage answers where one prediction comes from.
type PredictionLineage struct {
	Prediction predlog.Prediction `json:"prediction"`
	Facts      []governance.Fact  `json:"facts" doc:"from the endpoint back to the data and who approved it"`
}

// predictionLineage composes what the prediction log and governance know of one prediction.
func predictionLineage(r *httpx.Router, log *predlog.Service, govern *governance.Service) {
	httpx.Get(r, "/api/v1/predictions/{id}/lineage", "lineage:read", "Where one prediction comes from", func(ctx context.Context, in *struct {
		ID string `path:"id" maxLength:"64"`
	}) (*PredictionLineage, error) {
		p, err := log.Get(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		facts, err := govern.TraceServed(ctx, governance.Served{Endpoint: p.Endpoint, Model: p.Model, Version: p.Version, At: p.Time}, 0)
		return &PredictionLineage{Prediction: p, Facts: facts}, err
	})
}
