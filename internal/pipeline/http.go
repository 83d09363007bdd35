package pipeline

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/page"
)

type handlers struct{ s *Service }

// Routes registers the native API of pipelines and their runs.
func (s *Service) Routes(r *httpx.Router) {
	h := handlers{s}
	const one, run = "/api/v1/pipelines/{name}", "/api/v1/pipeline-runs/{id}"
	httpx.Get(r, "/api/v1/pipelines", "pipeline:read", "List pipelines with their newest runs", h.list)
	httpx.Put(r, one, "pipeline:write", "Make or change a pipeline", h.put)
	httpx.Get(r, one, "pipeline:read", "One pipeline", h.get)
	httpx.Delete(r, one, "pipeline:delete", "Delete a pipeline; its runs stay", h.remove)
	httpx.Create(r, one+"/runs", "pipeline:run", "Start a run", h.start)
	httpx.Get(r, one+"/runs", "pipeline:read", "List the runs of a pipeline, newest first", h.listRuns)
	httpx.Get(r, run, "pipeline:read", "One run with its steps", h.getRun)
	httpx.Post(r, run+"/cancel", "pipeline:run", "Stop a run", h.cancel)
	httpx.Post(r, run+"/retry", "pipeline:run", "Run failed steps again", h.retry)
	r.Handle(http.MethodGet, run+"/steps/{step}/log", "pipeline:read", func(w http.ResponseWriter, req *http.Request) {
		if err := h.log(w, req); err != nil {
			r.Error(w, req, err)
		}
	})
	r.Handle(http.MethodGet, run+"/steps/{step}/log/stream", "pipeline:read", func(w http.ResponseWriter, req *http.Request) {
		if err := h.stream(w, req); err != nil {
			r.Error(w, req, err)
		}
	})
}

// Pipelines is a list of pipelines.
type Pipelines struct {
	Items []Pipeline `json:"items"`
}

// Runs is a page of runs.
type Runs struct {
	Items         []Run  `json:"items"`
	NextPageToken string `json:"next_page_token,omitempty"`
}

func (h handlers) list(ctx context.Context, _ *struct{}) (*Pipelines, error) {
	ps, err := h.s.List(ctx)
	return &Pipelines{Items: ps}, err
}

// ByName names a pipeline in a path.
type ByName struct {
	Name string `path:"name" maxLength:"63"`
}

// ByRun names a run in a path.
type ByRun struct {
	ID string `path:"id" maxLength:"64"`
}

func (h handlers) put(ctx context.Context, in *struct {
	ByName
	Body struct {
		Spec  string            `json:"spec" doc:"the definition, YAML"`
		Files map[string]string `json:"files,omitempty" doc:"text of each file that the definition names"`
	}
}) (*Pipeline, error) {
	p, err := h.s.Apply(ctx, in.Name, in.Body.Spec, in.Body.Files)
	return &p, err
}

func (h handlers) get(ctx context.Context, in *ByName) (*Pipeline, error) {
	p, err := h.s.Get(ctx, in.Name)
	return &p, err
}

func (h handlers) remove(ctx context.Context, in *ByName) (*httpx.None, error) {
	return nil, h.s.Delete(ctx, in.Name)
}

func (h handlers) start(ctx context.Context, in *struct {
	ByName
	Body struct {
		Params map[string]string `json:"params,omitempty"`
	}
}) (*Run, error) {
	r, err := h.s.StartRun(ctx, in.Name, in.Body.Params, Trigger{Kind: "manual"})
	return &r, err
}

type cursor struct {
	ID string `json:"i"`
}

func (h handlers) listRuns(ctx context.Context, in *struct {
	ByName
	PageSize  int    `query:"page_size" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token"`
}) (*Runs, error) {
	var c cursor
	if err := page.Decode(in.PageToken, &c); err != nil {
		return nil, err
	}
	n := page.Limit(in.PageSize, 50, 1000)
	rs, err := h.s.ListRuns(ctx, in.Name, c.ID, n)
	if err != nil {
		return nil, err
	}
	out := &Runs{Items: rs}
	if len(rs) == n {
		out.NextPageToken = page.Encode(cursor{rs[n-1].ID})
	}
	return out, nil
}

func (h handlers) getRun(ctx context.Context, in *ByRun) (*Run, error) {
	r, err := h.s.GetRun(ctx, in.ID)
	return &r, err
}

func (h handlers) cancel(ctx context.Context, in *ByRun) (*Run, error) {
	r, err := h.s.Cancel(ctx, in.ID)
	return &r, err
}

func (h handlers) retry(ctx context.Context, in *struct {
	ByRun
	Body struct {
		FromStep string `json:"from_step,omitempty"`
	}
}) (*Run, error) {
	r, err := h.s.Retry(ctx, in.ID, in.Body.FromStep)
	return &r, err
}

func (h handlers) log(w http.ResponseWriter, req *http.Request) error {
	offset := int64(0)
	if q := req.URL.Query().Get("offset"); q != "" {
		var err error
		if offset, err = strconv.ParseInt(q, 10, 64); err != nil {
			return errs.Invalidf("pipeline.log", "offset is %q: expected a whole number of bytes", q)
		}
	}
	c, ended, err := h.s.StepLog(req.Context(), req.PathValue("id"), req.PathValue("step"), offset)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Modelyard-Next-Offset", strconv.FormatInt(c.Next, 10))
	w.Header().Set("X-Modelyard-Dropped", strconv.FormatInt(c.Dropped, 10))
	w.Header().Set("X-Modelyard-Ended", strconv.FormatBool(ended))
	_, err = w.Write(c.Data)
	return ignoreGone(err)
}

func ignoreGone(error) error { return nil } // the reader has left: nobody to tell

const follow = 300 * time.Millisecond // how late a line may come

// stream sends a log as it grows, as server-sent events: data is a JSON string of text, id is the next offset.
func (h handlers) stream(w http.ResponseWriter, req *http.Request) error {
	ctx := req.Context()
	offset, _ := strconv.ParseInt(req.Header.Get("Last-Event-ID"), 10, 64)
	c, ended, err := h.s.StepLog(ctx, req.PathValue("id"), req.PathValue("step"), offset)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	t := time.NewTicker(follow)
	defer t.Stop()
	for {
		if len(c.Data) > 0 {
			_, err = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", c.Next, asJSON(string(c.Data)))
		} else if ended {
			_, _ = fmt.Fprint(w, "event: end\ndata: {}\n\n")
			return nil
		} else {
			_, err = fmt.Fprint(w, ": waiting\n\n")
		}
		if err != nil || rc.Flush() != nil {
			return nil
		}
		if len(c.Data) == 0 || !ended {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
		}
		if c, ended, err = h.s.StepLog(ctx, req.PathValue("id"), req.PathValue("step"), c.Next); err != nil {
			return nil // the head is written: the stream just ends
		}
	}
}
