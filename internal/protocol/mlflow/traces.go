package mlflow

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/trace"
)

const (
	traceRead  httpx.Action = "trace:read"
	traceWrite httpx.Action = "trace:write"
)

func (e *Edge) traceRoutes(at registrar) {
	const v2, v3 = "/2.0/mlflow/traces", "/3.0/mlflow/traces"
	at("POST", v3, traceWrite, call(e, e.startTrace))
	at("GET", v3+"/get", traceRead, call(e, e.getTrace))
	at("GET", v3+"/batchGet", traceRead, call(e, e.batchGetTraces))
	at("POST", v3+"/batchGetInfos", traceRead, call(e, e.batchGetTraceInfos))
	at("POST", v3+"/search", traceRead, call(e, e.searchTraces))
	at("POST", v3+"/metrics", traceRead, call(e, e.queryTraceMetrics))
	at("GET", v3+"/{trace_id}", traceRead, call(e, e.getTraceInfo))
	at("POST", v3+"/calculate-filter-correlation", traceRead, call(e, e.correlateTraces))
	at("POST", v2, traceWrite, call(e, e.startTraceV2))
	at("GET", v2, traceRead, call(e, e.searchTracesV2))
	at("PATCH", v2+"/{trace_id}", traceWrite, call(e, e.endTraceV2))
	at("GET", v2+"/{trace_id}/info", traceRead, call(e, e.getTraceInfoV2))
	at("POST", v2+"/link-to-run", traceWrite, call(e, e.linkTracesToRun))
	at("POST", v2+"/link-prompts", traceWrite, call(e, e.linkPrompts))
	for _, v := range []string{v2, v3} {
		at("PATCH", v+"/{trace_id}/tags", traceWrite, call(e, e.setTraceTag))
		at("DELETE", v+"/{trace_id}/tags", traceWrite, call(e, e.deleteTraceTag))
		at("POST", v+"/delete-traces", traceWrite, call(e, e.deleteTraces))
	}
	for _, v := range []string{"/2.0/mlflow", "/3.0/mlflow"} {
		at("GET", v+"/get-trace-artifact", traceRead, e.getTraceArtifact)
	}
	e.assessmentRoutes(at)
}

// timestamp is protobuf's JSON form of a moment: RFC 3339 with none, three, six or nine digits of the second.
type timestamp time.Time

// MarshalJSON writes the moment in UTC.
func (t timestamp) MarshalJSON() ([]byte, error) {
	u := time.Time(t).UTC()
	layout := "2006-01-02T15:04:05Z"
	if u.Nanosecond() != 0 {
		layout = "2006-01-02T15:04:05.000Z"
	}
	return []byte(`"` + u.Format(layout) + `"`), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("expected a time such as 2026-01-31T12:00:00.5Z, got %.60s", b)
	}
	if s == "" {
		return nil
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("expected a time such as 2026-01-31T12:00:00.5Z, got %.60q", s)
	}
	*t = timestamp(v.UTC())
	return nil
}

// duration is protobuf's JSON form of a span of time: "1.5s".
type duration time.Duration

// MarshalJSON writes seconds with none or three digits.
func (d duration) MarshalJSON() ([]byte, error) {
	ms := time.Duration(d).Milliseconds()
	if ms%1000 == 0 {
		return fmt.Appendf(nil, `"%ds"`, ms/1000), nil
	}
	return fmt.Appendf(nil, `"%d.%03ds"`, ms/1000, ms%1000), nil
}

// UnmarshalJSON reads seconds.
func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("expected a duration such as 1.5s, got %.60s", b)
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "s"), 64)
	if err != nil || !strings.HasSuffix(s, "s") || math.Abs(f) > 1e9 || math.IsNaN(f) {
		return fmt.Errorf("expected a duration such as 1.5s, got %.60q", s)
	}
	*d = duration(math.Round(f * 1e9))
	return nil
}

type traceLocation struct {
	Type       string        `json:"type"`
	Experiment *experimentID `json:"mlflow_experiment,omitempty"`
}

