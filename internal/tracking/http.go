package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Routes registers the native API.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Get(r, "/api/v1/experiments", "experiment:read", "List experiments", s.listExperimentsHTTP)
	httpx.Create(r, "/api/v1/experiments", "experiment:write", "Create an experiment", s.createExperimentHTTP)
	httpx.Get(r, "/api/v1/experiments/{id}", "experiment:read", "One experiment", s.getExperimentHTTP)
	s.searchRoutes(r)
	s.exportRoutes(r)
	httpx.Get(r, "/api/v1/runs/{id}", "run:read", "One run with everything that was logged to it", s.getRunHTTP)
	httpx.Get(r, "/api/v1/runs/{id}/metric-history", "run:read", "The points of one metric, thinned for a chart", s.historyHTTP)
	httpx.Get(r, "/api/v1/runs/{id}/files", "run:read", "List one folder of a run's files", s.listRunFilesHTTP)
	httpx.Get(r, "/api/v1/logged-models/{id}", "run:read", "One logged model", s.getModelHTTP)
	httpx.Get(r, "/api/v1/logged-models/{id}/files", "run:read", "List one folder of a logged model's files", s.listModelFilesHTTP)
	s.noteRoutes(r)
	s.trashRoutes(r)
	s.importRoutes(r)
	r.Handle("GET", "/api/v1/runs/{id}/files/content", "run:read", s.contentHTTP(r, RunRoot, s.HasRun))
	r.Handle("GET", "/api/v1/logged-models/{id}/files/content", "run:read", s.contentHTTP(r, ModelRoot, s.HasModel))
}

// ExperimentView is an experiment in the native API.
type ExperimentView struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Workspace string            `json:"workspace" doc:"names are unique within it"`
	Lifecycle Lifecycle         `json:"lifecycle"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	Tags      map[string]string `json:"tags"`
	RunsCount int64             `json:"runs_count" doc:"active runs"`
	Running   int64             `json:"runs_running" doc:"those of them that run now"`
	LastRunAt *time.Time        `json:"last_run_at,omitempty"`

	Description string       `json:"description,omitempty" doc:"Markdown"`
	Hypothesis  string       `json:"hypothesis,omitempty"`
	Criteria    string       `json:"success_criteria,omitempty"`
	Verdict     *VerdictView `json:"verdict,omitempty"`

	Best map[string]string `json:"best,omitempty" doc:"by metric: min or max, what was declared to be the better end; the name of the others tells"`
}

func tagMap(tags []Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}

func (s *Service) viewExperiments(ctx context.Context, in []Experiment) ([]ExperimentView, error) {
	out := make([]ExperimentView, len(in))
	running, err := s.st.runningByExperiment(ctx)
	if err != nil {
		return nil, err
	}
	for i, e := range in {
		out[i] = ExperimentView{ID: e.ID, Running: running[e.num], Name: e.Name, Workspace: e.Workspace, Lifecycle: e.Lifecycle, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, Tags: tagMap(e.Tags),
			Description: tagValue(e.Tags, TagNote), Hypothesis: tagValue(e.Tags, TagHypothesis), Criteria: tagValue(e.Tags, TagCriteria), Verdict: viewVerdict(e.Verdict()), Best: declaredBest(e.Tags)}
		n, last, err := s.st.runStats(ctx, e.num)
		if err != nil {
			return nil, err
		}
		out[i].RunsCount = n
		if !last.IsZero() {
			out[i].LastRunAt = &last
		}
	}
	return out, nil
}

type listExperimentsIn struct {
	Filter    string `query:"filter" doc:"for example name LIKE 'bike%'"`
	View      View   `query:"view" enum:"active,deleted,all" default:"active"`
	Workspace string `query:"workspace" doc:"the only workspace to look in; all of them without it"`
	PageSize  int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token"`
}

type experimentList struct {
	Items []ExperimentView `json:"items"`
	Next  string           `json:"next_page_token,omitempty"`
}

func (s *Service) listExperimentsHTTP(ctx context.Context, in *listExperimentsIn) (*experimentList, error) {
	es, next, err := s.SearchExperiments(ctx, Query{Filter: in.Filter, View: in.View, Workspace: in.Workspace, Limit: page.Limit(in.PageSize, 100, 1000), PageToken: in.PageToken})
	if err != nil {
		return nil, err
	}
	items, err := s.viewExperiments(ctx, es)
	return &experimentList{items, next}, err
}

