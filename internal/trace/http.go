package trace

import (
	"context"
	"encoding/json"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// Routes registers the native API.
func (s *Service) Routes(r *httpx.Router) {
	httpx.Post(r, "/api/v1/traces/search", "trace:read", "Search traces with the MLflow filter language", s.searchHTTP)
	httpx.Post(r, "/api/v1/traces/delete", "trace:write", "Move traces of an experiment to the trash", s.deleteManyHTTP)
	httpx.Get(r, "/api/v1/traces/{id}", "trace:read", "One trace with its spans", s.getHTTP)
	httpx.Patch(r, "/api/v1/traces/{id}", "trace:write", "Set or remove tags of a trace", s.patchHTTP)
	httpx.Delete(r, "/api/v1/traces/{id}", "trace:write", "Move a trace to the trash", s.deleteHTTP)
	httpx.Create(r, "/api/v1/traces/{id}/assessments", "trace:write", "Add feedback or an expectation to a trace", s.assessHTTP)
	httpx.Patch(r, "/api/v1/traces/{id}/assessments/{assessment}", "trace:write", "Change an assessment", s.reassessHTTP)
	httpx.Delete(r, "/api/v1/traces/{id}/assessments/{assessment}", "trace:write", "Remove an assessment", s.unassessHTTP)
}

// View is a trace in the native API.
type View struct {
	ID              string            `json:"id"`
	ExperimentID    string            `json:"experiment_id"`
	Name            string            `json:"name"`
	State           State             `json:"state" enum:"OK,ERROR,IN_PROGRESS,STATE_UNSPECIFIED"`
	StartTime       time.Time         `json:"start_time"`
	Duration        *float64          `json:"duration_ms,omitempty" doc:"Missing while it runs"`
	RequestPreview  string            `json:"request_preview"`
	ResponsePreview string            `json:"response_preview"`
	ClientRequestID string            `json:"client_request_id,omitempty"`
	RunID           string            `json:"run_id,omitempty"`
	Session         string            `json:"session_id,omitempty"`
	User            string            `json:"user,omitempty"`
	Tokens          *Tokens           `json:"tokens,omitempty"`
	Cost            *float64          `json:"cost_usd,omitempty"`
	SpanCount       int               `json:"span_count"`
	Tags            map[string]string `json:"tags"`
	Metadata        map[string]string `json:"metadata"`
	Assessments     []Assessment      `json:"assessments"`
}

func view(t *Trace) View {
	v := View{ID: t.ID, ExperimentID: t.ExperimentID, Name: t.Name, State: t.State, StartTime: t.Start, ClientRequestID: t.ClientRequestID, RunID: t.RunID(),
		Session: t.Metadata[MetaSession], User: t.Metadata[MetaUser], Tokens: t.Tokens(), SpanCount: t.SpanCount, Tags: t.Tags, Metadata: t.Metadata, Assessments: t.Assessments}
	if t.Duration != nil {
		ms := float64(t.Duration.Microseconds()) / 1000
		v.Duration = &ms
	}
	if t.RequestPreview != nil {
		v.RequestPreview = *t.RequestPreview
	}
	if t.ResponsePreview != nil {
		v.ResponsePreview = *t.ResponsePreview
	}
	var cost struct {
		Total *float64 `json:"total_cost"`
	}
	if c := t.Metadata[MetaCost]; c != "" && json.Unmarshal([]byte(c), &cost) == nil {
		v.Cost = cost.Total
	}
	if v.Assessments == nil {
		v.Assessments = []Assessment{}
	}
	return v
}

// AttributeView is an attribute with any JSON value.
type AttributeView struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// EventView is something that happened in a span.
type EventView struct {
	Name       string          `json:"name"`
	Offset     float64         `json:"offset_ms" doc:"After the start of the trace"`
	Attributes []AttributeView `json:"attributes"`
}

// SpanView is a span in the native API. Times are milliseconds after the first span began.
type SpanView struct {
	ID         string          `json:"id"`
	ParentID   string          `json:"parent_id,omitempty"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Status     SpanStatus      `json:"status" enum:"UNSET,OK,ERROR"`
	Message    string          `json:"message,omitempty"`
	Offset     float64         `json:"offset_ms"`
	Duration   *float64        `json:"duration_ms,omitempty" doc:"Missing while it runs"`
	Inputs     any             `json:"inputs,omitempty"`
	Outputs    any             `json:"outputs,omitempty"`
	Attributes []AttributeView `json:"attributes"`
	Events     []EventView     `json:"events"`
	Links      []LinkView      `json:"links,omitempty"`
}

// LinkView points at another span.
type LinkView struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
}

// Detail is a trace with its spans.
type Detail struct {
	View
	Spans   []SpanView `json:"spans"`
	Runs    []string   `json:"runs" doc:"Runs that the trace was linked to"`
	Prompts []string   `json:"prompts" doc:"Prompt versions that it used, as name/version"`
}

func viewSpans(spans []Span) []SpanView {
	if len(spans) == 0 {
		return []SpanView{}
	}
	zero := spans[0].Start
	for i := range spans {
		zero = min(zero, spans[i].Start)
	}
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	out := make([]SpanView, len(spans))
	for i := range spans {
		s := &spans[i]
		v := SpanView{ID: s.ID, ParentID: s.ParentID, Name: s.Name, Type: s.Type(), Status: s.Status, Message: s.Message, Offset: ms(s.Start - zero),
			Inputs: loose(s.Get(AttrInputs)), Outputs: loose(s.Get(AttrOutputs)), Attributes: []AttributeView{}, Events: []EventView{}}
		if s.End != 0 {
			d := ms(max(0, s.End-s.Start))
			v.Duration = &d
		}
		for _, a := range s.Attributes {
			switch a.Key {
			case AttrInputs, AttrOutputs, AttrType, AttrTraceID:
			default:
				v.Attributes = append(v.Attributes, AttributeView{a.Key, loose(a.Value)})
			}
		}
		for _, ev := range s.Events {
			e := EventView{Name: ev.Name, Offset: ms(ev.Time - zero), Attributes: []AttributeView{}}
			for _, a := range ev.Attributes {
				e.Attributes = append(e.Attributes, AttributeView{a.Key, loose(a.Value)})
			}
			v.Events = append(v.Events, e)
		}
		for _, l := range s.Links {
			v.Links = append(v.Links, LinkView{"tr-" + l.TraceID, l.SpanID})
		}
		out[i] = v
	}
	return out
}

// loose hands JSON through as it is.
func loose(v json.RawMessage) any {
	if len(v) == 0 {
		return nil
	}
	return v
}

type searchIn struct {
	Body struct {
		ExperimentIDs []string `json:"experiment_ids"`
		Filter        string   `json:"filter,omitempty" doc:"for example trace.status = 'ERROR' and feedback.score > 0.5"`
		State         State    `json:"state,omitempty" enum:"OK,ERROR,IN_PROGRESS,STATE_UNSPECIFIED" doc:"Only traces in this state"`
		OrderBy       []string `json:"order_by,omitempty" doc:"timestamp_ms, execution_time_ms, status, name and the like, with ASC or DESC"`
		PageSize      int      `json:"page_size,omitempty" minimum:"0" maximum:"500"`
		PageToken     string   `json:"page_token,omitempty"`
	}
}

type viewList struct {
	Items []View `json:"items"`
	Next  string `json:"next_page_token,omitempty"`
}

func (s *Service) searchHTTP(ctx context.Context, in *searchIn) (*viewList, error) {
	ts, next, err := s.Search(ctx, Query{ExperimentIDs: in.Body.ExperimentIDs, Filter: in.Body.Filter, State: in.Body.State, OrderBy: in.Body.OrderBy, Limit: in.Body.PageSize, PageToken: in.Body.PageToken})
	out := &viewList{Items: make([]View, len(ts)), Next: next}
	for i := range ts {
		out.Items[i] = view(&ts[i])
	}
	return out, err
}

type byID struct {
	ID string `path:"id" maxLength:"100"`
}

func (s *Service) getHTTP(ctx context.Context, in *byID) (*Detail, error) {
	t, spans, err := s.Whole(ctx, in.ID, true)
	if err != nil {
		return nil, err
	}
	runs, prompts, err := s.Links(ctx, in.ID)
	out := &Detail{View: view(&t), Spans: viewSpans(spans), Runs: append([]string{}, runs...), Prompts: append([]string{}, prompts...)}
	return out, err
}

type patchIn struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Tags map[string]*string `json:"tags" doc:"null removes a tag"`
	}
}

func (s *Service) patchHTTP(ctx context.Context, in *patchIn) (*View, error) {
	for k, v := range in.Body.Tags {
		var err error
		switch {
		case k == TagSpansLocation || k == TagArtifacts:
			err = errs.Invalidf("trace.tag", "the tag %s is the server's own", k).WithField("tags", "expected another key")
		case v == nil:
			err = s.DeleteTag(ctx, in.ID, k)
		default:
			err = s.SetTag(ctx, in.ID, k, *v)
		}
		if err != nil {
			return nil, err
		}
	}
	t, err := s.Get(ctx, in.ID)
	v := view(&t)
	return &v, err
}

func (s *Service) deleteHTTP(ctx context.Context, in *byID) (*httpx.None, error) {
	t, err := s.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	_, err = s.Delete(ctx, Deletion{ExperimentID: t.ExperimentID, IDs: []string{in.ID}})
	return nil, err
}

type deleteManyIn struct {
	Body struct {
		ExperimentID string     `json:"experiment_id"`
		IDs          []string   `json:"ids,omitempty" doc:"These traces; or"`
		Before       *time.Time `json:"before,omitempty" doc:"all that started no later"`
		Max          int        `json:"max,omitempty" minimum:"0" doc:"At most so many, the oldest first"`
	}
}

type deletedCount struct {
	Deleted int64 `json:"deleted"`
}

func (s *Service) deleteManyHTTP(ctx context.Context, in *deleteManyIn) (*deletedCount, error) {
	n, err := s.Delete(ctx, Deletion{ExperimentID: in.Body.ExperimentID, IDs: in.Body.IDs, Before: in.Body.Before, Max: in.Body.Max})
	return &deletedCount{n}, err
}

type assessIn struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Name       string            `json:"name"`
		Kind       AssessmentKind    `json:"kind" enum:"feedback,expectation"`
		Value      any               `json:"value"`
		SourceType SourceType        `json:"source_type,omitempty" enum:"HUMAN,LLM_JUDGE,CODE" doc:"HUMAN when left out"`
		SourceID   string            `json:"source_id,omitempty"`
		SpanID     string            `json:"span_id,omitempty"`
		Rationale  string            `json:"rationale,omitempty"`
		Metadata   map[string]string `json:"metadata,omitempty"`
		Overrides  string            `json:"overrides,omitempty"`
	}
}

func (s *Service) assessHTTP(ctx context.Context, in *assessIn) (*Assessment, error) {
	b := &in.Body
	value, err := json.Marshal(b.Value)
	if err != nil {
		return nil, errs.E(errs.Invalid, "trace.assess", "the value is not JSON", err)
	}
	if b.SourceType == "" {
		b.SourceType = SourceHuman
	}
	a, err := s.Assess(ctx, Assessment{TraceID: in.ID, Name: b.Name, Kind: b.Kind, Value: value, SourceType: b.SourceType, SourceID: b.SourceID, SpanID: b.SpanID,
		Rationale: b.Rationale, Metadata: b.Metadata, Overrides: b.Overrides})
	return &a, err
}

type assessmentPath struct {
	ID         string `path:"id" maxLength:"100"`
	Assessment string `path:"assessment" maxLength:"100"`
}

type reassessIn struct {
	assessmentPath
	Body struct {
		Kind      AssessmentKind    `json:"kind,omitempty" enum:"feedback,expectation" doc:"Needed with value"`
		Value     any               `json:"value,omitempty"`
		Rationale *string           `json:"rationale,omitempty"`
		Metadata  map[string]string `json:"metadata,omitempty"`
	}
}

func (s *Service) reassessHTTP(ctx context.Context, in *reassessIn) (*Assessment, error) {
	ch := AssessmentChange{Kind: in.Body.Kind, Rationale: in.Body.Rationale, Metadata: in.Body.Metadata}
	if in.Body.Kind != "" {
		var err error
		if ch.Value, err = json.Marshal(in.Body.Value); err != nil {
			return nil, errs.E(errs.Invalid, "trace.reassess", "the value is not JSON", err)
		}
	}
	a, err := s.Reassess(ctx, in.ID, in.Assessment, ch)
	return &a, err
}

func (s *Service) unassessHTTP(ctx context.Context, in *assessmentPath) (*httpx.None, error) {
	return nil, s.Unassess(ctx, in.ID, in.Assessment)
}
