package tracking

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

func (s *Service) trashRoutes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/runs/delete", "run:delete", "Move runs to the trash, all or none", s.deleteRunsHTTP)
	httpx.Post(r, "/api/v1/runs/restore", "run:delete", "Bring runs back from the trash, all or none", s.restoreRunsHTTP)
	httpx.Post(r, "/api/v1/experiments/{id}/delete", "experiment:delete", "Move an experiment with its runs to the trash", s.deleteExperimentHTTP)
	httpx.Post(r, "/api/v1/experiments/{id}/restore", "experiment:delete", "Bring an experiment back from the trash", s.restoreExperimentHTTP)
	httpx.Delete(r, "/api/v1/logged-models/{id}", "run:delete", "Move a logged model to the trash", s.deleteModelHTTP)
}

type runIDsIn struct {
	Body struct {
		RunIDs []string `json:"run_ids" minItems:"1" maxItems:"1000"`
	}
}

// changed answers what a command on several runs did.
type changed struct {
	Changed   int      `json:"changed" doc:"how many runs were deleted, or restored"`
	Unchanged int      `json:"unchanged" doc:"how many others were so already"`
	RunIDs    []string `json:"run_ids" doc:"those that were changed, in the order of the request"`
}

func (s *Service) deleteRunsHTTP(ctx context.Context, in *runIDsIn) (*changed, error) {
	done, err := s.DeleteRuns(ctx, in.Body.RunIDs)
	return told(in.Body.RunIDs, done), err
}

func (s *Service) restoreRunsHTTP(ctx context.Context, in *runIDsIn) (*changed, error) {
	done, err := s.RestoreRuns(ctx, in.Body.RunIDs)
	return told(in.Body.RunIDs, done), err
}

func told(asked, done []string) *changed {
	return &changed{len(done), len(once(asked)) - len(done), append([]string{}, done...)}
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
