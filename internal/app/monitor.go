package app

import (
	"context"
	"fmt"
	"strconv"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/evaluation"
	"github.com/modelyard/modelyard/internal/monitor"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/tracking"
)

// watch makes the monitor, which finds its baseline in what the version's run logged and its reference error in what a gate measured.
func (s *Server) watch(p plane, runs *tracking.Service, models *registry.Service, data *dataset.Service, gates *evaluation.Service) *monitor.Service {
	f := &s.f
	m := monitor.New(monitor.Deps{DB: f.db, Events: f.events, Clock: f.clock, Log: f.log.With("component", "monitor"), Metrics: f.metrics,
		Predlog: p.log, Registry: models, Datasets: data, Baseline: trainingData(runs, models), Error: measuredError(gates)})
	m.Routes(f.router)
	m.Subscribe()
	return m
}

// trainingData finds the dataset version of this server that the run of a model version logged: the one it trained on, if it says so.
func trainingData(runs *tracking.Service, models *registry.Service) func(context.Context, string, string) (string, string, string, bool, error) {
	return func(ctx context.Context, model, version string) (name, number, target string, ok bool, err error) {
		v, err := models.GetVersion(ctx, model, version)
		if err != nil || v.RunID == "" {
			return "", "", "", false, err
		}
		run, err := runs.Run(ctx, v.RunID)
		if errs.Is(err, errs.NotFound) {
			return "", "", "", false, nil
		}
		if err != nil {
			return "", "", "", false, err
		}
		for _, training := range []bool{true, false} {
			for _, in := range run.Inputs {
				if d, n, mine := dataset.ParseSource(in.Source); mine && (in.Context == "training" || !training) {
					return d, strconv.FormatInt(n, 10), "", true, nil
				}
			}
		}
		return "", "", "", false, nil
	}
}

// measuredError is the error of a version on the held-out rows of the newest gate that it passed.
func measuredError(gates *evaluation.Service) func(context.Context, string, string, string) (float64, string, bool, error) {
	return func(ctx context.Context, model, version, metric string) (float64, string, bool, error) {
		results, _, err := gates.Results(ctx, model, version, 20, "")
		if err != nil {
			return 0, "", false, err
		}
		for _, r := range results {
			if r.Verdict != evaluation.Pass {
				continue
			}
			from := fmt.Sprintf("on %s@%d", r.Dataset, r.DatasetVersion)
			if x, ok := r.Metrics[metric]; ok {
				return x, from, true, nil
			}
			if x, ok := r.Metrics["accuracy"]; ok && metric == "error_rate" {
				return 1 - x, from, true, nil
			}
		}
		return 0, "", false, nil
	}
}
