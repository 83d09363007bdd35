package tracking

import (
	"context"
	"net/http"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// importWrite is the action of bringing in what another store holds, under its own ids and times.
const importWrite = httpx.Action("import:write")

// importRoutes registers what `modelyard import` calls, and moving and merging.
func (s *Service) importRoutes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/import/experiments", importWrite, "Find or make the experiment that imported runs go into", s.importExperimentHTTP)
	r.Handle(http.MethodPost, "/api/v1/import/runs", importWrite, s.importRunHTTP(r)) // histories outgrow the bodies of typed routes
	r.Handle(http.MethodPost, "/api/v1/import/logged-models", importWrite, s.importModelHTTP(r))
	httpx.Post(r, "/api/v1/import/state", importWrite, "What an import has finished already", s.importStateHTTP)
	httpx.Post(r, "/api/v1/import/finish", importWrite, "Note that runs or logged models were imported whole", s.finishImportHTTP)
	httpx.Post(r, "/api/v1/import/files", importWrite, "Name files whose contents are here already", s.linkFilesHTTP)
	httpx.Post(r, "/api/v1/runs/move", "run:write", "Move runs into another experiment", s.moveRunsHTTP)
	httpx.Post(r, "/api/v1/experiments/{id}/merge", "experiment:write", "Move everything of an experiment into another and delete it", s.mergeHTTP)
}

type importReply struct {
	ID            string        `json:"id"`
	ImportOutcome ImportOutcome `json:"outcome" enum:"created,updated,unchanged"`
}

func (s *Service) importExperimentHTTP(ctx context.Context, in *struct{ Body ImportedExperiment }) (*importReply, error) {
	id, out, err := s.ImportExperiment(ctx, in.Body)
	return &importReply{id, out}, err
}

func (s *Service) importRunHTTP(r *httpx.Router) http.HandlerFunc {
	return importHTTP(r, func(ctx context.Context, in ImportedRun) (importReply, error) {
		out, err := s.ImportRun(ctx, in)
		return importReply{in.ID, out}, err
	})
}

func (s *Service) importModelHTTP(r *httpx.Router) http.HandlerFunc {
	return importHTTP(r, func(ctx context.Context, in ImportedModel) (importReply, error) {
		out, err := s.ImportModel(ctx, in)
		return importReply{in.ID, out}, err
	})
}

func importHTTP[T any](r *httpx.Router, do func(context.Context, T) (importReply, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var in T
		err := httpx.ReadJSON(req, maxImportBody, &in)
		var out importReply
		if err == nil {
			out, err = do(req.Context(), in)
		}
		if err != nil {
			r.Error(w, req, err)
			return
		}
		httpx.WriteJSON(w, http.StatusOK, out)
	}
}

type importStateIn struct {
	Body struct {
		Kind string   `json:"kind" enum:"run,logged_model"`
		IDs  []string `json:"ids" maxItems:"1000"`
	}
}

type importStateOut struct {
	Marks map[string]string `json:"marks"`
}

func (s *Service) importStateHTTP(ctx context.Context, in *importStateIn) (*importStateOut, error) {
	marks, err := s.ImportState(ctx, in.Body.Kind, in.Body.IDs)
	return &importStateOut{marks}, err
}

type finishImportIn struct {
	Body struct {
		Kind  string            `json:"kind" enum:"run,logged_model"`
		Marks map[string]string `json:"marks"`
	}
}

func (s *Service) finishImportHTTP(ctx context.Context, in *finishImportIn) (*httpx.None, error) {
	return nil, s.FinishImport(ctx, in.Body.Kind, in.Body.Marks)
}

type linkFilesIn struct {
	Body struct {
		Kind  string `json:"kind" enum:"run,logged_model"`
		ID    string `json:"id"`
		Files []struct {
			Path   string      `json:"path"`
			Size   int64       `json:"size"`
			Digest blob.Digest `json:"digest"`
		} `json:"files" maxItems:"1000"`
	}
}

type linkFilesOut struct {
	Missing []string `json:"missing" doc:"paths whose contents must be sent"`
}

func (s *Service) linkFilesHTTP(ctx context.Context, in *linkFilesIn) (*linkFilesOut, error) {
	files := make([]blob.File, len(in.Body.Files))
	for i, f := range in.Body.Files {
		files[i] = blob.File{Path: f.Path, Size: f.Size, Digest: f.Digest}
	}
	missing, err := s.LinkFiles(ctx, in.Body.Kind, in.Body.ID, files)
	if missing == nil {
		missing = []string{}
	}
	return &linkFilesOut{missing}, err
}

type moveRunsIn struct {
	Body struct {
		RunIDs       []string `json:"run_ids" minItems:"1" maxItems:"1000"`
		ExperimentID string   `json:"experiment_id"`
		Children     bool     `json:"children,omitempty" doc:"also the runs nested in them, at any depth"`
	}
}

func (s *Service) moveRunsHTTP(ctx context.Context, in *moveRunsIn) (*Moved, error) {
	out, err := s.MoveRuns(ctx, in.Body.RunIDs, in.Body.ExperimentID, in.Body.Children)
	return &out, err
}

type mergeIn struct {
	ID   string `path:"id"`
	Body struct {
		Into string `json:"into" doc:"id of the experiment that takes everything"`
	}
}

func (s *Service) mergeHTTP(ctx context.Context, in *mergeIn) (*Merged, error) {
	out, err := s.MergeExperiment(ctx, in.ID, in.Body.Into)
	return &out, err
}
