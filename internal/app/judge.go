package app

import (
	"path/filepath"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/evaluation"
	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/infer/pyworker"
	"github.com/modelyard/modelyard/internal/registry"
)

// inferOptions are how models are loaded in this server. Each part that loads models has a folder for its worker processes.
func (f *frame) inferOptions(part string) infer.Options {
	log := f.log.With("component", part)
	return infer.Options{Logger: log, CacheDir: filepath.Join(f.cfg.DataDir, "runtime"),
		Python: pyworker.New(pyworker.Deps{Envs: f.envs, Dir: filepath.Join(f.cfg.DataDir, "workers", part), Log: log})}
}

func (f *frame) gates(models *registry.Service, data *dataset.Service) (*evaluation.Service, error) {
	load, err := f.modelLoader(models, f.inferOptions("evaluation"))
	if err != nil {
		return nil, err
	}
	return evaluation.New(evaluation.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "evaluation"), Metrics: f.metrics,
		Registry: models, Datasets: data, Loader: load}), nil
}
