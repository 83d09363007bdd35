package app

import (
	"context"
	"maps"
	"math"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
)

// sources finds the files of a model from the URIs that users write. Only things that are in this server have a URI here: no path and
// no other scheme makes it read anywhere else.
type sources struct {
	runs   *tracking.Service
	models *registry.Service
	files  *blob.Files
}

// resolve understands runs:/<run>/<path>, models:/m-<id>, models:/<name>/<version>, models:/<name>@<alias> and
// mlflow-artifacts:/<experiment>/<run>/artifacts/<path> or /<experiment>/models/<id>/artifacts. Kinds: Invalid for anything else,
// NotFound when nothing is there.
func (s *sources) resolve(ctx context.Context, uri string) (registry.Source, error) {
	scheme, rest, ok := strings.Cut(uri, ":/")
	if !ok || strings.ContainsAny(uri, "?#\\%;") {
		return registry.Source{}, badSource(uri)
	}
	if scheme != "models" || strings.HasPrefix(rest, "m-") {
		if strings.HasPrefix(rest, "/") {
			return registry.Source{}, badSource(uri)
		}
		clean, err := blob.CleanPath(rest)
		if err != nil {
			return registry.Source{}, badSource(uri)
		}
		rest = clean
	}
	switch scheme {
	case "runs":
		run, dir, _ := strings.Cut(rest, "/")
		return s.ofRun(ctx, run, dir)
	case "models":
		if id, dir, _ := strings.Cut(rest, "/"); strings.HasPrefix(id, "m-") && dir == "" {
			return s.ofModel(ctx, id, "")
		}
		v, err := s.models.Resolve(ctx, uri)
		if err != nil {
			return registry.Source{}, err
		}
		return registry.Source{FilesRoot: v.FilesRoot(), RunID: v.RunID, LoggedModelID: v.LoggedModelID, Metrics: v.Metrics}, nil
	case "mlflow-artifacts":
		part := strings.SplitN(rest, "/", 5)
		switch {
		case len(part) >= 4 && part[1] == "models" && part[3] == "artifacts":
			return s.ofModel(ctx, part[2], strings.Join(part[4:], "/"))
		case len(part) >= 3 && part[1] != "models" && part[2] == "artifacts":
			return s.ofRun(ctx, part[1], strings.Join(part[3:], "/"))
		}
	}
	return registry.Source{}, badSource(uri)
}

func badSource(uri string) error {
	return errs.Invalidf("app.source", "Invalid model version source: %.200q", uri).
		WithField("source", "expected runs:/<run>/<path>, models:/<model id>, models:/<name>/<version> or mlflow-artifacts:/... of this server, or from MLflow's client a folder in an object store such as s3://<bucket>/<path>").
		WithHint("log the model to this server first, with log_model")
}

// ofRun is a folder of a run's files, or the model of that name that the run logged.
func (s *sources) ofRun(ctx context.Context, runID, dir string) (registry.Source, error) {
	r, err := s.runs.Run(ctx, runID)
	if err != nil {
		return registry.Source{}, err
	}
	if dir == "" {
		return registry.Source{}, errs.Invalidf("app.source", "the source names no folder of the run").WithField("source", "expected runs:/%s/<path of the model>", runID)
	}
	out := registry.Source{FilesRoot: tracking.RunRoot(runID), FilesDir: dir, RunID: runID, Metrics: finite(r.Metrics)}
	files, err := s.files.List(ctx, out.FilesRoot, dir)
	if err != nil || len(files) > 0 {
		return out, err
	}
	logged, err := s.runs.ModelsOfRun(ctx, runID, dir)
	if err != nil {
		return out, err
	}
	if len(logged) == 0 {
		return out, errs.NotFoundf("app.source", "run %s has no model at %.200q", runID, dir)
	}
	return s.ofModel(ctx, logged[0].ID, "")
}

func (s *sources) ofModel(ctx context.Context, id, dir string) (registry.Source, error) {
	m, err := s.runs.Model(ctx, id)
	if err != nil {
		return registry.Source{}, err
	}
	out := registry.Source{FilesRoot: tracking.ModelRoot(id), FilesDir: dir, RunID: m.RunID, LoggedModelID: id, Metrics: finite(m.Metrics)}
	if m.RunID != "" {
		if r, err := s.runs.Run(ctx, m.RunID); err == nil {
			all := finite(r.Metrics)
			for _, x := range m.Metrics {
				// What was measured of the model on a dataset wins. Without one it is MLflow's copy of the run's metric at the model's
				// step, which is 0 unless checkpoints are logged: the run's newest value says more.
				if _, ofRun := all[x.Key]; x.DatasetName != "" || !ofRun {
					maps.Copy(all, finite([]tracking.Metric{x}))
				}
			}
			out.Metrics = all
		}
	}
	return out, nil
}

func finite(in []tracking.Metric) map[string]float64 {
	out := make(map[string]float64, len(in))
	for _, m := range in {
		if !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) {
			out[m.Key] = m.Value
		}
	}
	return out
}
