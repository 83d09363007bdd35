package transfer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// rest reads a server that speaks MLflow's REST.
type rest struct{ *caller }

// OpenServer reads an MLflow server.
func OpenServer(ctx context.Context, o Server) (Source, error) {
	c, err := newCaller(o)
	if err != nil {
		return nil, err
	}
	s := &rest{c}
	if err := s.checkWorkspace(ctx); err != nil {
		return nil, err
	}
	var answer struct{}
	if err := s.call(ctx, http.MethodPost, api+"experiments/search", nil, map[string]any{"max_results": 1}, &answer); err != nil {
		return nil, err
	}
	return s, nil
}

// checkWorkspace refuses a workspace that the server does not have. Servers older than workspaces take the header for nothing and would
// give or get what is everybody's.
func (s *rest) checkWorkspace(ctx context.Context) error {
	name := s.o.Workspace
	if name == "" || name == space.Default {
		return nil
	}
	var info struct {
		Enabled bool `json:"workspaces_enabled"`
	}
	err := s.call(ctx, http.MethodGet, "/api/3.0/mlflow/server-info", nil, nil, &info)
	if err != nil && !isMissing(err) {
		return err
	}
	if !info.Enabled {
		return errs.E(errs.Precondition, "transfer.open", s.base+" has no workspaces", err).
			WithHint("leave the workspace out, or start that server with --enable-workspaces (MLflow 3.10 and newer)")
	}
	err = s.call(ctx, http.MethodGet, "/api/3.0/mlflow/workspaces/"+url.PathEscape(name), nil, nil, nil)
	var r *remoteError
	if isMissing(err) {
		return errs.E(errs.NotFound, "transfer.open", "there is no workspace "+name+" at "+s.base, err).
			WithHint("make it there with mlflow.create_workspace(%q), or name another", name)
	}
	if errors.As(err, &r) && r.status < 500 {
		return errs.E(errs.Invalid, "transfer.open", s.base+" takes no workspace "+strconv.Quote(name), err).WithHint("expected a name such as team-a")
	}
	return err
}

const (
	api          = "/api/2.0/mlflow/"
	proxy        = "/api/2.0/mlflow-artifacts/artifacts/"
	runPage      = 200
	modelPage    = 50
	historyPage  = 25_000
	maxPages     = 1_000_000
	maxTreeDepth = 64
	maxTreeFiles = 1_000_000
)

var errEndless = errors.New("the server gives the same page again and again") //nolint:gochecknoglobals // a constant

// pages follows page tokens.
func pages(next func(token string) (string, error)) error {
	token := ""
	for range maxPages {
		t, err := next(token)
		if err != nil || t == "" {
			return err
		}
		if t == token {
			return errEndless
		}
		token = t
	}
	return errEndless
}

func (s *rest) Experiments(ctx context.Context) ([]Experiment, error) {
	var out []Experiment
	err := pages(func(token string) (string, error) {
		var a struct {
			Experiments []wireExperiment `json:"experiments"`
			Next        string           `json:"next_page_token"`
		}
		err := s.call(ctx, http.MethodPost, api+"experiments/search", nil, map[string]any{"max_results": 1000, "view_type": "ALL", "page_token": token}, &a)
		for _, e := range a.Experiments {
			out = append(out, e.plain())
		}
		return a.Next, err
	})
	return out, err
}

func (s *rest) Runs(ctx context.Context, e Experiment, page func([]Run) error) error {
	return pages(func(token string) (string, error) {
		var a struct {
			Runs []wireRun `json:"runs"`
			Next string    `json:"next_page_token"`
		}
		err := s.call(ctx, http.MethodPost, api+"runs/search", nil, map[string]any{"experiment_ids": []string{e.ID}, "run_view_type": "ALL", "max_results": runPage,
			"order_by": []string{"attributes.start_time ASC"}, "page_token": token}, &a)
		if err != nil || len(a.Runs) == 0 {
			return "", err
		}
		runs := make([]Run, len(a.Runs))
		for i, r := range a.Runs {
			runs[i] = r.plain()
		}
		return a.Next, page(runs)
	})
}

