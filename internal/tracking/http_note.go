package tracking

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/httpx"
	tables "github.com/modelyard/modelyard/internal/table" // table is a type of this package
)

// noteRoutes are what people write: texts of experiments and runs, verdicts, saved views; and previews of files.
func (s *Service) noteRoutes(r *httpx.Router) {
	httpx.Patch(r, "/api/v1/experiments/{id}", "experiment:write", "Change the name, description, hypothesis, success criteria or verdict of an experiment, or what is best of its metrics", s.editExperimentHTTP)
	httpx.Get(r, "/api/v1/experiments/{id}/views", "experiment:read", "Saved views of an experiment's runs", s.listViewsHTTP)
	httpx.Create(r, "/api/v1/experiments/{id}/views", "experiment:write", "Save a view of an experiment's runs", s.saveViewHTTP)
	httpx.Patch(r, "/api/v1/experiments/{id}/views/{view}", "experiment:write", "Rename a view or give it another query", s.editViewHTTP)
	httpx.Delete(r, "/api/v1/experiments/{id}/views/{view}", "experiment:write", "Forget a view", s.deleteViewHTTP)
	httpx.Patch(r, "/api/v1/runs/{id}", "run:write", "Change the name or the note of a run", s.editRunHTTP)
	httpx.Post(r, "/api/v1/runs/tags", "run:write", "Set and remove tags of several runs at once", s.tagRunsHTTP)
	httpx.Post(r, "/api/v1/logged-models/search", "run:read", "Search the logged models of experiments", s.searchModelsHTTP)
	httpx.Get(r, "/api/v1/runs/{id}/files/preview", "run:read", "The beginning of a run's file: rows of CSV and Parquet, text of others", s.previewHTTP)
}

// VerdictView is how a hypothesis came out.
type VerdictView struct {
	Outcome Outcome    `json:"outcome" doc:"supported, refuted or inconclusive"`
	Summary string     `json:"summary,omitempty"`
	By      string     `json:"by,omitempty"`
	At      *time.Time `json:"at,omitempty"`
}

func viewVerdict(v *Verdict) *VerdictView {
	if v == nil {
		return nil
	}
	out := &VerdictView{Outcome: v.Outcome, Summary: v.Summary, By: v.By}
	if !v.At.IsZero() {
		out.At = &v.At
	}
	return out
}

type editExperimentIn struct {
	ID   string `path:"id"`
	Body struct {
		Name        *string `json:"name,omitempty"`
		Description *string `json:"description,omitempty" doc:"Markdown; MLflow's mlflow.note.content. An empty text clears it, as with the next two"`
		Hypothesis  *string `json:"hypothesis,omitempty" doc:"what the runs are to show"`
		Criteria    *string `json:"success_criteria,omitempty" doc:"what would show it"`
		Verdict     *struct {
			Outcome Outcome `json:"outcome" enum:"supported,refuted,inconclusive,open" doc:"open takes the verdict back"`
			Summary string  `json:"summary,omitempty" doc:"what was learned"`
		} `json:"verdict,omitempty"`
		Best map[string]string `json:"best,omitempty" maxProperties:"100" doc:"by metric: min or max is the better end of it, an empty text leaves it to the name"`
	}
}

func (s *Service) editExperimentHTTP(ctx context.Context, in *editExperimentIn) (*ExperimentView, error) {
	b := in.Body
	ed := ExperimentEdit{Name: b.Name, Description: b.Description, Hypothesis: b.Hypothesis, Criteria: b.Criteria, Best: b.Best}
	if b.Verdict != nil {
		ed.Verdict = &VerdictEdit{b.Verdict.Outcome, b.Verdict.Summary}
	}
	if _, err := s.EditExperiment(ctx, in.ID, ed); err != nil {
		return nil, err
	}
	return s.getExperimentHTTP(ctx, &byID{in.ID})
}

type editRunIn struct {
	ID   string `path:"id"`
	Body struct {
		Name        *string `json:"name,omitempty"`
		Description *string `json:"description,omitempty" doc:"the note, as Markdown; MLflow's mlflow.note.content. An empty text clears it"`
	}
}

