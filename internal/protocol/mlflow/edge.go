package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/modelyard/modelyard/internal/evalset"
	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/secret"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/scorer"
	"github.com/modelyard/modelyard/internal/trace"
	"github.com/modelyard/modelyard/internal/tracking"
	"github.com/modelyard/modelyard/internal/webhook"
	"github.com/modelyard/modelyard/internal/workspace"
)

// Version is the MLflow version whose protocol this is; its clients choose features by it.
const Version = "3.17.2"

// Deps of an Edge.
type Deps struct {
	Tracking   *tracking.Service
	Registry   *registry.Service
	Traces     *trace.Service
	EvalSets   *evalset.Service
	Webhooks   *webhook.Service
	Scorers    *scorer.Service
	Workspaces *workspace.Service
	Files      *blob.Files
	// Source finds the files behind the URI that a model version is made of.
	Source func(ctx context.Context, uri string) (registry.Source, error)
	// MaxUpload is the largest artifact that is taken, in bytes.
	MaxUpload int64
	DataDir   string // keys/artifact.key lies below it
	Clock     clock.Clock
	Log       *slog.Logger
}

// Edge serves the protocol.
type Edge struct {
	d   Deps
	key *secret.Key // set by Start

	served []Endpoint
}

// New makes the edge.
func New(d Deps) *Edge {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Edge{d: d}
}

// The actions of the routes.
const (
	experimentRead  httpx.Action = "experiment:read"
	experimentWrite httpx.Action = "experiment:write"
	runRead         httpx.Action = "run:read"
	runWrite        httpx.Action = "run:write"
	modelRead       httpx.Action = "model:read"
	modelWrite      httpx.Action = "model:write"
	webhookRead     httpx.Action = "webhook:read"
	webhookWrite    httpx.Action = "webhook:write"
)

// Routes registers every path.
func (e *Edge) Routes(r *httpx.Router) {
	for _, prefix := range []string{"/api/2.0/", "/api/3.0/", "/ajax-api/", "/get-artifact", "/model-versions/get-artifact", "/v1/traces", "/graphql", "/gateway", "/signup"} {
		r.Errors(prefix, e.fail)
	}
	for i, base := range bases() {
		at := func(method, path string, a httpx.Action, h http.HandlerFunc) {
			r.Handle(method, base+path, a, e.within(h))
			if i == 0 && method != "" {
				e.served = append(e.served, Endpoint{method, path})
			}
		}
		e.experimentRoutes(at)
		e.runRoutes(at)
		e.modelRoutes(at)
		e.registryRoutes(at)
		e.versionRoutes(at)
		e.artifactRoutes(at)
		e.traceRoutes(at)
		e.evalsetRoutes(at)
		e.transferRoutes(at)
		e.webhookRoutes(at)
		e.scorerRoutes(at)
		e.workspaceRoutes(at)
		e.otherRoutes(at)
	}
	e.serverRoutes(func(method, path string, a httpx.Action, h http.HandlerFunc) {
		r.Handle(method, path, a, e.within(h))
		e.served = append(e.served, Endpoint{method, path})
	})
	e.leftOutRoutes(r)
}

// registrar registers one path under one of the two bases.
type registrar func(method, path string, a httpx.Action, h http.HandlerFunc)

// none is an answer without fields.
type none struct{}

// maxBody bounds JSON bodies: dataset profiles may have 16 MiB, log-batch has its own limit.
const (
	maxBody      = 40 << 20
	maxBatchBody = 1 << 20
)

// call makes the handler of one RPC: decode, do, encode.
func call[I, O any](e *Edge, h func(ctx context.Context, in *I) (O, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		in := new(I)
		if err := decode(req, maxBody, in); err != nil {
			e.fail(w, req, err)
			return
		}
		out, err := h(req.Context(), in)
		if err != nil {
			e.fail(w, req, err)
			return
		}
		e.reply(w, req, out)
	}
}

// appender is an answer with an encoder of its own, for those that are large or frequent.
type appender interface{ appendJSON(b []byte) []byte }

func (e *Edge) reply(w http.ResponseWriter, req *http.Request, v any) {
	if a, ok := v.(appender); ok {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(a.appendJSON(make([]byte, 0, 4<<10)), '\n'))
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		e.fail(w, req, errs.E(errs.Internal, "mlflow.encode", "cannot encode the answer", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b.Bytes())
}

// wireError is an error as MLflow sends it.
type wireError struct {
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

// codeOf is the one table from our kinds to MLflow's codes.
func codeOf(k errs.Kind) (code string, status int) {
	switch k {
	case errs.Invalid:
		return "INVALID_PARAMETER_VALUE", http.StatusBadRequest
	case errs.NotFound:
		return "RESOURCE_DOES_NOT_EXIST", http.StatusNotFound
	case errs.Conflict:
		return "RESOURCE_ALREADY_EXISTS", http.StatusBadRequest
	case errs.Precondition:
		return "INVALID_STATE", http.StatusConflict
	case errs.Unauthenticated:
		return "UNAUTHENTICATED", http.StatusUnauthorized
	case errs.Forbidden:
		return "PERMISSION_DENIED", http.StatusForbidden
	case errs.Exhausted:
		return "RESOURCE_EXHAUSTED", http.StatusRequestEntityTooLarge
	case errs.Unavailable:
		return "TEMPORARILY_UNAVAILABLE", http.StatusServiceUnavailable
	}
	return "INTERNAL_ERROR", http.StatusInternalServerError
}

// fail answers with an error. What went wrong inside us is in the log alone.
func (e *Edge) fail(w http.ResponseWriter, req *http.Request, err error) {
	kind := errs.KindOf(err)
	code, status := codeOf(kind)
	if kind == errs.Exhausted && errs.IsDiskFull(err) {
		status = http.StatusInsufficientStorage
	}
	var coded *codedError
	if errors.As(err, &coded) {
		code, status = coded.code, coded.status
	}
	msg := describe(err)
	if kind == errs.Internal && coded == nil && !errs.IsPublic(err) {
		id := actor.Request(req.Context())
		e.d.Log.Error("request failed", "request_id", id, "route", req.Pattern, "error", err)
		msg = "internal error; look for the request id " + id + " in the server's log"
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="mlflow"`) // what its clients expect; Bearer is taken as well
	}
	httpx.WriteJSON(w, status, wireError{code, msg})
}

// describe is the message of an error for the client: what, which fields, why, and the next step. A whole sentence is one of MLflow's own and
// stays as it is.
func describe(err error) string {
	var x *errs.Error
	switch {
	case !errors.As(err, &x):
		return err.Error()
	case x.Err == nil && strings.HasSuffix(x.Message, "."):
		return x.Message
	case x.Hint != "":
		return x.Error() + "; " + x.Hint
	}
	return x.Error()
}

// codedError carries an MLflow code that no kind stands for.
type codedError struct {
	code    string
	status  int
	message string
}

func (c *codedError) Error() string { return c.message }