// traceInfo is MLflow's TraceInfoV3.
type traceInfo struct {
	ID              string            `json:"trace_id"`
	ClientRequestID string            `json:"client_request_id,omitempty"`
	Location        traceLocation     `json:"trace_location"`
	Request         *string           `json:"request_preview,omitempty"`
	Response        *string           `json:"response_preview,omitempty"`
	Time            timestamp         `json:"request_time"`
	Duration        *duration         `json:"execution_duration,omitempty"`
	State           enumName          `json:"state"`
	Metadata        map[string]string `json:"trace_metadata,omitempty"`
	Assessments     []assessment      `json:"assessments,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
}

// truth is a bool that Python may have written.
type truth bool

// UnmarshalJSON reads true, false, True and False.
func (t *truth) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true", "1":
		*t = true
	case "false", "0", "null", "":
		*t = false
	default:
		return fmt.Errorf("expected true or false, got %.20s", b)
	}
	return nil
}

// enumName is an enum by name; protobuf takes its number too.
type enumName string

// UnmarshalJSON reads a name or a number.
func (n *enumName) UnmarshalJSON(b []byte) error {
	*n = enumName(strings.Trim(string(b), `"`))
	return nil
}

func (n enumName) state() trace.State {
	switch n {
	case "", "null", "0":
		return trace.StateUnspecified
	case "1":
		return trace.StateOK
	case "2":
		return trace.StateError
	case "3":
		return trace.StateInProgress
	}
	return trace.State(n)
}

func fromTrace(t trace.Trace) traceInfo {
	out := traceInfo{
		ID: t.ID, ClientRequestID: t.ClientRequestID, Location: traceLocation{"MLFLOW_EXPERIMENT", &experimentID{t.ExperimentID}},
		Request: t.RequestPreview, Response: t.ResponsePreview, Time: timestamp(t.Start), State: enumName(t.State), Metadata: t.Metadata, Tags: t.Tags,
	}
	if t.Duration != nil {
		d := duration(*t.Duration)
		out.Duration = &d
	}
	for _, a := range t.Assessments {
		out.Assessments = append(out.Assessments, fromAssessment(a))
	}
	return out
}

// cutAll cuts tags or metadata that are too long, as MLflow does: a trace is not refused for them.
func cutAll(in map[string]string) map[string]string {
	for k, v := range in {
		in[k] = cut(v, trace.MaxTagValue)
	}
	return in
}

func (in *traceInfo) trace() (trace.NewTrace, error) {
	if in.Location.Experiment == nil || in.Location.Experiment.ID == "" {
		return trace.NewTrace{}, missing("trace.trace_info.trace_location.mlflow_experiment.experiment_id")
	}
	out := trace.NewTrace{
		ID: in.ID, ExperimentID: in.Location.Experiment.ID, Start: time.Time(in.Time), State: in.State.state(), ClientRequestID: in.ClientRequestID,
		RequestPreview: in.Request, ResponsePreview: in.Response, Tags: cutAll(in.Tags), Metadata: cutAll(in.Metadata),
	}
	if in.Duration != nil {
		d := time.Duration(*in.Duration)
		out.Duration = &d
	}
	for _, a := range in.Assessments {
		v, err := a.assessment()
		if err != nil {
			return out, err
		}
		out.Assessments = append(out.Assessments, v)
	}
	return out, nil
}

type traceBody struct {
	Info  traceInfo         `json:"trace_info"`
	Spans []json.RawMessage `json:"spans,omitempty"`
}

type traceReply struct {
	Trace traceBody `json:"trace"`
}

func (e *Edge) startTrace(ctx context.Context, in *struct {
	Trace *traceBody `json:"trace"`
}) (traceReply, error) {
	if in.Trace == nil {
		return traceReply{}, missing("trace")
	}
	n, err := in.Trace.Info.trace()
	if err != nil {
		return traceReply{}, err
	}
	t, err := e.d.Traces.Start(ctx, n)
	return traceReply{traceBody{Info: fromTrace(t)}}, err
}

type traceID struct {
	ID string `json:"trace_id" path:"trace_id"`
}

func (e *Edge) getTraceInfo(ctx context.Context, in *traceID) (traceReply, error) {
	t, err := e.d.Traces.Get(ctx, in.ID)
	return traceReply{traceBody{Info: fromTrace(t)}}, err
}

