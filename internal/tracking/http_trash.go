package tracking

import (
	"context"
	"fmt"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

func (s *Service) trashRoutes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/runs/delete", "run:delete", "Move runs to the trash", s.deleteRunsHTTP)
	httpx.Post(r, "/api/v1/runs/restore", "run:delete", "Bring runs back from the trash", s.restoreRunsHTTP)
	httpx.Post(r, "/api/v1/experiments/{id}/delete", "experiment:delete", "Move an experiment with its runs to the trash", s.deleteExperimentHTTP)
	httpx.Post(r, "/api/v1/experiments/{id}/restore", "experiment:delete", "Bring an experiment back from the trash", s.restoreExperimentHTTP)
	httpx.Delete(r, "/api/v1/logged-models/{id}", "run:delete", "Move a logged model to the trash", s.deleteModelHTTP)
}

type runIDsIn struct {
	Body struct {
		RunIDs []string `json:"run_ids" minItems:"1" maxItems:"1000"`
	}
}

// changed answers how many things a command took.
type changed struct {
	Changed int `json:"changed"`
}

func (s *Service) deleteRunsHTTP(ctx context.Context, in *runIDsIn) (*changed, error) {
	return eachRun(ctx, in.Body.RunIDs, s.DeleteRun)
}

func (s *Service) restoreRunsHTTP(ctx context.Context, in *runIDsIn) (*changed, error) {
	return eachRun(ctx, in.Body.RunIDs, s.RestoreRun)
}

// eachRun goes on over what fails and tells of all failures at once: doing it again with the same runs is harmless.
func eachRun(ctx context.Context, ids []string, do func(context.Context, string) error) (*changed, error) {
	out := &changed{}
	var first error
	var failed []errs.Field
	for i, id := range ids {
		if err := do(ctx, id); err != nil {
			if first == nil {
				first = err
			}
			failed = append(failed, errs.Field{Name: fmt.Sprintf("run_ids[%d]", i), Message: err.Error()})
			continue
		}
		out.Changed++
	}
	if first == nil {
		return out, nil
	}
	e := errs.E(errs.KindOf(first), "tracking.runs", fmt.Sprintf("%d of %d runs could not be changed, the others were", len(failed), len(ids)), nil)
	e.Fields = failed[:min(len(failed), 20)]
	return nil, e
}

func (s *Service) deleteExperimentHTTP(ctx context.Context, in *byID) (*httpx.None, error) {
	return nil, s.DeleteExperiment(ctx, in.ID)
}

func (s *Service) restoreExperimentHTTP(ctx context.Context, in *byID) (*httpx.None, error) {
	return nil, s.RestoreExperiment(ctx, in.ID)
}

func (s *Service) deleteModelHTTP(ctx context.Context, in *byID) (*httpx.None, error) {
	return nil, s.DeleteModel(ctx, in.ID)
}