// Run reads one run.
func (s *rest) Run(ctx context.Context, id string) (Run, error) {
	var a struct {
		Run wireRun `json:"run"`
	}
	err := s.call(ctx, http.MethodGet, api+"runs/get", url.Values{"run_id": {id}}, nil, &a)
	return a.Run.plain(), err
}

func (s *rest) History(ctx context.Context, r Run, key string, part func([]Point) error) error {
	return pages(func(token string) (string, error) {
		var a struct {
			Metrics []wireMetric `json:"metrics"`
			Next    string       `json:"next_page_token"`
		}
		q := url.Values{"run_id": {r.ID}, "metric_key": {key}, "max_results": {"25000"}}
		if token != "" {
			q.Set("page_token", token)
		}
		if err := s.call(ctx, http.MethodGet, api+"metrics/get-history", q, nil, &a); err != nil {
			return "", err
		}
		points := make([]Point, len(a.Metrics))
		for i, m := range a.Metrics {
			points[i] = m.point()
		}
		return a.Next, part(points)
	})
}

func (s *rest) LoggedModels(ctx context.Context, e Experiment, page func([]LoggedModel) error) error {
	return pages(func(token string) (string, error) {
		var a struct {
			Models []wireLoggedModel `json:"models"`
			Next   string            `json:"next_page_token"`
		}
		err := s.call(ctx, http.MethodPost, api+"logged-models/search", nil, map[string]any{"experiment_ids": []string{e.ID}, "max_results": modelPage, "page_token": token}, &a)
		if isMissing(err) && token == "" { // before MLflow 3
			return "", nil
		}
		if err != nil || len(a.Models) == 0 {
			return "", err
		}
		models := make([]LoggedModel, len(a.Models))
		for i, m := range a.Models {
			models[i] = m.plain()
		}
		return a.Next, page(models)
	})
}

// Model reads one logged model.
func (s *rest) Model(ctx context.Context, id string) (LoggedModel, error) {
	var a struct {
		Model wireLoggedModel `json:"model"`
	}
	err := s.call(ctx, http.MethodGet, api+"logged-models/"+url.PathEscape(id), nil, nil, &a)
	return a.Model.plain(), err
}

