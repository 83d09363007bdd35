package tracking

import (
	"context"
	"errors"
	"net/http"

	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// exportRoutes are what tables of runs need besides a search.
func (s *Service) exportRoutes(r *httpx.Router) {
	r.Handle("POST", "/api/v1/runs/export", "run:read", s.exportHTTP(r))
	httpx.Post(r, "/api/v1/runs/varied", "run:read", "Which columns differ among the runs that a search finds", s.variedHTTP)
}

// maxExportBody bounds the description of an export, in bytes.
const maxExportBody = 4 << 20

// exportHTTP streams CSV with every run that fits; the body is that of a search, with columns or run_ids.
func (s *Service) exportHTTP(r *httpx.Router) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var in struct {
			ExperimentIDs []string `json:"experiment_ids"`
			Filter        string   `json:"filter"`
			OrderBy       []string `json:"order_by"`
			View          View     `json:"view"`
			RunIDs        []string `json:"run_ids"`
			Columns       []string `json:"columns"`
		}
		if err := httpx.ReadJSON(req, maxExportBody, &in); err != nil {
			r.Error(w, req, err)
			return
		}
		if err := s.export(w, req, ExportQuery(in)); err != nil {
			r.Error(w, req, err)
		}
	}
}

// export answers an error as long as nothing is on its way.
func (s *Service) export(w http.ResponseWriter, req *http.Request, q ExportQuery) error {
	ctx := req.Context()
	if len(q.RunIDs) == 0 {
		var err error
		if q.ExperimentIDs, err = s.orAll(ctx, q.ExperimentIDs); err != nil {
			return err
		}
	}
	e, err := s.prepareExport(ctx, q)
	if err != nil {
		return err
	}
	to := &csvAnswer{w: w}
	err = e.write(ctx, to)
	if err == nil || !to.begun {
		return err
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		s.d.Log.Warn("an export broke off", "error", err)
	}
	panic(http.ErrAbortHandler) // too late for an error: break the connection, so that nobody takes a part for the whole
}

// csvAnswer sends its headers with the first bytes.
type csvAnswer struct {
	w     http.ResponseWriter
	begun bool
}

func (a *csvAnswer) Write(b []byte) (int, error) {
	if !a.begun {
		a.begun = true
		h := a.w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="runs.csv"`)
		h.Set("Cache-Control", "no-store")
	}
	return a.w.Write(b)
}

type variedIn struct {
	Body struct {
		ExperimentIDs []string `json:"experiment_ids,omitempty" doc:"empty: all experiments"`
		Filter        string   `json:"filter,omitempty"`
		View          View     `json:"view,omitempty" enum:"active,deleted,all"`
		Columns       []string `json:"columns" minItems:"1" maxItems:"500" doc:"metrics.x, params.x, tags.x, attributes.x, datasets.x, and aggregates such as min(metrics.x)"`
	}
}

type variedView struct {
	Columns []string `json:"columns" doc:"those of the request in which two runs differ; having no value is a value of its own"`
	Runs    int      `json:"runs" doc:"how many the search finds"`
}

func (s *Service) variedHTTP(ctx context.Context, in *variedIn) (*variedView, error) {
	b := in.Body
	exps, err := s.orAll(ctx, b.ExperimentIDs)
	if err != nil {
		return nil, err
	}
	columns, runs, err := s.Varied(ctx, VariedQuery{ExperimentIDs: exps, Filter: b.Filter, View: b.View, Columns: b.Columns})
	if err != nil {
		return nil, err
	}
	return &variedView{columns, runs}, nil
}
