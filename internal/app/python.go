package app

import (
	"os/exec"

	"github.com/modelyard/modelyard/internal/pipeline"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
	"github.com/modelyard/modelyard/internal/tracking"
)

// environments keeps the Python environments of steps and models.
func (f *frame) environments() (*pyenv.Manager, error) {
	dir, err := f.ensureDir("python")
	if err != nil {
		return nil, err
	}
	python := f.cfg.Python
	if python != "" {
		if p, err := exec.LookPath(python); err == nil {
			python = p
		}
	}
	return pyenv.New(pyenv.Deps{Dir: dir, Interpreter: python, Now: f.clock.Now}), nil
}

func (s *Server) pipelines(track *tracking.Service) (*pipeline.Service, error) {
	f := &s.f
	dir, err := f.ensureDir("pipelines")
	if err != nil {
		return nil, err
	}
	url := "http://" + f.cfg.Listen
	env := []string{"MODELYARD_SERVER=" + url, "MLFLOW_TRACKING_URI=" + url}
	if t := f.cfg.Token.Reveal(); t != "" {
		env = append(env, "MODELYARD_TOKEN="+t, "MLFLOW_TRACKING_TOKEN="+t)
	}
	return pipeline.New(pipeline.Deps{
		DB: f.db, Events: f.events, Jobs: f.jobs, Files: f.files, Envs: f.envs, Tracker: stepTracker{track, f.clock},
		Clock: f.clock, Log: f.log.With("component", "pipeline"), Dir: dir, Env: env,
	}), nil
}
