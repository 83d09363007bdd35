package registry

import (
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/table"
)

type handlers struct{ s *Service }

// Routes registers the native API of models and versions.
func (s *Service) Routes(r *httpx.Router) {
	h := handlers{s}
	const models, model, versions, version = "/api/v1/models", "/api/v1/models/{name}", "/api/v1/models/{name}/versions", "/api/v1/models/{name}/versions/{version}"
	httpx.Get(r, models, "model:read", "List registered models", h.listModels)
	httpx.Create(r, models, "model:write", "Register a model", h.createModel)
	httpx.Get(r, model, "model:read", "One registered model", h.getModel)
	httpx.Patch(r, model, "model:write", "Change the name, description or tags of a model", h.patchModel)
	httpx.Delete(r, model, "model:delete", "Delete a model with its versions", h.deleteModel)
	httpx.Get(r, model+"/history", "model:read", "What happened to a model, newest first", h.history)
	httpx.Put(r, model+"/aliases/{alias}", "model:promote", "Point an alias at a version", h.putAlias)
	httpx.Delete(r, model+"/aliases/{alias}", "model:promote", "Remove an alias", h.deleteAlias)
	httpx.Get(r, versions, "model:read", "List the versions of a model, newest first", h.listVersions)
	httpx.Create(r, versions, "model:write", "Register a version from a logged model", h.createVersion)
	httpx.Get(r, version, "model:read", "One version", h.getVersion)
	httpx.Patch(r, version, "model:write", "Change the description or tags of a version", h.patchVersion)
	httpx.Delete(r, version, "model:delete", "Delete a version", h.deleteVersion)
	h.importRoutes(r)
	httpx.Get(r, version+"/files", "model:read", "List a folder of a version's files", h.listFiles)
	httpx.Get(r, version+"/files/preview", "model:read", "The beginning of a version's file: rows of CSV and Parquet, text of others", h.previewFile)
	r.Handle(http.MethodGet, version+"/files/content", "model:read", func(w http.ResponseWriter, req *http.Request) {
		f, file, err := s.OpenFile(req.Context(), req.PathValue("name"), req.PathValue("version"), req.URL.Query().Get("path"))
		if err != nil {
			r.Error(w, req, err)
			return
		}
		defer func() { _ = f.Close() }()
		SendFile(w, req, f, file)
	})
}

// SendFile answers with a file that a user uploaded: never rendered in our origin.
func SendFile(w http.ResponseWriter, req *http.Request, r io.ReadSeeker, file blob.File) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file.Path)}))
	h.Set("ETag", strconv.Quote(string(file.Digest)))
	if req.Header.Get("Range") != "" || req.Header.Get("If-None-Match") != "" {
		http.ServeContent(w, req, "", file.CreatedAt, r)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(file.Size, 10))
	if _, err := io.Copy(w, r); err != nil { // too late for a status: a cut connection tells the client
		panic(http.ErrAbortHandler)
	}
}

// ModelPath names a model. Exported because huma fills no unexported embedded struct; so are the two below.
type ModelPath struct {
	Name string `path:"name"`
}

// VersionPath names a version.
type VersionPath struct {
	Name    string `path:"name"`
	Version string `path:"version"`
}

// PageQuery asks for one page of a list.
type PageQuery struct {
	PageSize  int    `query:"page_size" minimum:"0" maximum:"10000"`
	PageToken string `query:"page_token"`
}

