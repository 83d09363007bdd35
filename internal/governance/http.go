package governance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Routes registers the HTTP API.
func (s *Service) Routes(r *httpx.Router) {
	s.router = r
	httpx.Get(r, "/api/v1/events", "event:read", "List events, newest first", s.listEvents)
	httpx.Post(r, "/api/v1/events/verify", "event:read", "Verify the hash chain of the event log", s.verify)
	r.Handle("GET", "/api/v1/events/stream", "event:read", s.stream)
	httpx.Get(r, "/api/v1/jobs", "job:read", "List jobs, unfinished ones first", s.listJobs)
	httpx.Post(r, "/api/v1/jobs/{id}/retry", "job:write", "Put a failed job back into the queue", s.retryJob)
	httpx.Get(r, "/api/v1/lineage", "lineage:read", "What a thing came from and what came of it", s.getLineage)
}

// EventView is an event on the wire.
type EventView struct {
	ID        string          `json:"id"`
	Seq       int64           `json:"seq"`
	Type      string          `json:"type"`
	Time      time.Time       `json:"time"`
	Actor     string          `json:"actor"` // type:id
	Resource  events.Resource `json:"resource"`
	RequestID string          `json:"request_id,omitempty"`
	Data      json.RawMessage `json:"data"`
	Hash      string          `json:"hash"`
	PrevHash  string          `json:"prev_hash"`
}

func view(e events.Event) EventView {
	return EventView{ID: e.ID, Seq: e.Seq, Type: e.Type, Time: e.At, Actor: e.Actor.String(), Resource: e.Resource, RequestID: e.RequestID,
		Data: e.Data, Hash: e.Hash, PrevHash: e.PrevHash}
}

type eventsQuery struct {
	Type      string `query:"type" doc:"Event type, or its beginning: registry.version.created, registry. or registry.*" maxLength:"100"`
	Kind      string `query:"kind" doc:"Kind of the resource, e.g. model" maxLength:"100"`
	ID        string `query:"id" doc:"Id of the resource, e.g. bike-demand" maxLength:"300"`
	After     int64  `query:"after" doc:"Only events behind this sequence number in the order of the list" minimum:"0"`
	Limit     int    `query:"limit" doc:"At most this many, 1 to 1000; 100 when left out" minimum:"0" maximum:"1000"`
	PageSize  int    `query:"page_size" doc:"Same as limit" minimum:"0" maximum:"1000"`
	PageToken string `query:"page_token" maxLength:"4096"`
}

type eventsPage struct {
	Items         []EventView `json:"items"`
	NextPageToken string      `json:"next_page_token,omitempty"`
}

var typePrefix = regexp.MustCompile(`^[a-z0-9_.]*\*?$`)

func filterOf(typ, kind, id string) (events.Filter, error) {
	if !typePrefix.MatchString(typ) {
		return events.Filter{}, errs.Invalidf("governance.events", "the filter cannot be read").
			WithField("type", "expected lower-case letters, digits, dots and underscores, e.g. registry.version.created or alert.*")
	}
	return events.Filter{TypePrefix: strings.TrimSuffix(typ, "*"), Resource: events.Resource{Kind: kind, ID: id}}, nil
}

func (s *Service) listEvents(ctx context.Context, in *eventsQuery) (*eventsPage, error) {
	f, err := filterOf(in.Type, in.Kind, in.ID)
	if err != nil {
		return nil, err
	}
	f.After = in.After
	if err := page.Decode(in.PageToken, &f.After); err != nil {
		return nil, err
	}
	limit := page.Limit(max(in.Limit, in.PageSize), 100, 1000)
	f.Limit = limit + 1
	es, err := s.d.Events.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &eventsPage{Items: []EventView{}}
	for i, e := range es {
		if i == limit {
			out.NextPageToken = page.Encode(es[i-1].Seq)
			break
		}
		out.Items = append(out.Items, view(e))
	}
	return out, nil
}

