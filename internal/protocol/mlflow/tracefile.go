package mlflow

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/trace"
)

// fileSpan is a span in traces.json. The newer form has OTLP's names, ids in base64 and attribute values as JSON text; the older one (2.x)
// has a context, ids in hex with 0x, and state by code.
type fileSpan struct {
	TraceID    string                     `json:"trace_id,omitempty"`
	SpanID     string                     `json:"span_id,omitempty"`
	ParentSpan *string                    `json:"parent_span_id"`
	Name       string                     `json:"name"`
	StartNano  integer                    `json:"start_time_unix_nano,omitempty"`
	EndNano    integer                    `json:"end_time_unix_nano,omitempty"`
	Events     []fileEvent                `json:"events"`
	Status     fileStatus                 `json:"status"`
	Attributes map[string]json.RawMessage `json:"attributes"`
	Links      []fileLink                 `json:"links"`

	Context *struct {
		SpanID string `json:"span_id"`
	} `json:"context,omitempty"`
	Parent  *string `json:"parent_id,omitempty"`
	Start   integer `json:"start_time,omitempty"`
	End     integer `json:"end_time,omitempty"`
	Code    string  `json:"status_code,omitempty"`
	Message string  `json:"status_message,omitempty"`
}

type fileEvent struct {
	Name       string                     `json:"name"`
	Nano       integer                    `json:"time_unix_nano,omitempty"`
	Time       integer                    `json:"timestamp,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// fileLink has its ids in hex, that of the trace as MLflow's.
type fileLink struct {
	TraceID    string                     `json:"trace_id"`
	SpanID     string                     `json:"span_id"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// link is nil for ids that are not OpenTelemetry's: they name nothing that could be here, and the span is worth more than its link.
func (l *fileLink) link() *trace.SpanLink {
	out := trace.SpanLink{TraceID: strings.ToLower(strings.TrimPrefix(l.TraceID, "tr-")), SpanID: fileID(l.SpanID), Attributes: fileAttributes(l.Attributes)}
	if !isHex(out.TraceID, 32) || !isHex(out.SpanID, 16) {
		return nil
	}
	return &out
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

func fileAttributes(in map[string]json.RawMessage) (out []trace.Attribute) {
	for k, v := range in {
		out = append(out, trace.Attribute{Key: k, Value: v})
	}
	trace.SortAttributes(out)
	return out
}

func attributesOfFile(in []trace.Attribute) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(in))
	for _, a := range in {
		out[a.Key] = bytes.Clone(a.Value)
	}
	return out
}

type fileStatus struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// spansOfFile reads a traces.json of either form.
func spansOfFile(raw []byte) ([]trace.Span, error) {
	if tooDeep(raw) {
		return nil, badOTLP("the file is nested deeper than %d levels", maxNesting)
	}
	var in struct {
		Spans []fileSpan `json:"spans"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, errs.E(errs.Invalid, "mlflow.traces_json", "traces.json cannot be read", err)
	}
	if len(in.Spans) > maxOTLPSpans {
		return nil, badOTLP("the file has more than %d spans", maxOTLPSpans)
	}
	out := make([]trace.Span, 0, len(in.Spans))
	for i := range in.Spans {
		s := in.Spans[i].span()
		trace.Normalize(&s)
		out = append(out, s)
	}
	return out, nil
}

func (f *fileSpan) span() trace.Span {
	s := trace.Span{ID: fileID(f.SpanID), Name: f.Name, Start: int64(f.StartNano), End: int64(f.EndNano), Message: f.Status.Message}
	code := f.Status.Code
	if f.ParentSpan != nil {
		s.ParentID = fileID(*f.ParentSpan)
	}
	if f.Context != nil { // the older form
		s.ID, s.Start, s.End, s.Message, code = fileID(f.Context.SpanID), int64(f.Start), int64(f.End), f.Message, f.Code
		if f.Parent != nil {
			s.ParentID = fileID(*f.Parent)
		}
	}
	switch strings.TrimPrefix(code, "STATUS_CODE_") {
	case "OK":
		s.Status = trace.SpanOK
	case "ERROR":
		s.Status = trace.SpanError
	default:
		s.Status = trace.SpanUnset
	}
	for k, v := range f.Attributes {
		var text string
		if json.Unmarshal(v, &text) == nil && json.Valid([]byte(text)) { // values are JSON text
			v = json.RawMessage(text)
		}
		s.Attributes = append(s.Attributes, trace.Attribute{Key: k, Value: v})
	}
	for _, ev := range f.Events {
		e := trace.SpanEvent{Name: ev.Name, Time: int64(max(ev.Nano, ev.Time))}
		if ev.Nano == 0 {
			e.Time = int64(ev.Time) * 1000 // the older form has microseconds
		}
		e.Attributes = fileAttributes(ev.Attributes)
		s.Events = append(s.Events, e)
	}
	for i := range f.Links {
		if l := f.Links[i].link(); l != nil {
			s.Links = append(s.Links, *l)
		}
	}
	trace.SortAttributes(s.Attributes)
	return s
}

// fileID makes the hex form of a span id: from base64, or from hex with 0x.
func fileID(id string) string {
	if h, ok := strings.CutPrefix(id, "0x"); ok {
		if len(h) < 16 {
			h = strings.Repeat("0", 16-len(h)) + h
		}
		return strings.ToLower(h)
	}
	if raw, err := base64.StdEncoding.DecodeString(id); err == nil && len(raw) == 8 {
		return hex.EncodeToString(raw)
	}
	return strings.ToLower(id)
}

// fileOf makes the newer form of traces.json.
func fileOf(traceID string, spans []trace.Span) any {
	out := struct {
		Spans []fileSpan `json:"spans"`
	}{Spans: make([]fileSpan, len(spans))}
	for i := range spans {
		s := &spans[i]
		f := fileSpan{TraceID: base64ID(otelTraceID(traceID)), SpanID: base64ID(s.ID), Name: s.Name, StartNano: integer(s.Start), EndNano: integer(s.End),
			Status: fileStatus{"STATUS_CODE_" + string(s.Status), s.Message}, Attributes: map[string]json.RawMessage{}, Events: []fileEvent{}, Links: []fileLink{}}
		if s.ParentID != "" {
			p := base64ID(s.ParentID)
			f.ParentSpan = &p
		}
		for _, a := range s.Attributes {
			f.Attributes[a.Key] = jsonString(nil, string(a.Value))
		}
		f.Attributes[trace.AttrTraceID] = jsonString(nil, fmt.Sprintf("%q", traceID))
		for _, ev := range s.Events {
			f.Events = append(f.Events, fileEvent{Name: ev.Name, Nano: integer(ev.Time), Attributes: attributesOfFile(ev.Attributes)})
		}
		for _, l := range s.Links {
			f.Links = append(f.Links, fileLink{"tr-" + l.TraceID, l.SpanID, attributesOfFile(l.Attributes)})
		}
		out.Spans[i] = f
	}
	return out
}
