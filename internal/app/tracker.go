package app

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

// stepTracker gives each step of a pipeline its tracked run.
type stepTracker struct {
	runs  *tracking.Service
	clock clock.Clock
}

func (t stepTracker) Begin(ctx context.Context, experiment, name string, tags map[string]string) (runID, experimentID string, err error) {
	e, err := t.runs.ExperimentByName(ctx, experiment)
	switch {
	case err == nil:
		experimentID = e.ID
	case errs.Is(err, errs.NotFound):
		if experimentID, err = t.runs.CreateExperiment(ctx, tracking.NewExperiment{Name: experiment}); err != nil {
			return "", "", err
		}
	default:
		return "", "", err
	}
	n := tracking.NewRun{ExperimentID: experimentID, Name: name}
	for k, v := range tags {
		n.Tags = append(n.Tags, tracking.Tag{Key: k, Value: v})
	}
	r, err := t.runs.CreateRun(ctx, n)
	return r.ID, experimentID, err
}

func (t stepTracker) End(ctx context.Context, runID string, ok bool) error {
	status := tracking.StatusFailed
	if ok {
		status = tracking.StatusFinished
	}
	r, err := t.runs.Run(ctx, runID)
	if err != nil || (r.Status.Ended() && (ok || r.Status == tracking.StatusFailed)) {
		return err // the step's own client has closed it
	}
	now := t.clock.Now()
	_, err = t.runs.UpdateRun(ctx, runID, tracking.RunChange{Status: &status, EndTime: &now})
	return err
}