type createExperimentIn struct {
	Body struct {
		Name      string            `json:"name"`
		Workspace string            `json:"workspace,omitempty" doc:"the default one without it"`
		Tags      map[string]string `json:"tags,omitempty"`
	}
}

func (s *Service) createExperimentHTTP(ctx context.Context, in *createExperimentIn) (*ExperimentView, error) {
	n := NewExperiment{Workspace: in.Body.Workspace, Name: in.Body.Name}
	for _, k := range slices.Sorted(maps.Keys(in.Body.Tags)) {
		n.Tags = append(n.Tags, Tag{k, in.Body.Tags[k]})
	}
	eid, err := s.CreateExperiment(ctx, n)
	if err != nil {
		return nil, err
	}
	return s.getExperimentHTTP(ctx, &byID{eid})
}

type byID struct {
	ID string `path:"id"`
}

func (s *Service) getExperimentHTTP(ctx context.Context, in *byID) (*ExperimentView, error) {
	e, err := s.Experiment(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.viewExperiments(ctx, []Experiment{e})
	if err != nil {
		return nil, err
	}
	return &v[0], nil
}

// Number is a float64 in JSON; NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity".
type Number float64

// MarshalJSON writes a number or one of the three strings.
func (n Number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
}

// RunView is a run in the native API.
type RunView struct {
	ID           string            `json:"id"`
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	Status       Status            `json:"status"`
	Lifecycle    Lifecycle         `json:"lifecycle"`
	StartTime    time.Time         `json:"start_time"`
	EndTime      *time.Time        `json:"end_time,omitempty"`
	Duration     *float64          `json:"duration_s,omitempty"`
	Metrics      map[string]Number `json:"metrics"`
	Params       map[string]string `json:"params"`
	Tags         map[string]string `json:"tags"`
	Inputs       []InputView       `json:"inputs"`
	Models       []ModelRefView    `json:"models"`
	ArtifactURI  string            `json:"artifact_uri"`
	User         string            `json:"user"`
	Source       string            `json:"source"`
	ParentID     string            `json:"parent_id,omitempty"`
	Commit       string            `json:"commit,omitempty"`
	Description  string            `json:"description,omitempty" doc:"the note, as Markdown"`
}

// InputView is data that a run used.
type InputView struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	Context    string `json:"context"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
}

// ModelRefView is a logged model that a run made.
type ModelRefView struct {
	ModelID string `json:"model_id"`
	Name    string `json:"name"`
}

func (s *Service) viewRuns(ctx context.Context, runs []Run) ([]RunView, error) {
	var ids []string
	for _, r := range runs {
		for _, m := range r.ModelOutputs {
			ids = append(ids, m.ModelID)
		}
	}
	names, err := s.modelNames(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]RunView, len(runs))
	for i, r := range runs {
		out[i] = viewRun(r, names)
	}
	return out, nil
}

func viewRun(r Run, names map[string]string) RunView {
	v := RunView{ID: r.ID, ExperimentID: r.ExperimentID, Name: r.Name, Status: r.Status, Lifecycle: r.Lifecycle, StartTime: r.StartTime,
		Metrics: make(map[string]Number, len(r.Metrics)), Params: make(map[string]string, len(r.Params)), Tags: tagMap(r.Tags),
		Inputs: []InputView{}, Models: []ModelRefView{}, ArtifactURI: r.ArtifactURI(), User: r.User,
		Source: r.Tag(TagSourceName), ParentID: r.Tag(TagParentRun), Commit: r.Tag(TagCommit), Description: r.Tag(TagNote)}
	if !r.EndTime.IsZero() {
		d := r.EndTime.Sub(r.StartTime).Seconds()
		v.EndTime, v.Duration = &r.EndTime, &d
	}
	if v.User == "" {
		v.User = r.Tag(TagUser)
	}
	for _, m := range r.Metrics {
		v.Metrics[m.Key] = Number(m.Value)
	}
	for _, p := range r.Params {
		v.Params[p.Key] = p.Value
	}
	for _, in := range r.Inputs {
		v.Inputs = append(v.Inputs, InputView{in.Name, in.Digest, in.Context, in.SourceType, in.Source, in.Schema})
	}
	for _, m := range r.ModelOutputs {
		v.Models = append(v.Models, ModelRefView{m.ModelID, names[m.ModelID]})
	}
	return v
}

func sortedKeys(m map[string]bool) []string {
	out := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(out)
	return out
}

func (s *Service) getRunHTTP(ctx context.Context, in *byID) (*RunView, error) {
	r, err := s.Run(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.viewRuns(ctx, []Run{r})
	if err != nil {
		return nil, err
	}
	return &v[0], nil
}

type historyIn struct {
	ID        string `path:"id"`
	Key       string `query:"key" required:"true"`
	MaxPoints int    `query:"max_points" minimum:"2" maximum:"100000" default:"1000"`
}

// PointView is a point of a metric in the native API.
type PointView struct {
	Step  int64     `json:"step"`
	Time  time.Time `json:"time"`
	Value Number    `json:"value"`
}

type historyView struct {
	Key    string      `json:"key"`
	Points []PointView `json:"points"`
}

func (s *Service) historyHTTP(ctx context.Context, in *historyIn) (*historyView, error) {
	points, err := s.Chart(ctx, in.ID, in.Key, in.MaxPoints)
	if err != nil {
		return nil, err
	}
	out := &historyView{in.Key, make([]PointView, len(points))}
	for i, p := range points {
		out.Points[i] = PointView{p.Step, time.UnixMilli(p.Time).UTC(), Number(p.Value)}
	}
	return out, nil
}

type filesIn struct {
	ID   string `path:"id"`
	Path string `query:"path"`
}

type fileList struct {
	Items []blob.File `json:"items"`
}

func (s *Service) listRunFilesHTTP(ctx context.Context, in *filesIn) (*fileList, error) {
	if _, err := s.HasRun(ctx, in.ID); err != nil {
		return nil, err
	}
	files, err := s.d.Files.List(ctx, RunRoot(in.ID), in.Path)
	return &fileList{files}, err
}

func (s *Service) listModelFilesHTTP(ctx context.Context, in *filesIn) (*fileList, error) {
	if _, err := s.HasModel(ctx, in.ID); err != nil {
		return nil, err
	}
	files, err := s.d.Files.List(ctx, ModelRoot(in.ID), in.Path)
	return &fileList{files}, err
}

// ModelView is a logged model in the native API.
type ModelView struct {
	ID           string            `json:"id"`
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	Type         string            `json:"type,omitempty"`
	Status       ModelStatus       `json:"status"`
	RunID        string            `json:"run_id,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	Metrics      map[string]Number `json:"metrics"`
	Params       map[string]string `json:"params"`
	Tags         map[string]string `json:"tags"`
	ArtifactURI  string            `json:"artifact_uri"`
}

