package dataset

import (
	"context"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/table"
)

type handlers struct {
	s *Service
	r *httpx.Router
}

// Routes registers the native API of datasets.
func (s *Service) Routes(r *httpx.Router) {
	h := handlers{s, r}
	const datasets, one, version = "/api/v1/datasets", "/api/v1/datasets/{name}", "/api/v1/datasets/{name}/versions/{version}"
	httpx.Get(r, datasets, "dataset:read", "List datasets", h.list)
	httpx.Get(r, one, "dataset:read", "One dataset with its contract", h.get)
	httpx.Get(r, one+"/versions", "dataset:read", "List the versions of a dataset, newest first", h.versions)
	httpx.Get(r, version, "dataset:read", "One version (a number or latest) with schema and profile", h.version)
	httpx.Get(r, version+"/rows", "dataset:read", "The first rows of a version", h.rows)
	httpx.Delete(r, one, "dataset:delete", "Move a dataset with its versions to the trash", h.delete)
	httpx.Delete(r, version, "dataset:delete", "Move a version to the trash", h.deleteVersion)
	r.Handle(http.MethodPost, one+"/versions", "dataset:write", h.raw(h.upload))
	r.Handle(http.MethodPut, one+"/contract", "dataset:write", h.raw(h.contract))
	r.Handle(http.MethodGet, version+"/data", "dataset:read", h.raw(h.data))
}

func (h handlers) delete(ctx context.Context, in *NamePath) (*httpx.None, error) {
	return nil, h.s.Delete(ctx, in.Name)
}

func (h handlers) deleteVersion(ctx context.Context, in *VersionPath) (*httpx.None, error) {
	number, err := parseVersion(in.Version)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return nil, errs.Invalidf("dataset.delete", "latest is not a version to delete").WithField("version", "expected a whole number from 1")
	}
	return nil, h.s.DeleteVersion(ctx, in.Name, number)
}

func (h handlers) raw(fn func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if err := fn(w, req); err != nil {
			h.r.Error(w, req, err)
		}
	}
}

// PageQuery asks for one page of a list. Exported because huma fills no unexported embedded struct; so are the two below.
type PageQuery struct {
	PageSize  int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token"`
}

// NamePath names a dataset.
type NamePath struct {
	Name string `path:"name"`
}

// VersionPath names a version.
type VersionPath struct {
	NamePath
	Version string `path:"version" doc:"a number or latest"`
}

// Page is one page of a list.
type Page[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

type datasetPage = Page[Dataset]
type versionPage = Page[Version]

func (h handlers) list(ctx context.Context, in *PageQuery) (*datasetPage, error) {
	ds, next, err := h.s.List(ctx, in.PageSize, in.PageToken)
	return &datasetPage{ds, next}, err
}

func (h handlers) get(ctx context.Context, in *NamePath) (*Dataset, error) {
	d, err := h.s.Get(ctx, in.Name)
	return &d, err
}

type versionsInput struct {
	NamePath
	PageQuery
}

func (h handlers) versions(ctx context.Context, in *versionsInput) (*versionPage, error) {
	vs, next, err := h.s.ListVersions(ctx, in.Name, in.PageSize, in.PageToken)
	return &versionPage{vs, next}, err
}

func (h handlers) version(ctx context.Context, in *VersionPath) (*Version, error) {
	return h.describe(ctx, in.Name, in.Version)
}

// describe is a version with its profile.
func (h handlers) describe(ctx context.Context, name, version string) (*Version, error) {
	n, err := parseVersion(version)
	if err != nil {
		return nil, err
	}
	v, err := h.s.GetVersion(ctx, name, n)
	if err != nil {
		return nil, err
	}
	p, err := h.s.Profile(ctx, name, v.Version)
	if err != nil {
		return nil, err
	}
	v.Profile = summary(p)
	return &v, nil
}

type rowsInput struct {
	VersionPath
	Limit int `query:"limit" minimum:"0" maximum:"1000" default:"20"`
}

// Rows are the first rows of a version.
type Rows struct {
	Columns []string         `json:"columns"`
	Items   []map[string]any `json:"items"`
	Rows    int              `json:"rows"` // of the whole version
}

func (h handlers) rows(ctx context.Context, in *rowsInput) (*Rows, error) {
	n, err := parseVersion(in.Version)
	if err != nil {
		return nil, err
	}
	f, _, err := h.s.Open(ctx, in.Name, n)
	if err != nil {
		return nil, err
	}
	out := &Rows{Columns: f.Names(), Items: []map[string]any{}, Rows: f.Rows()}
	for i := range min(in.Limit, f.Rows()) {
		row := f.Row(i)
		for k, v := range row {
			if x, ok := v.(float64); ok && math.IsInf(x, 0) { // JSON has no infinity
				row[k] = fmt.Sprint(x)
			}
		}
		out.Items = append(out.Items, row)
	}
	return out, nil
}

const uploadTime = time.Hour

func (h handlers) upload(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	if err := onlyKnown(q, "format", "time_column", "target", "description", "source"); err != nil {
		return err
	}
	u := Upload{Dataset: req.PathValue("name"), Format: Format(q.Get("format")), Target: q.Get("target"), TimeColumn: q.Get("time_column"),
		Source: q.Get("source"), Description: q.Get("description")}
	if req.ContentLength > h.s.d.MaxUpload {
		return errs.E(errs.Exhausted, "dataset.upload", fmt.Sprintf("the upload is larger than %d bytes", h.s.d.MaxUpload), nil).WithHint("send Parquet, or split the data")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime))
	v, created, err := h.s.Add(req.Context(), u, req.Body)
	if err != nil {
		return err
	}
	full, err := h.describe(req.Context(), v.Dataset, strconv.FormatInt(v.Version, 10))
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	httpx.WriteJSON(w, status, full)
	return nil
}