func (s *Service) editRunHTTP(ctx context.Context, in *editRunIn) (*RunView, error) {
	if _, err := s.EditRun(ctx, in.ID, RunEdit{in.Body.Name, in.Body.Description}); err != nil {
		return nil, err
	}
	return s.getRunHTTP(ctx, &byID{in.ID})
}

type tagRunsIn struct {
	Body struct {
		RunIDs []string          `json:"run_ids" doc:"at most 1000"`
		Set    map[string]string `json:"set,omitempty"`
		Remove []string          `json:"remove,omitempty" doc:"keys"`
	}
}

func (s *Service) tagRunsHTTP(ctx context.Context, in *tagRunsIn) (*httpx.None, error) {
	g := RunTagging{RunIDs: in.Body.RunIDs, Remove: in.Body.Remove}
	for _, k := range slices.Sorted(maps.Keys(in.Body.Set)) {
		g.Set = append(g.Set, Tag{k, in.Body.Set[k]})
	}
	return &httpx.None{}, s.TagRuns(ctx, g)
}

// SavedViewView is a saved view in the native API.
type SavedViewView struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Query     map[string]any `json:"query" doc:"as it was saved"`
	By        string         `json:"by,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

func viewView(v SavedView) SavedViewView {
	out := SavedViewView{ID: v.ID, Name: v.Name, Query: map[string]any{}, By: v.By, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt}
	_ = json.Unmarshal(v.Query, &out.Query) // checked when it was saved
	return out
}

type viewList struct {
	Items []SavedViewView `json:"items"`
}

func (s *Service) listViewsHTTP(ctx context.Context, in *byID) (*viewList, error) {
	views, err := s.Views(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &viewList{Items: make([]SavedViewView, len(views))}
	for i, v := range views {
		out.Items[i] = viewView(v)
	}
	return out, nil
}

type saveViewIn struct {
	ID   string `path:"id"`
	Body struct {
		Name  string         `json:"name"`
		Query map[string]any `json:"query,omitempty" doc:"filter, order, columns and whatever else the page keeps"`
	}
}

func (s *Service) saveViewHTTP(ctx context.Context, in *saveViewIn) (*SavedViewView, error) {
	query, err := queryText(in.Body.Query)
	if err != nil {
		return nil, err
	}
	v, err := s.SaveView(ctx, in.ID, in.Body.Name, query)
	if err != nil {
		return nil, err
	}
	out := viewView(v)
	return &out, nil
}

// queryText keeps nil as nil: a change that leaves the query as it is.
func queryText(query map[string]any) (json.RawMessage, error) {
	if query == nil {
		return nil, nil
	}
	return json.Marshal(query)
}

type viewIn struct {
	ID   string `path:"id"`
	View string `path:"view"`
}

type editViewIn struct {
	viewIn
	Body struct {
		Name  *string        `json:"name,omitempty"`
		Query map[string]any `json:"query,omitempty"`
	}
}

func (s *Service) editViewHTTP(ctx context.Context, in *editViewIn) (*SavedViewView, error) {
	query, err := queryText(in.Body.Query)
	if err != nil {
		return nil, err
	}
	v, err := s.EditView(ctx, in.ID, in.View, ViewEdit{in.Body.Name, query})
	if err != nil {
		return nil, err
	}
	out := viewView(v)
	return &out, nil
}

func (s *Service) deleteViewHTTP(ctx context.Context, in *viewIn) (*httpx.None, error) {
	return &httpx.None{}, s.DeleteView(ctx, in.ID, in.View)
}

type previewIn struct {
	ID   string `path:"id"`
	Path string `query:"path" required:"true"`
	Rows int    `query:"rows" minimum:"1" maximum:"1000" default:"200"`
}

func (s *Service) previewHTTP(ctx context.Context, in *previewIn) (*tables.FilePreview, error) {
	return s.Preview(ctx, in.ID, in.Path, in.Rows)
}

// Preview shows the beginning of a run's file as rows, text, or not at all. Kinds: NotFound, Invalid for a path that is none.
func (s *Service) Preview(ctx context.Context, runID, p string, rows int) (*tables.FilePreview, error) {
	if _, err := s.HasRun(ctx, runID); err != nil {
		return nil, err
	}
	f, file, err := s.d.Files.Open(ctx, RunRoot(runID), p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return tables.Preview(ctx, f, file.Path, file.Size, rows)
}