func (e *Edge) getTrace(ctx context.Context, in *struct {
	ID      string `json:"trace_id"`
	Partial truth  `json:"allow_partial"`
}) (traceReply, error) {
	if in.ID == "" {
		return traceReply{}, missing("trace_id")
	}
	t, spans, err := e.d.Traces.Whole(ctx, in.ID, bool(in.Partial))
	if err != nil {
		return traceReply{}, err
	}
	return traceReply{traceBody{fromTrace(t), otlpSpans(t.ID, spans)}}, nil
}

type traceIDs struct {
	IDs         []string `json:"trace_ids"`
	Experiments []string `json:"experiment_ids"`
}

// batchGetTraces leaves out traces whose spans are not all here, as MLflow does.
func (e *Edge) batchGetTraces(ctx context.Context, in *traceIDs) (any, error) {
	if len(in.IDs) == 0 {
		return nil, missing("trace_ids")
	}
	if len(in.IDs) > trace.MaxBatch {
		return nil, errs.Invalidf("mlflow.batch_get_traces", "a batch takes at most %d traces with their spans, got %d", trace.MaxBatch, len(in.IDs)).WithField("trace_ids", "expected fewer ids")
	}
	ts, err := e.d.Traces.Many(ctx, in.IDs, in.Experiments)
	if err != nil {
		return nil, err
	}
	out := struct {
		Traces []traceBody `json:"traces,omitempty"`
	}{}
	for _, t := range ts {
		spans, err := e.d.Traces.Spans(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		if t.SpanCount = len(spans); t.Complete() {
			out.Traces = append(out.Traces, traceBody{fromTrace(t), otlpSpans(t.ID, spans)})
		}
	}
	return out, nil
}

func (e *Edge) batchGetTraceInfos(ctx context.Context, in *traceIDs) (any, error) {
	if len(in.IDs) == 0 {
		return nil, missing("trace_ids")
	}
	ts, err := e.d.Traces.Many(ctx, in.IDs, in.Experiments)
	out := struct {
		Infos []traceInfo `json:"trace_infos,omitempty"`
	}{}
	for _, t := range ts {
		out.Infos = append(out.Infos, fromTrace(t))
	}
	return out, err
}

type searchTracesIn struct {
	Locations   []traceLocation `json:"locations"`
	Experiments []string        `json:"experiment_ids"` // of the older form
	Filter      string          `json:"filter"`
	Max         *integer        `json:"max_results"`
	OrderBy     []string        `json:"order_by"`
	PageToken   string          `json:"page_token"`
}

func (e *Edge) findTraces(ctx context.Context, in *searchTracesIn) ([]trace.Trace, string, error) {
	q := trace.Query{ExperimentIDs: in.Experiments, Filter: in.Filter, OrderBy: in.OrderBy, PageToken: in.PageToken}
	for _, l := range in.Locations {
		if l.Experiment != nil {
			q.ExperimentIDs = append(q.ExperimentIDs, l.Experiment.ID)
		}
	}
	if in.Max != nil {
		if *in.Max < 1 || *in.Max > trace.MaxPage {
			return nil, "", errs.Invalidf("mlflow.max_results", "Invalid value %d for parameter 'max_results' supplied. It must be between 1 and %d", *in.Max, trace.MaxPage).WithField("max_results", "expected 1 to %d", trace.MaxPage)
		}
		q.Limit = int(*in.Max)
	}
	return e.d.Traces.Search(ctx, q)
}

func (e *Edge) searchTraces(ctx context.Context, in *searchTracesIn) (any, error) {
	if len(in.Locations) == 0 {
		return nil, missing("locations")
	}
	ts, next, err := e.findTraces(ctx, in)
	out := struct {
		Traces []traceInfo `json:"traces,omitempty"`
		Next   string      `json:"next_page_token,omitempty"`
	}{Next: next}
	for _, t := range ts {
		out.Traces = append(out.Traces, fromTrace(t))
	}
	return out, err
}

func (e *Edge) setTraceTag(ctx context.Context, in *struct {
	ID    string `json:"-" path:"trace_id"`
	Key   string `json:"key"`
	Value string `json:"value"`
}) (none, error) {
	if err := checkTraceTag(in.Key, "set"); err != nil {
		return none{}, err
	}
	return none{}, e.d.Traces.SetTag(ctx, in.ID, in.Key, cut(in.Value, trace.MaxTagValue))
}

func (e *Edge) deleteTraceTag(ctx context.Context, in *struct {
	ID  string `json:"-" path:"trace_id"`
	Key string `json:"key"`
}) (none, error) {
	if err := checkTraceTag(in.Key, "deleted"); err != nil {
		return none{}, err
	}
	return none{}, e.d.Traces.DeleteTag(ctx, in.ID, in.Key)
}

// checkTraceTag keeps the tags that say where spans and files are out of clients' hands.
func checkTraceTag(key, what string) error {
	switch key {
	case "":
		return missing("key")
	case trace.TagSpansLocation, trace.TagArtifacts:
		return errs.Invalidf("mlflow.trace_tag", "the tag '%s' is the server's own and cannot be %s", key, what).WithField("key", "expected another key")
	}
	return nil
}

func (e *Edge) deleteTraces(ctx context.Context, in *struct {
	Experiment string   `json:"experiment_id"`
	Before     *integer `json:"max_timestamp_millis"`
	Max        *integer `json:"max_traces"`
	RequestIDs []string `json:"request_ids"`
	TraceIDs   []string `json:"trace_ids"`
}) (any, error) {
	if in.Experiment == "" {
		return nil, missing("experiment_id")
	}
	d := trace.Deletion{ExperimentID: in.Experiment, IDs: append(in.RequestIDs, in.TraceIDs...)}
	if in.Before != nil {
		t := time.UnixMilli(int64(*in.Before)).UTC()
		d.Before = &t
	}
	if in.Max != nil {
		if *in.Max <= 0 || *in.Max > math.MaxInt32 {
			return nil, errs.Invalidf("mlflow.delete_traces", "`max_traces` must be a positive integer, received %d.", *in.Max)
		}
		d.Max = int(*in.Max)
	}
	n, err := e.d.Traces.Delete(ctx, d)
	return struct {
		Deleted int64 `json:"traces_deleted"`
	}{n}, err
}

func (e *Edge) linkTracesToRun(ctx context.Context, in *struct {
	Run    string   `json:"run_id"`
	Traces []string `json:"trace_ids"`
}) (none, error) {
	if in.Run == "" {
		return none{}, missing("run_id")
	}
	if len(in.Traces) == 0 {
		return none{}, missing("trace_ids")
	}
	return none{}, e.d.Traces.LinkRun(ctx, in.Run, in.Traces)
}

func (e *Edge) linkPrompts(ctx context.Context, in *struct {
	ID      string `json:"trace_id"`
	Prompts []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"prompt_versions"`
}) (none, error) {
	if in.ID == "" {
		return none{}, missing("trace_id")
	}
	if len(in.Prompts) == 0 {
		return none{}, missing("prompt_versions")
	}
	prompts := make([]trace.PromptVersion, len(in.Prompts))
	for i, p := range in.Prompts {
		prompts[i] = trace.PromptVersion(p)
	}
	return none{}, e.d.Traces.LinkPrompts(ctx, in.ID, prompts)
}

func (e *Edge) correlateTraces(ctx context.Context, in *struct {
	Experiments []string `json:"experiment_ids"`
	First       string   `json:"filter_string1"`
	Second      string   `json:"filter_string2"`
	Base        string   `json:"base_filter"`
}) (any, error) {
	switch {
	case len(in.Experiments) == 0:
		return nil, missing("experiment_ids")
	case in.First == "":
		return nil, missing("filter_string1")
	case in.Second == "":
		return nil, missing("filter_string2")
	}
	c, err := e.d.Traces.Correlate(ctx, in.Experiments, in.First, in.Second, in.Base)
	out := struct {
		NPMI     *double `json:"npmi,omitempty"`
		Smoothed *double `json:"npmi_smoothed,omitempty"`
		First    int64   `json:"filter1_count"`
		Second   int64   `json:"filter2_count"`
		Joint    int64   `json:"joint_count"`
		Total    int64   `json:"total_count"`
	}{First: c.First, Second: c.Second, Joint: c.Joint, Total: c.Total}
	number := func(f float64) *double {
		if math.IsNaN(f) {
			return nil
		}
		v := double(f)
		return &v
	}
	out.NPMI, out.Smoothed = number(c.NPMI), number(c.Smoothed)
	return out, err
}

// traceInfoV2 is the form of clients before 3.0.
type traceInfoV2 struct {
	ID         string     `json:"request_id"`
	Experiment string     `json:"experiment_id"`
	Time       integer    `json:"timestamp_ms"`
	Duration   integer    `json:"execution_time_ms"`
	Status     string     `json:"status"`
	Metadata   []keyValue `json:"request_metadata,omitempty"`
	Tags       []keyValue `json:"tags,omitempty"`
}

func fromTraceV2(t trace.Trace) traceInfoV2 {
	out := traceInfoV2{ID: t.ID, Experiment: t.ExperimentID, Time: millis(t.Start), Status: string(t.State), Metadata: fromMap(t.Metadata), Tags: fromMap(t.Tags)}
	if t.State == trace.StateUnspecified {
		out.Status = "TRACE_STATUS_UNSPECIFIED"
	}
	if t.Duration != nil {
		out.Duration = integer(t.Duration.Milliseconds())
	}
	return out
}

type traceInfoV2Reply struct {
	Info traceInfoV2 `json:"trace_info"`
}

func (e *Edge) startTraceV2(ctx context.Context, in *struct {
	Experiment string     `json:"experiment_id"`
	Time       integer    `json:"timestamp_ms"`
	Metadata   []keyValue `json:"request_metadata"`
	Tags       []keyValue `json:"tags"`
}) (traceInfoV2Reply, error) {
	if in.Experiment == "" {
		return traceInfoV2Reply{}, missing("experiment_id")
	}
	t, err := e.d.Traces.Start(ctx, trace.NewTrace{ExperimentID: in.Experiment, Start: time.UnixMilli(int64(in.Time)).UTC(), State: trace.StateInProgress,
		Metadata: toMap(in.Metadata), Tags: toMap(in.Tags)})
	return traceInfoV2Reply{fromTraceV2(t)}, err
}

func (e *Edge) endTraceV2(ctx context.Context, in *struct {
	ID       string     `json:"-" path:"trace_id"`
	Time     integer    `json:"timestamp_ms"`
	Status   enumName   `json:"status"`
	Metadata []keyValue `json:"request_metadata"`
	Tags     []keyValue `json:"tags"`
}) (traceInfoV2Reply, error) {
	state := in.Status.state()
	if in.Status == "TRACE_STATUS_UNSPECIFIED" {
		state = trace.StateUnspecified
	}
	t, err := e.d.Traces.End(ctx, in.ID, time.UnixMilli(int64(in.Time)).UTC(), state, toMap(in.Tags), toMap(in.Metadata))
	return traceInfoV2Reply{fromTraceV2(t)}, err
}

func (e *Edge) getTraceInfoV2(ctx context.Context, in *traceID) (traceInfoV2Reply, error) {
	t, err := e.d.Traces.Get(ctx, in.ID)
	return traceInfoV2Reply{fromTraceV2(t)}, err
}

func (e *Edge) searchTracesV2(ctx context.Context, in *searchTracesIn) (any, error) {
	if len(in.Experiments) == 0 {
		return nil, missing("experiment_ids")
	}
	ts, next, err := e.findTraces(ctx, in)
	out := struct {
		Traces []traceInfoV2 `json:"traces,omitempty"`
		Next   string        `json:"next_page_token,omitempty"`
	}{Next: next}
	for _, t := range ts {
		out.Traces = append(out.Traces, fromTraceV2(t))
	}
	return out, err
}

func toMap(in []keyValue) map[string]string {
	out := make(map[string]string, len(in))
	for _, kv := range in {
		out[kv.Key] = kv.Value
	}
	return cutAll(out)
}

func fromMap(in map[string]string) []keyValue {
	out := make([]keyValue, 0, len(in))
	for k, v := range in {
		out = append(out, keyValue{k, v})
	}
	return out
}

// getTraceArtifact is the download of a trace's spans, or of one of its attachments, by MLflow's own user interface.
func (e *Edge) getTraceArtifact(w http.ResponseWriter, req *http.Request) {
	q, err := query(req)
	if err != nil {
		e.fail(w, req, err)
		return
	}
	id := q.Get("request_id")
	if id == "" {
		e.fail(w, req, missing("request_id"))
		return
	}
	if _, err := e.d.Traces.Get(req.Context(), id); err != nil {
		e.fail(w, req, err)
		return
	}
	if p := q.Get("path"); p != "" {
		e.send(w, req, trace.FilesRoot(id), "attachments/"+p)
		return
	}
	e.sendTraceData(w, req, id)
}
