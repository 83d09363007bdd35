package app

import (
	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/evaluation"
	"github.com/modelyard/modelyard/internal/registry"
)

func (f *frame) gates(models *registry.Service, data *dataset.Service) (*evaluation.Service, error) {
	runtimes, err := f.runtimes("evaluation")
	if err != nil {
		return nil, err
	}
	load, err := f.modelLoader(models, runtimes)
	if err != nil {
		return nil, err
	}
	return evaluation.New(evaluation.Deps{DB: f.db, Events: f.events, Jobs: f.jobs, Clock: f.clock, Log: f.log.With("component", "evaluation"), Metrics: f.metrics,
		Registry: models, Datasets: data, Loader: load}), nil
}