func (h handlers) contract(w http.ResponseWriter, req *http.Request) error {
	body, err := httpx.ReadBody(req, MaxContract)
	if err != nil {
		return err
	}
	d, err := h.s.SetContract(req.Context(), req.PathValue("name"), string(body))
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, d)
	return nil
}

// data sends a version: as it was uploaded, or converted when another format is asked for.
func (h handlers) data(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	if err := onlyKnown(q, "format"); err != nil {
		return err
	}
	n, err := parseVersion(req.PathValue("version"))
	if err != nil {
		return err
	}
	v, err := h.s.GetVersion(req.Context(), req.PathValue("name"), n)
	if err != nil {
		return err
	}
	format := Format(q.Get("format"))
	if format == "" {
		format = v.Format
	}
	if format != v.Format && format != CSV && format != Parquet {
		return errs.Invalidf("dataset.data", "%.40q is not a format that data is sent in", string(format)).WithField("format", "expected csv or parquet")
	}
	if format != v.Format {
		return h.convert(w, req, v, format)
	}
	r, err := h.s.Data(req.Context(), v)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	head(w, v, format)
	w.Header().Set("Content-Length", strconv.FormatInt(v.SizeBytes, 10))
	return cut(io.Copy(w, r))
}

func (h handlers) convert(w http.ResponseWriter, req *http.Request, v Version, format Format) error {
	f, _, err := h.s.Open(req.Context(), v.Dataset, v.Version)
	if err != nil {
		return err
	}
	head(w, v, format)
	if format == CSV {
		return cut(0, table.WriteCSV(w, f))
	}
	return cut(0, table.WriteParquet(w, f))
}

func head(w http.ResponseWriter, v Version, f Format) {
	h := w.Header()
	h.Set("Content-Type", f.ContentType())
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fmt.Sprintf("%s-%d.%s", v.Dataset, v.Version, f)}))
	h.Set("ETag", strconv.Quote(v.Digest+"."+string(f)))
	h.Set("X-Modelyard-Dataset-Version", strconv.FormatInt(v.Version, 10))
}

// cut drops the connection when a body breaks off: it is too late for a status.
func cut(_ int64, err error) error {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func onlyKnown(q url.Values, known ...string) error {
	var c errs.Collector
	for k := range q {
		if !slices.Contains(known, k) {
			c.Add(k, "unknown query parameter: expected one of %s", strings.Join(known, ", "))
		}
	}
	return c.Err("dataset.query", "the request has unknown query parameters")
}

func checkText(c *errs.Collector, field, v string) {
	if len(v) > MaxText {
		c.Add(field, "expected at most %d bytes, it has %d", MaxText, len(v))
	}
	if strings.ToValidUTF8(v, "") != v || strings.ContainsRune(v, 0) {
		c.Add(field, "expected UTF-8 text without NUL")
	}
}
