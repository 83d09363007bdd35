package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

// activeExperiment lets traces and evaluation datasets ask whether an experiment takes writes.
func activeExperiment(runs *tracking.Service) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		e, err := runs.Experiment(ctx, id)
		if err == nil && e.Lifecycle != tracking.Active {
			err = errs.Invalidf("trace.experiment", "The experiment %s must be in the 'active' state. Current state is %s.", id, e.Lifecycle).WithHint("restore the experiment first")
		}
		return err
	}
}

// experimentHome lets the trash say where a trace was.
func experimentHome(runs *tracking.Service) func(context.Context, string) (string, string, error) {
	return func(ctx context.Context, id string) (string, string, error) {
		e, err := runs.Experiment(ctx, id)
		return e.Name, e.Workspace, err
	}
}

func knownRun(runs *tracking.Service) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		_, err := runs.HasRun(ctx, id)
		return err
	}
}