// Page is one page of a list.
type Page[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

type listModelsInput struct {
	PageQuery
	Query     string `query:"q" doc:"part of the name, in any case"`
	Workspace string `query:"workspace" doc:"the only workspace to look in, with names as they are within it; all of them without it"`
	Kind      string `query:"kind" enum:"model,prompt,all" default:"model" doc:"prompts are registered models with a tag of MLflow's; they have a list of their own"`
}

// promptTag marks a registered model as a prompt, with the value "true". The name is MLflow's.
const promptTag = "mlflow.prompt.is_prompt"

// ofKind keeps models, prompts, or both.
func ofKind(kind string) []Condition {
	switch kind {
	case "prompt":
		return []Condition{{Field: FieldTag, Key: promptTag, Op: Eq, Value: "true"}}
	case "all":
		return nil
	default:
		return []Condition{{Field: FieldTag, Key: promptTag, Op: IsNot, Value: "true"}}
	}
}

// contains matches a part of a text in any case.
func contains(field, part string) []Condition {
	if part == "" {
		return nil
	}
	return []Condition{{Field: field, Op: ILike, Value: "%" + part + "%"}}
}

type modelPage = Page[Model]

func (h handlers) listModels(ctx context.Context, in *listModelsInput) (*modelPage, error) {
	ms, next, err := h.s.ListModels(ctx, Query{Workspace: in.Workspace, PageSize: in.PageSize, PageToken: in.PageToken, Where: append(contains(FieldName, in.Query), ofKind(in.Kind)...)})
	return &modelPage{ms, next}, err
}

func (h handlers) createModel(ctx context.Context, in *struct{ Body NewModel }) (*Model, error) {
	m, err := h.s.CreateModel(ctx, in.Body)
	return &m, err
}

func (h handlers) getModel(ctx context.Context, in *ModelPath) (*Model, error) {
	m, err := h.s.GetModel(ctx, in.Name)
	return &m, err
}

type patchModelInput struct {
	ModelPath
	Body ModelChange
}

func (h handlers) patchModel(ctx context.Context, in *patchModelInput) (*Model, error) {
	m, err := h.s.UpdateModel(ctx, in.Name, in.Body)
	return &m, err
}

func (h handlers) deleteModel(ctx context.Context, in *ModelPath) (*httpx.None, error) {
	return nil, h.s.DeleteModel(ctx, in.Name)
}

type historyInput struct {
	ModelPath
	PageQuery
}

type historyPage = Page[HistoryEntry]

func (h handlers) history(ctx context.Context, in *historyInput) (*historyPage, error) {
	es, next, err := h.s.History(ctx, in.Name, in.PageSize, in.PageToken)
	return &historyPage{es, next}, err
}

type putAliasInput struct {
	ModelPath
	Alias string `path:"alias"`
	Body  struct {
		Version string `json:"version" doc:"a version number"`
		Reason  string `json:"reason,omitempty"`
	}
}

func (h handlers) putAlias(ctx context.Context, in *putAliasInput) (*Model, error) {
	if err := h.s.SetAlias(ctx, in.Name, in.Alias, in.Body.Version, in.Body.Reason); err != nil {
		return nil, err
	}
	return h.getModel(ctx, &in.ModelPath)
}

type deleteAliasInput struct {
	ModelPath
	Alias  string `path:"alias"`
	Reason string `query:"reason"`
}

func (h handlers) deleteAlias(ctx context.Context, in *deleteAliasInput) (*httpx.None, error) {
	return nil, h.s.DeleteAlias(ctx, in.Name, in.Alias, in.Reason)
}

type versionPage = Page[Version]

func (h handlers) listVersions(ctx context.Context, in *historyInput) (*versionPage, error) {
	if _, err := h.s.findModel(ctx, in.Name); err != nil {
		return nil, err
	}
	vs, next, err := h.s.ListVersions(ctx, Query{PageSize: in.PageSize, PageToken: in.PageToken, Where: []Condition{{Field: FieldName, Op: Eq, Value: in.Name}}})
	return &versionPage{vs, next}, err
}

type createVersionInput struct {
	ModelPath
	Body struct {
		Source      string            `json:"source" doc:"runs:/<run id>/<path> or models:/<logged model id>"`
		Description string            `json:"description,omitempty"`
		RunLink     string            `json:"run_link,omitempty" doc:"where the run that made it is shown, when it is not of this server"`
		Tags        map[string]string `json:"tags,omitempty"`
	}
}

func (h handlers) createVersion(ctx context.Context, in *createVersionInput) (*Version, error) {
	if in.Body.Source == "" {
		return nil, errs.Invalidf("registry.create_version", "the version has no source").WithField("source", "expected runs:/<run id>/<path>")
	}
	v, err := h.s.CreateVersionFrom(ctx, NewVersion{Model: in.Name, Source: in.Body.Source, Description: in.Body.Description, RunLink: in.Body.RunLink, Tags: in.Body.Tags})
	return &v, err
}

func (h handlers) getVersion(ctx context.Context, in *VersionPath) (*Version, error) {
	v, err := h.s.GetVersion(ctx, in.Name, in.Version)
	return &v, err
}

type patchVersionInput struct {
	VersionPath
	Body VersionChange
}

func (h handlers) patchVersion(ctx context.Context, in *patchVersionInput) (*Version, error) {
	v, err := h.s.UpdateVersion(ctx, in.Name, in.Version, in.Body)
	return &v, err
}

func (h handlers) deleteVersion(ctx context.Context, in *VersionPath) (*httpx.None, error) {
	return nil, h.s.DeleteVersion(ctx, in.Name, in.Version)
}

type listFilesInput struct {
	VersionPath
	Path string `query:"path"`
}

type filePage struct {
	Items []blob.File `json:"items"`
}

func (h handlers) listFiles(ctx context.Context, in *listFilesInput) (*filePage, error) {
	fs, err := h.s.ListFiles(ctx, in.Name, in.Version, in.Path)
	return &filePage{fs}, err
}

type previewFileInput struct {
	VersionPath
	Path string `query:"path" required:"true"`
	Rows int    `query:"rows" minimum:"1" maximum:"1000" default:"200"`
}

func (h handlers) previewFile(ctx context.Context, in *previewFileInput) (*table.FilePreview, error) {
	f, file, err := h.s.OpenFile(ctx, in.Name, in.Version, in.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return table.Preview(ctx, f, file.Path, file.Size, in.Rows)
}
