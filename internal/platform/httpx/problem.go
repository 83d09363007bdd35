package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Problem is an error on the wire (RFC 9457, application/problem+json), with our kind, next step and request id.
type Problem struct {
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Kind      errs.Kind    `json:"kind"`
	Hint      string       `json:"hint,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	Errors    []errs.Field `json:"errors,omitempty"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus gives huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType gives huma the content type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Status is the HTTP status of a kind: the one table of this edge.
func Status(k errs.Kind) int {
	switch k {
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.Precondition:
		return http.StatusPreconditionFailed
	case errs.Exhausted:
		return http.StatusRequestEntityTooLarge
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func kindOfStatus(status int) errs.Kind {
	switch status {
	case http.StatusUnauthorized:
		return errs.Unauthenticated
	case http.StatusForbidden:
		return errs.Forbidden
	case http.StatusNotFound:
		return errs.NotFound
	case http.StatusConflict:
		return errs.Conflict
	case http.StatusPreconditionFailed:
		return errs.Precondition
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return errs.Exhausted
	case http.StatusServiceUnavailable, http.StatusRequestTimeout:
		return errs.Unavailable
	}
	if status == http.StatusInsufficientStorage {
		return errs.Exhausted
	}
	if status >= 500 {
		return errs.Internal
	}
	return errs.Invalid
}

// ProblemOf describes err. What went wrong inside us is told only as "internal error": the log has the rest.
func ProblemOf(ctx context.Context, err error) *Problem {
	kind := errs.KindOf(err)
	p := &Problem{Status: Status(kind), Kind: kind, RequestID: actor.Request(ctx)}
	if errs.IsDiskFull(err) && kind == errs.Exhausted {
		p.Status = http.StatusInsufficientStorage
	}
	p.Title = http.StatusText(p.Status)
	var e *errs.Error
	switch {
	case kind == errs.Internal && !errs.IsPublic(err):
		p.Detail, p.Hint = "internal error", "look for the request id in the server's log"
	case errors.As(err, &e):
		p.Detail, p.Hint, p.Errors = e.Message, e.Hint, e.Fields
		if e.Err != nil {
			p.Detail += ": " + e.Err.Error()
		}
	case p.Status == http.StatusInsufficientStorage:
		p.Detail, p.Hint = "the disk of the data folder is full", "free some space; nothing was written"
	default:
		p.Detail = err.Error()
	}
	return p
}

func (r *Router) problem(ctx context.Context, err error) *Problem {
	p := ProblemOf(ctx, err)
	if p.Kind == errs.Internal {
		r.o.Log.Error("request failed", "request_id", p.RequestID, "error", err)
	}
	return p
}

// Errors gives the paths that begin with a prefix their own form of error: that of the protocol they speak. It also answers for what goes
// wrong before their handlers are reached: no credentials, a foreign host, a panic.
func (r *Router) Errors(prefix string, fail func(http.ResponseWriter, *http.Request, error)) {
	r.fails = append(r.fails, failer{prefix, fail})
}

type failer struct {
	prefix string
	fail   func(http.ResponseWriter, *http.Request, error)
}

// Error answers with err as problem+json, or in the form that the path's protocol has.
func (r *Router) Error(w http.ResponseWriter, req *http.Request, err error) {
	for _, f := range r.fails {
		if strings.HasPrefix(req.URL.Path, f.prefix) {
			f.fail(w, req, err)
			return
		}
	}
	p := r.problem(req.Context(), err)
	b, _ := json.Marshal(p)
	w.Header().Set("Content-Type", p.ContentType(""))
	if p.Kind == errs.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="modelyard"`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}

// problemFromHuma turns what huma finds wrong with a request into our form; its 422 is our 400.
func problemFromHuma(status int, msg string, causes ...error) huma.StatusError {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	p := &Problem{Status: status, Title: http.StatusText(status), Detail: msg, Kind: kindOfStatus(status)}
	for _, c := range causes {
		var d *huma.ErrorDetail
		if errors.As(c, &d) {
			p.Errors = append(p.Errors, errs.Field{Name: strings.TrimPrefix(d.Location, "body."), Message: d.Message})
		} else if c != nil && status < 500 {
			p.Detail += ": " + c.Error()
		}
	}
	return p
}