func (s *rest) RegisteredModels(ctx context.Context) ([]RegisteredModel, error) {
	var out []RegisteredModel
	seen := map[string]bool{}
	for _, filter := range []string{"", promptFilter} { // a plain search leaves prompts out
		err := s.registered(ctx, filter, func(m RegisteredModel) error {
			if seen[m.Name] {
				return nil
			}
			seen[m.Name] = true
			var err error
			m.Versions, err = s.versions(ctx, m)
			out = append(out, m)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

const promptFilter = "tags.`" + isPrompt + "` = 'true'"

func (s *rest) registered(ctx context.Context, filter string, each func(RegisteredModel) error) error {
	return pages(func(token string) (string, error) {
		var a struct {
			Models []wireRegistered `json:"registered_models"`
			Next   string           `json:"next_page_token"`
		}
		q := url.Values{"max_results": {"100"}}
		if filter != "" {
			q.Set("filter", filter)
		}
		if token != "" {
			q.Set("page_token", token)
		}
		if err := s.call(ctx, http.MethodGet, api+"registered-models/search", q, nil, &a); err != nil {
			return "", err
		}
		for _, m := range a.Models {
			if err := each(m.plain()); err != nil {
				return "", err
			}
		}
		return a.Next, nil
	})
}

func (s *rest) versions(ctx context.Context, m RegisteredModel) ([]Version, error) {
	quote := "'"
	if strings.Contains(m.Name, "'") {
		quote = `"`
	}
	filter := "name = " + quote + m.Name + quote
	if m.Prompt() {
		filter += " AND " + promptFilter
	}
	var out []Version
	err := pages(func(token string) (string, error) {
		var a struct {
			Versions []wireVersion `json:"model_versions"`
			Next     string        `json:"next_page_token"`
		}
		q := url.Values{"max_results": {"1000"}, "filter": {filter}}
		if token != "" {
			q.Set("page_token", token)
		}
		err := s.call(ctx, http.MethodGet, api+"model-versions/search", q, nil, &a)
		for _, v := range a.Versions {
			out = append(out, v.plain())
		}
		return a.Next, err
	})
	slices.SortFunc(out, byNumber)
	return out, err
}

func byNumber(a, b Version) int { return compareNumbers(a.Version, b.Version) }

// compareNumbers orders decimal numbers without leading zeros.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func (s *rest) Files(_ context.Context, o Owner) (Tree, error) { return &restTree{s, o}, nil }

// restTree are the files of a run or logged model behind a server.
type restTree struct {
	s *rest
	o Owner
}

func (t *restTree) List(ctx context.Context) ([]File, error) {
	return walk(ctx, func(ctx context.Context, dir string) ([]entry, error) {
		p, q := api+"artifacts/list", url.Values{"run_id": {t.o.ID}}
		key := "path"
		if t.o.Kind == KindModel {
			p, q, key = api+"logged-models/"+url.PathEscape(t.o.ID)+"/artifacts/directories", url.Values{}, "artifact_directory_path"
		}
		if dir != "" {
			q.Set(key, dir)
		}
		var all []entry
		err := pages(func(token string) (string, error) {
			var a struct {
				Files []entry `json:"files"`
				Next  string  `json:"next_page_token"`
			}
			if token != "" {
				q.Set("page_token", token)
			}
			err := t.s.call(ctx, http.MethodGet, p, q, nil, &a)
			all = append(all, a.Files...)
			return a.Next, err
		})
		return all, err
	})
}

// entry is one name in a folder, its path from the root.
type entry struct {
	Path   string  `json:"path"`
	Dir    bool    `json:"is_dir"`
	Size   integer `json:"file_size"`
	Digest string  `json:"-"`
	// refused says why the entry is not read.
	refused string
}

// walk lists a tree folder by folder. Names that would lead out of it are refused, one by one.
func walk(ctx context.Context, list func(ctx context.Context, dir string) ([]entry, error)) ([]File, error) {
	var out []File
	type level struct {
		dir   string
		depth int
	}
	for todo := []level{{"", 0}}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if at.depth > maxTreeDepth {
			return nil, errs.Invalidf("transfer.files", "the folders are nested deeper than %d", maxTreeDepth)
		}
		entries, err := list(ctx, at.dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			p, err := blob.CleanPath(e.Path)
			switch {
			case e.refused != "":
			case err != nil:
				e.refused = err.Error()
			case p == "" || p != e.Path || path.Dir(p) != path.Clean("./"+at.dir):
				e.refused = "the store lists it in another folder than its own"
			case e.Dir:
				todo = append(todo, level{p, at.depth + 1})
				continue
			}
			if out = append(out, File{Path: e.Path, Size: int64(e.Size), Digest: e.Digest, Refused: e.refused}); len(out) > maxTreeFiles {
				return nil, errs.Invalidf("transfer.files", "there are more than %d files", maxTreeFiles)
			}
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func (t *restTree) Open(ctx context.Context, p string) (io.ReadCloser, error) {
	var resp *http.Response
	var err error
	for try := range attempts {
		if err = pause(ctx, try); err != nil {
			return nil, err
		}
		if resp, err = t.get(ctx, p); err == nil {
			return resp.Body, nil
		}
		if !transient(err) {
			return nil, err
		}
	}
	return nil, err
}

// get asks the proxy for what lies behind it, and the server itself for what lies elsewhere.
func (t *restTree) get(ctx context.Context, p string) (*http.Response, error) {
	if root, ok := proxied(t.o.URI); ok {
		return t.s.do(ctx, http.MethodGet, proxy+escape(path.Join(root, p)), nil, nil, -1)
	}
	if t.o.Kind == KindModel {
		return t.s.do(ctx, http.MethodGet, "/ajax-api/2.0/mlflow/logged-models/"+url.PathEscape(t.o.ID)+"/artifacts/files", url.Values{"artifact_file_path": {p}}, nil, -1)
	}
	return t.s.do(ctx, http.MethodGet, "/get-artifact", url.Values{"run_id": {t.o.ID}, "path": {p}}, nil, -1)
}

// proxied gives the path below the artifact proxy that a URI means: mlflow-artifacts:/1/... or mlflow-artifacts://host/1/...
func proxied(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, "mlflow-artifacts:")
	if !ok {
		return "", false
	}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		_, rest, _ = strings.Cut(authority, "/")
	}
	return strings.Trim(rest, "/"), true
}

// escape keeps slashes between escaped segments.
func escape(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