// Verification is the outcome of walking the chain.
type Verification struct {
	Count  int64  `json:"count"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func (s *Service) verify(ctx context.Context, _ *struct{}) (*Verification, error) {
	n, err := s.d.Events.Verify(ctx)
	switch {
	case errs.Is(err, errs.Precondition): // the answer to the question, not a failure to answer
		return &Verification{Count: n, Detail: err.Error()}, nil
	case err != nil:
		return nil, err
	}
	return &Verification{Count: n, OK: true, Detail: fmt.Sprintf("the chain of %d events is whole", n)}, nil
}

type jobsQuery struct {
	State string `query:"state" doc:"ready, running, done or failed" enum:"ready,running,done,failed"`
	Limit int    `query:"limit" doc:"At most this many, 1 to 1000; 200 when left out" minimum:"0" maximum:"1000"`
}

type jobsPage struct {
	Items []jobs.Job `json:"items"`
}

func (s *Service) listJobs(ctx context.Context, in *jobsQuery) (*jobsPage, error) {
	items, err := s.d.Jobs.List(ctx, jobs.State(in.State), page.Limit(in.Limit, 200, 1000))
	return &jobsPage{Items: items}, err
}

type jobID struct {
	ID string `path:"id" maxLength:"100"`
}

func (s *Service) retryJob(ctx context.Context, in *jobID) (*httpx.None, error) {
	return nil, s.d.Jobs.Retry(ctx, in.ID)
}

type lineageQuery struct {
	Node      string    `query:"node" required:"true" doc:"kind:id, e.g. version:bike-demand/3" maxLength:"512"`
	Depth     int       `query:"depth" doc:"Steps to walk, 1 to 12; 3 when left out"`
	Direction Direction `query:"direction" doc:"up, down or both (default)"`
}

func (s *Service) getLineage(ctx context.Context, in *lineageQuery) (*Graph, error) {
	g, err := s.Lineage(ctx, in.Node, in.Depth, in.Direction)
	return &g, err
}

const (
	maxStreams = 256
	heartbeat  = 15 * time.Second
	replay     = 500              // events read at a time when catching up
	patience   = 20 * time.Second // a client that takes no bytes for so long is dropped
)

// stream sends events as they are sequenced (server-sent events). A client that comes back with Last-Event-ID (or ?after=) gets
// first what it missed. A comment every 15 s keeps proxies from closing the line.
func (s *Service) stream(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	f, err := filterOf(q.Get("type"), q.Get("kind"), q.Get("id"))
	last, given, err2 := resumeAt(req)
	if err == nil {
		err = err2
	}
	if err != nil {
		s.router.Error(w, req, err)
		return
	}
	defer s.m.streams.Set(float64(s.streams.Add(-1)))
	n := s.streams.Add(1)
	s.m.streams.Set(float64(n))
	if n > maxStreams {
		s.router.Error(w, req, errs.E(errs.Unavailable, "governance.stream", "too many live streams are open", nil).WithHint("close some pages, or ask GET /api/v1/events"))
		return
	}
	ch, stop := s.d.Events.Watch() // before the head is read, so that nothing falls between
	defer stop()
	if !given {
		head, err := s.d.Events.List(req.Context(), events.Filter{Limit: 1})
		if err != nil {
			s.router.Error(w, req, err)
			return
		}
		if len(head) > 0 {
			last = head[0].Seq
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := &sender{w: w, rc: http.NewResponseController(w), s: s, filter: f, last: last}
	if out.write("retry: 2000\n\n") != nil || out.catchUp(req.Context()) != nil {
		return
	}
	s.live(req.Context(), out, ch)
}

func (s *Service) live(ctx context.Context, out *sender, ch <-chan events.Event) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			err = out.write(": still here\n\n")
		case e := <-ch:
			err = out.next(ctx, e)
		}
		if err != nil {
			return
		}
	}
}

// resumeAt is the number of the last event that the client has seen.
func resumeAt(req *http.Request) (seq int64, given bool, err error) {
	v := req.Header.Get("Last-Event-ID")
	if v == "" {
		v = req.URL.Query().Get("after")
	}
	if v == "" {
		return 0, false, nil
	}
	seq, e := strconv.ParseInt(v, 10, 64)
	if e != nil || seq < 0 {
		return 0, false, errs.Invalidf("governance.stream", "the stream cannot start there").WithField("Last-Event-ID", "expected the sequence number of an event")
	}
	return seq, true, nil
}

// sender writes events to one client, in order and without gaps.
type sender struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	s      *Service
	filter events.Filter
	last   int64 // every event up to this number was sent or did not match
}

func (o *sender) write(text string) error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}

func (o *sender) send(e events.Event) error {
	b, err := json.Marshal(view(e))
	if err != nil {
		return err
	}
	return o.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, b))
}

// next sends an event that was just sequenced, after those that the watch dropped, if any.
func (o *sender) next(ctx context.Context, e events.Event) error {
	switch {
	case e.Seq <= o.last:
		return nil
	case e.Seq > o.last+1:
		return o.catchUp(ctx)
	}
	o.last = e.Seq
	if f := o.filter; !strings.HasPrefix(e.Type, f.TypePrefix) || (f.Resource.Kind != "" && f.Resource.Kind != e.Resource.Kind) ||
		(f.Resource.ID != "" && f.Resource.ID != e.Resource.ID) {
		return nil
	}
	return o.send(e)
}

// catchUp sends what lies between the last event seen and the head of the log.
func (o *sender) catchUp(ctx context.Context) error {
	head, err := o.s.d.Events.List(ctx, events.Filter{Limit: 1})
	if err != nil || len(head) == 0 {
		return err
	}
	f := o.filter
	f.Ascending, f.Limit = true, replay
	for {
		f.After = o.last
		es, err := o.s.d.Events.List(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range es {
			if err := o.send(e); err != nil {
				return err
			}
			o.last = e.Seq
		}
		if len(es) < replay {
			o.last = max(o.last, head[0].Seq)
			return nil
		}
	}
}