func (s *Service) getModelHTTP(ctx context.Context, in *byID) (*ModelView, error) {
	m, err := s.Model(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v := viewModel(m)
	return &v, nil
}

func viewModel(m LoggedModel) ModelView {
	v := ModelView{ID: m.ID, ExperimentID: m.ExperimentID, Name: m.Name, Type: m.Type, Status: m.Status, RunID: m.RunID, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
		Metrics: map[string]Number{}, Params: map[string]string{}, Tags: tagMap(m.Tags), ArtifactURI: m.ArtifactURI()}
	for _, x := range m.Metrics {
		v.Metrics[x.Key] = Number(x.Value)
	}
	for _, p := range m.Params {
		v.Params[p.Key] = p.Value
	}
	return v
}

// contentHTTP streams a file as an attachment in a sandbox: what users upload is never shown as a page of this server.
func (s *Service) contentHTTP(r *httpx.Router, root func(string) string, has func(context.Context, string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		id := req.PathValue("id")
		if _, err := has(req.Context(), id); err != nil {
			r.Error(w, req, err)
			return
		}
		f, file, err := s.d.Files.Open(req.Context(), root(id), req.URL.Query().Get("path"))
		if err != nil {
			r.Error(w, req, err)
			return
		}
		defer func() { _ = f.Close() }()
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		if t := mime.TypeByExtension(path.Ext(file.Path)); t != "" {
			h.Set("Content-Type", t)
		}
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file.Path)}))
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		h.Set("Content-Length", strconv.FormatInt(file.Size, 10))
		if _, err := io.Copy(w, f); err != nil { // too late for an error: break the connection, so that nobody takes a part for the whole
			if errs.Is(err, errs.Internal) && !errors.Is(req.Context().Err(), context.Canceled) {
				s.d.Log.Warn("a download broke off", "error", err)
			}
			panic(http.ErrAbortHandler)
		}
	}
}
