// Package httpx is the HTTP layer: one router where every route declares its action, typed handlers that give the OpenAPI document
// (huma on net/http), raw handlers for other tools' protocols and streams, and errors as problem+json (RFC 9457).
package httpx

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Action is what a route does, as noun:verb ("model:read"). Who may do it is decided by the guard.
type Action string

// Public is the action of routes that anybody may call: health, version, the files of the web UI.
const Public Action = "public"

// Guard decides who calls and whether they may. It returns the context with the actor, or an Unauthenticated or Forbidden error.
type Guard func(r *http.Request, a Action) (context.Context, error)

// Route is one registered route.
type Route struct {
	Method  string `json:"method"`
	Pattern string `json:"pattern"`
	Action  Action `json:"action"`
	Typed   bool   `json:"typed"` // in the OpenAPI document
}

// Options of a Router.
type Options struct {
	Version string
	Guard   Guard
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Hosts   []string // exact host names that are answered; empty: all
	Timeout time.Duration
}

// Router collects the routes of all domains.
type Router struct {
	mux     *http.ServeMux
	api     huma.API
	o       Options
	routes  []Route
	fails   []failer
	metrics *metrics
}

// MaxBody is the largest JSON body of a typed route, in bytes.
const MaxBody = 4 << 20

// New makes an empty router.
func New(o Options) *Router {
	if o.Timeout == 0 {
		o.Timeout = 60 * time.Second
	}
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Modelyard", o.Version)
	cfg.Info.Description = "The native API of Modelyard. Other tools' protocols (MLflow, Open Inference Protocol) are served beside it and documented by their owners."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	cfg.CreateHooks = nil // no $schema links in bodies
	cfg.RejectUnknownQueryParameters = true
	setErrorFormat()
	r := &Router{mux: mux, api: humago.New(mux, cfg), o: o, metrics: newMetrics(o.Metrics)}
	return r
}

// setErrorFormat gives huma our errors. Its only hook is a global, so it is set once however many routers a process has.
var setErrorFormat = sync.OnceFunc(func() { huma.NewError = problemFromHuma })

// schemaName is the type's name behind its package: many domains have a Version, and huma refuses two schemas of one name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pkg := path.Base(t.PkgPath())
	if t.Name() == "" || pkg == "." || pkg == "/" {
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// Routes lists what was registered.
func (r *Router) Routes() []Route { return r.routes }

// OpenAPI is the document of the typed routes, as indented JSON.
func (r *Router) OpenAPI() ([]byte, error) { return json.MarshalIndent(r.api.OpenAPI(), "", "  ") }

// None is the response of a route that answers 204 No Content.
type None struct{}

// Get registers a typed read.
func Get[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodGet, path, a, summary, http.StatusOK, h)
}

// Post registers a typed command that answers 200.
func Post[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodPost, path, a, summary, http.StatusOK, h)
}

// Create registers a typed command that makes something and answers 201.
func Create[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodPost, path, a, summary, http.StatusCreated, h)
}

// Put registers a typed replacement.
func Put[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodPut, path, a, summary, http.StatusOK, h)
}

// Patch registers a typed change.
func Patch[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodPatch, path, a, summary, http.StatusOK, h)
}

// Delete registers a typed removal.
func Delete[I, O any](r *Router, path string, a Action, summary string, h func(context.Context, *I) (*O, error)) {
	register(r, http.MethodDelete, path, a, summary, http.StatusOK, h)
}

func register[I, O any](r *Router, method, path string, a Action, summary string, status int, h func(context.Context, *I) (*O, error)) {
	r.note(method, path, a, true)
	none := reflect.TypeFor[O]() == reflect.TypeFor[None]()
	if none {
		status = http.StatusNoContent
	}
	op := huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path), Tags: []string{noun(path)},
		DefaultStatus: status, MaxBodyBytes: MaxBody, BodyReadTimeout: 30 * time.Second,
		Middlewares: huma.Middlewares{r.guardTyped(a)},
		Extensions:  map[string]any{"x-action": string(a)},
	}
	if none {
		huma.Register(r.api, op, func(ctx context.Context, in *I) (*struct{}, error) {
			ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
			defer cancel()
			if _, err := h(ctx, in); err != nil {
				return nil, r.problem(ctx, err)
			}
			return nil, nil
		})
		return
	}
	type reply struct{ Body *O }
	huma.Register(r.api, op, func(ctx context.Context, in *I) (*reply, error) {
		ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
		defer cancel()
		out, err := h(ctx, in)
		if err != nil {
			return nil, r.problem(ctx, err)
		}
		return &reply{out}, nil
	})
}

func (r *Router) guardTyped(a Action) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		req, w := humago.Unwrap(hc)
		ctx, err := r.o.Guard(req, a)
		if err != nil {
			r.Error(w, req, err)
			return
		}
		next(huma.WithContext(hc, ctx))
	}
}

// Handle registers a raw handler: another tool's protocol, an upload, a stream. An empty method means all methods.
func (r *Router) Handle(method, pattern string, a Action, h http.HandlerFunc) {
	r.note(method, pattern, a, false)
	r.mux.HandleFunc(strings.TrimSpace(method+" "+pattern), func(w http.ResponseWriter, req *http.Request) {
		ctx, err := r.o.Guard(req, a)
		if err != nil {
			r.Error(w, req, err)
			return
		}
		h(w, req.WithContext(ctx))
	})
}

func (r *Router) note(method, pattern string, a Action, typed bool) {
	if a == "" {
		panic("httpx: " + method + " " + pattern + " declares no action") // a programming error, caught at start
	}
	r.routes = append(r.routes, Route{Method: method, Pattern: pattern, Action: a, Typed: typed})
}

// operationID is "get-models-name" for GET /api/v1/models/{name}.
func operationID(method, path string) string {
	p := strings.NewReplacer("/api/v1/", "", "{", "", "}", "", "/", "-", "...", "", ":", "-").Replace(path)
	return strings.ToLower(method) + "-" + strings.Trim(p, "-")
}

func noun(path string) string {
	n, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
	return strings.TrimPrefix(n, "/")
}

// WriteJSON answers with v.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"title":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// ReadJSON reads a body of at most limit bytes into v. It returns Invalid for anything that is not one JSON value of that shape.
func ReadJSON(r *http.Request, limit int64, v any) error {
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errs.Invalidf("http.read", "the body is empty: expected a JSON object")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return errs.E(errs.Invalid, "http.read", "the body is not the JSON that was expected", err)
	}
	return nil
}

// ReadBody reads a body of at most limit bytes; a larger one is Exhausted.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), 1<<20)) + bytes.MinRead) // what the client announces, but for a liar
	_, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	b := buf.Bytes()
	if err != nil {
		return nil, errs.E(errs.Invalid, "http.read", "the body could not be read", err)
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func tooLarge(limit int64) error {
	return errs.E(errs.Exhausted, "http.read", fmt.Sprintf("the body is larger than %d bytes", limit), nil).WithHint("send it in smaller parts")
}
