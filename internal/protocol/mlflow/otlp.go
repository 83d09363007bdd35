package mlflow

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/trace"
)

// Bounds of an OTLP request, in bytes: as sent, and unpacked.
const (
	maxOTLP         = 32 << 20
	maxOTLPUnpacked = 64 << 20
	maxOTLPSpans    = 50_000
	maxValueDepth   = 32
)

func badOTLP(format string, args ...any) error {
	return errs.Invalidf("mlflow.otlp", "Invalid OpenTelemetry format: "+format, args...)
}

// exportTraces is POST /v1/traces of the OpenTelemetry protocol, protobuf or JSON. Spans that cannot be kept are counted in the answer
// (partial success); the others are durable when it comes.
func (e *Edge) exportTraces(w http.ResponseWriter, req *http.Request) {
	media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || (media != "application/x-protobuf" && media != "application/json") {
		e.fail(w, req, errs.Invalidf("mlflow.otlp", "Invalid Content-Type: %.100s. Expected: application/x-protobuf or application/json", req.Header.Get("Content-Type")))
		return
	}
	added, err := e.keepSpans(req, media == "application/json")
	if err != nil {
		e.fail(w, req, err)
		return
	}
	if media == "application/json" {
		out := map[string]any{}
		if added.Rejected > 0 {
			out["partialSuccess"] = map[string]any{"rejectedSpans": strconv.Itoa(added.Rejected), "errorMessage": added.Reason}
		}
		e.reply(w, req, out)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(partialSuccess(added))
}

// partialSuccess is an ExportTraceServiceResponse. It is written by hand, as is read below what the request is (TracesData has the same
// fields), because the package with the two brings a gRPC gateway.
func partialSuccess(a trace.Added) []byte {
	if a.Rejected == 0 {
		return nil
	}
	part := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(a.Rejected))
	part = protowire.AppendString(protowire.AppendTag(part, 2, protowire.BytesType), strings.ToValidUTF8(a.Reason, "\uFFFD"))
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), part)
}

func (e *Edge) keepSpans(req *http.Request, asJSON bool) (trace.Added, error) {
	exp := req.Header.Get("x-mlflow-experiment-id")
	if exp == "" {
		return trace.Added{}, errs.Invalidf("mlflow.otlp", "the header x-mlflow-experiment-id is missing").WithHint("set it to the id of an experiment, for example OTEL_EXPORTER_OTLP_HEADERS=x-mlflow-experiment-id=0")
	}
	body, err := httpx.ReadBody(req, maxOTLP)
	if err != nil {
		return trace.Added{}, err
	}
	if body, err = unpack(body, req.Header.Get("Content-Encoding")); err != nil {
		return trace.Added{}, err
	}
	batches, rejected, err := decodeOTLP(body, asJSON)
	if err != nil {
		return trace.Added{}, err
	}
	ctx := req.Context()
	added, err := e.d.Traces.AddSpans(ctx, exp, batches)
	if err != nil {
		return added, err
	}
	added.Rejected += rejected.Rejected
	if rejected.Reason != "" {
		added.Reason = rejected.Reason
	}
	if run := req.Header.Get("x-mlflow-run-id"); run != "" {
		if err := e.linkRoots(ctx, run, batches); err != nil {
			e.d.Log.Warn("traces were kept but not linked to their run", "run", run, "error", err)
		}
	}
	return added, nil
}

// linkRoots links the traces that came with their root to a run.
func (e *Edge) linkRoots(ctx context.Context, run string, batches []trace.SpanBatch) error {
	var ids []string
	for _, b := range batches {
		for i := range b.Spans {
			if b.Spans[i].ParentID == "" {
				ids = append(ids, b.TraceID)
				break
			}
		}
	}
	for len(ids) > 0 {
		n := min(len(ids), trace.MaxBatch)
		if err := e.d.Traces.LinkRun(ctx, run, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// unpack undoes a Content-Encoding; what it gives is bounded, however small the body was.
func unpack(body []byte, encoding string) ([]byte, error) {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate": // zlib by the standard, but some send raw deflate
		if r, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, errs.Invalidf("mlflow.otlp", "Unsupported Content-Encoding: %.60s", encoding).WithHint("send gzip, deflate or none")
	}
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(r, maxOTLPUnpacked+1))
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "mlflow.otlp", "Failed to decompress the payload", err)
	}
	if len(body) > maxOTLPUnpacked {
		return nil, errs.E(errs.Exhausted, "mlflow.otlp", fmt.Sprintf("the unpacked body is larger than %d bytes", maxOTLPUnpacked), nil).WithHint("export smaller batches")
	}
	return body, nil
}

// decodeOTLP reads a request into spans by trace. Spans that cannot be read at all are counted as rejected.
func decodeOTLP(body []byte, asJSON bool) ([]trace.SpanBatch, trace.Added, error) {
	if asJSON {
		if tooDeep(body) {
			return nil, trace.Added{}, badOTLP("the body is nested deeper than %d levels", maxNesting)
		}
		return decodeOTLPJSON(body)
	}
	var in otlp.TracesData
	if err := (proto.UnmarshalOptions{RecursionLimit: 200, DiscardUnknown: true}).Unmarshal(body, &in); err != nil {
		return nil, trace.Added{}, badOTLP("%v", err)
	}
	if len(in.ResourceSpans) == 0 {
		return nil, trace.Added{}, badOTLP("no spans found")
	}
	g := newGrouper()
	for _, rs := range in.ResourceSpans {
		res := protoAttributes(rs.GetResource().GetAttributes(), g)
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				g.add(hex.EncodeToString(s.TraceId), protoSpan(s, g), res)
			}
		}
	}
	return g.done()
}

// grouper collects spans by trace.
type grouper struct {
	at      map[string]int
	batches []trace.SpanBatch
	out     trace.Added
	n       int
	fault   error // of the span that is being read
}

func newGrouper() *grouper { return &grouper{at: map[string]int{}} }

func (g *grouper) note(err error) {
	if g.fault == nil {
		g.fault = err
	}
}

func (g *grouper) add(traceHex string, s trace.Span, resource []trace.Attribute) {
	fault := g.fault
	g.fault = nil
	if g.n++; fault == nil && g.n > maxOTLPSpans {
		fault = fmt.Errorf("a request takes at most %d spans", maxOTLPSpans)
	}
	if fault == nil && (len(traceHex) != 32 || strings.Trim(traceHex, "0") == "") {
		fault = errors.New("a trace id has 16 bytes that are not all zero")
	}
	if fault != nil {
		g.out.Rejected++
		if g.out.Reason == "" {
			g.out.Reason = fault.Error()
		}
		return
	}
	id := "tr-" + traceHex
	i, ok := g.at[id]
	if !ok {
		i = len(g.batches)
		g.at[id] = i
		b := trace.SpanBatch{TraceID: id, Resource: map[string]string{}}
		for _, a := range resource {
			b.Resource[a.Key] = valueText(a.Value)
		}
		g.batches = append(g.batches, b)
	}
	trace.Normalize(&s)
	g.batches[i].Spans = append(g.batches[i].Spans, s)
}

func (g *grouper) done() ([]trace.SpanBatch, trace.Added, error) {
	if g.n == 0 {
		return nil, g.out, badOTLP("no spans found")
	}
	return g.batches, g.out, nil
}

func valueText(v json.RawMessage) string {
	var s string
	if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}

func nanos(t uint64) int64 {
	if t > math.MaxInt64 {
		return -1 // refused by validation
	}
	return int64(t)
}

func protoSpan(s *otlp.Span, g *grouper) trace.Span {
	out := trace.Span{ID: hex.EncodeToString(s.SpanId), ParentID: parentID(hex.EncodeToString(s.ParentSpanId)), Name: s.Name, Start: nanos(s.StartTimeUnixNano), End: nanos(s.EndTimeUnixNano),
		Status: statusOf(int32(s.GetStatus().GetCode())), Message: s.GetStatus().GetMessage(), Attributes: protoAttributes(s.Attributes, g)}
	for _, ev := range s.Events {
		out.Events = append(out.Events, trace.SpanEvent{Name: ev.Name, Time: nanos(ev.TimeUnixNano), Attributes: protoAttributes(ev.Attributes, g)})
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, trace.SpanLink{TraceID: hex.EncodeToString(l.TraceId), SpanID: hex.EncodeToString(l.SpanId), Attributes: protoAttributes(l.Attributes, g)})
	}
	return out
}

// parentID: some exporters send zeros for none.
func parentID(id string) string {
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

func statusOf(code int32) trace.SpanStatus {
	switch code {
	case 1:
		return trace.SpanOK
	case 2:
		return trace.SpanError
	}
	return trace.SpanUnset
}

func protoAttributes(in []*common.KeyValue, g *grouper) []trace.Attribute {
	out := make([]trace.Attribute, 0, len(in))
	for _, kv := range in {
		v, err := protoValue(nil, kv.GetValue(), 0)
		if err != nil {
			g.note(err)
			continue
		}
		out = append(out, trace.Attribute{Key: kv.GetKey(), Value: v})
	}
	return out
}

var errDeep = fmt.Errorf("a value is nested deeper than %d levels", maxValueDepth)

// protoValue appends a value as JSON. Doubles keep a point or an exponent, so that they do not become integers; bytes become base64.
func protoValue(b []byte, v *common.AnyValue, depth int) ([]byte, error) {
	if depth > maxValueDepth {
		return nil, errDeep
	}
	var err error
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return jsonString(b, v.StringValue), nil
	case *common.AnyValue_BoolValue:
		return strconv.AppendBool(b, v.BoolValue), nil
	case *common.AnyValue_IntValue:
		return strconv.AppendInt(b, v.IntValue, 10), nil
	case *common.AnyValue_DoubleValue:
		return jsonDouble(b, v.DoubleValue), nil
	case *common.AnyValue_BytesValue:
		return jsonString(b, base64.StdEncoding.EncodeToString(v.BytesValue)), nil
	case *common.AnyValue_ArrayValue:
		b = append(b, '[')
		for i, item := range v.ArrayValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = protoValue(b, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case *common.AnyValue_KvlistValue:
		b = append(b, '{')
		for i, kv := range v.KvlistValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonString(b, kv.GetKey()), ':')
			if b, err = protoValue(b, kv.GetValue(), depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return append(b, "null"...), nil
}

func jsonString(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

func jsonDouble(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 0):
		return double(f).append(b)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// The JSON form of OTLP: ids in hex, names in camel case, 64-bit integers as strings or numbers.
type (
	jsonRequest struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes []jsonKeyValue `json:"attributes"`
			} `json:"resource"`
			ScopeSpans []struct {
				Spans []jsonSpan `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	jsonSpan struct {
		TraceID    string         `json:"traceId"`
		SpanID     string         `json:"spanId"`
		ParentID   string         `json:"parentSpanId"`
		Name       string         `json:"name"`
		Start      integer        `json:"startTimeUnixNano"`
		End        integer        `json:"endTimeUnixNano"`
		Attributes []jsonKeyValue `json:"attributes"`
		Events     []struct {
			Name       string         `json:"name"`
			Time       integer        `json:"timeUnixNano"`
			Attributes []jsonKeyValue `json:"attributes"`
		} `json:"events"`
		Links []struct {
			TraceID    string         `json:"traceId"`
			SpanID     string         `json:"spanId"`
			Attributes []jsonKeyValue `json:"attributes"`
		} `json:"links"`
		Status struct {
			Code    enumName `json:"code"`
			Message string   `json:"message"`
		} `json:"status"`
	}
	jsonKeyValue struct {
		Key   string    `json:"key"`
		Value jsonValue `json:"value"`
	}
	jsonValue struct {
		String *string          `json:"stringValue"`
		Bool   *bool            `json:"boolValue"`
		Int    *integer         `json:"intValue"`
		Double *double          `json:"doubleValue"`
		Bytes  *string          `json:"bytesValue"`
		Array  *jsonArray       `json:"arrayValue"`
		List   *jsonKeyValueSet `json:"kvlistValue"`
	}
	jsonArray struct {
		Values []jsonValue `json:"values"`
	}
	jsonKeyValueSet struct {
		Values []jsonKeyValue `json:"values"`
	}
)

func decodeOTLPJSON(body []byte) ([]trace.SpanBatch, trace.Added, error) {
	var in jsonRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, trace.Added{}, badOTLP("%v", err)
	}
	g := newGrouper()
	for _, rs := range in.ResourceSpans {
		res := jsonAttributes(rs.Resource.Attributes, g)
		for _, ss := range rs.ScopeSpans {
			for i := range ss.Spans {
				g.add(strings.ToLower(ss.Spans[i].TraceID), ss.Spans[i].span(g), res)
			}
		}
	}
	return g.done()
}

func (s *jsonSpan) span(g *grouper) trace.Span {
	out := trace.Span{ID: strings.ToLower(s.SpanID), ParentID: parentID(strings.ToLower(s.ParentID)), Name: s.Name, Start: int64(s.Start), End: int64(s.End),
		Message: s.Status.Message, Attributes: jsonAttributes(s.Attributes, g)}
	switch s.Status.Code {
	case "1", "STATUS_CODE_OK":
		out.Status = trace.SpanOK
	case "2", "STATUS_CODE_ERROR":
		out.Status = trace.SpanError
	default:
		out.Status = trace.SpanUnset
	}
	for _, ev := range s.Events {
		out.Events = append(out.Events, trace.SpanEvent{Name: ev.Name, Time: int64(ev.Time), Attributes: jsonAttributes(ev.Attributes, g)})
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, trace.SpanLink{TraceID: strings.ToLower(l.TraceID), SpanID: strings.ToLower(l.SpanID), Attributes: jsonAttributes(l.Attributes, g)})
	}
	return out
}

func jsonAttributes(in []jsonKeyValue, g *grouper) []trace.Attribute {
	out := make([]trace.Attribute, 0, len(in))
	for i := range in {
		v, err := in[i].Value.append(nil, 0)
		if err != nil {
			g.note(err)
			continue
		}
		out = append(out, trace.Attribute{Key: in[i].Key, Value: v})
	}
	return out
}

func (v *jsonValue) append(b []byte, depth int) ([]byte, error) {
	if depth > maxValueDepth {
		return nil, errDeep
	}
	var err error
	switch {
	case v.String != nil:
		return jsonString(b, *v.String), nil
	case v.Bool != nil:
		return strconv.AppendBool(b, *v.Bool), nil
	case v.Int != nil:
		return strconv.AppendInt(b, int64(*v.Int), 10), nil
	case v.Double != nil:
		return jsonDouble(b, float64(*v.Double)), nil
	case v.Bytes != nil:
		return jsonString(b, *v.Bytes), nil
	case v.Array != nil:
		b = append(b, '[')
		for i := range v.Array.Values {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = v.Array.Values[i].append(b, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case v.List != nil:
		b = append(b, '{')
		for i := range v.List.Values {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonString(b, v.List.Values[i].Key), ':')
			if b, err = v.List.Values[i].Value.append(b, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return append(b, "null"...), nil
}

// otlpSpans writes spans as protobuf's JSON of OTLP with MLflow's names: ids in base64, snake case, integers as numbers.
func otlpSpans(traceID string, spans []trace.Span) []json.RawMessage {
	out := make([]json.RawMessage, len(spans))
	for i := range spans {
		out[i] = otlpSpan(traceID, &spans[i])
	}
	return out
}

func base64ID(id string) string {
	raw, err := hex.DecodeString(id)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// otelTraceID is the id of a trace for OTLP; ids of older clients are no hex and have none of their own.
func otelTraceID(id string) string {
	h := strings.TrimPrefix(id, "tr-")
	if len(h) == 32 && base64ID(h) != "" {
		return h
	}
	return strings.Repeat("0", 31) + "1"
}

func otlpSpan(traceID string, s *trace.Span) []byte {
	b := fmt.Appendf(nil, `{"trace_id":%q,"span_id":%q`, base64ID(otelTraceID(traceID)), base64ID(s.ID))
	if s.ParentID != "" {
		b = fmt.Appendf(b, `,"parent_span_id":%q`, base64ID(s.ParentID))
	}
	b = jsonString(append(b, `,"name":`...), s.Name)
	b = fmt.Appendf(b, `,"start_time_unix_nano":%d`, s.Start)
	if s.End != 0 {
		b = fmt.Appendf(b, `,"end_time_unix_nano":%d`, s.End)
	}
	b = otlpAttributes(append(b, `,"attributes":`...), s.Attributes)
	for i, ev := range s.Events {
		if b = append(b, ','); i == 0 {
			b = append(b, `"events":[`...)
		}
		b = fmt.Appendf(b, `{"time_unix_nano":%d,"name":`, ev.Time)
		b = jsonString(b, ev.Name)
		b = append(otlpAttributes(append(b, `,"attributes":`...), ev.Attributes), '}')
	}
	if len(s.Events) > 0 {
		b = append(b, ']')
	}
	for i, l := range s.Links {
		if b = append(b, ','); i == 0 {
			b = append(b, `"links":[`...)
		}
		b = fmt.Appendf(b, `{"trace_id":%q,"span_id":%q,"attributes":`, base64ID(l.TraceID), base64ID(l.SpanID))
		b = append(otlpAttributes(b, l.Attributes), '}')
	}
	if len(s.Links) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"status":{`...)
	if s.Message != "" {
		b = append(jsonString(append(b, `"message":`...), s.Message), ',')
	}
	return append(fmt.Appendf(b, `"code":"STATUS_CODE_%s"}`, s.Status), '}')
}

func otlpAttributes(b []byte, as []trace.Attribute) []byte {
	b = append(b, '[')
	for i, a := range as {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsonString(append(b, `{"key":`...), a.Key)
		b = append(b, `,"value":`...)
		b = append(otlpValue(b, a.Value), '}')
	}
	return append(b, ']')
}

// otlpValue turns a JSON value into an AnyValue.
func otlpValue(b []byte, v json.RawMessage) []byte {
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	start := len(b)
	b, err := otlpToken(b, dec)
	if err != nil { // kept by us as valid JSON
		return append(b[:start], `{}`...)
	}
	return b
}

func otlpToken(b []byte, dec *json.Decoder) ([]byte, error) {
	tok, err := dec.Token()
	if err != nil {
		return b, err
	}
	switch tok := tok.(type) {
	case string:
		return append(jsonString(append(b, `{"string_value":`...), tok), '}'), nil
	case bool:
		return append(strconv.AppendBool(append(b, `{"bool_value":`...), tok), '}'), nil
	case json.Number:
		if _, err := strconv.ParseInt(tok.String(), 10, 64); err == nil {
			return append(append(append(b, `{"int_value":`...), tok...), '}'), nil
		}
		return append(append(append(b, `{"double_value":`...), tok...), '}'), nil
	case json.Delim:
		if tok == '[' {
			return otlpArray(b, dec)
		}
		return otlpObject(b, dec)
	}
	return append(b, `{}`...), nil
}

func otlpArray(b []byte, dec *json.Decoder) ([]byte, error) {
	b = append(b, `{"array_value":{"values":[`...)
	var err error
	for i := 0; dec.More(); i++ {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = otlpToken(b, dec); err != nil {
			return b, err
		}
	}
	_, err = dec.Token()
	return append(b, `]}}`...), err
}

func otlpObject(b []byte, dec *json.Decoder) ([]byte, error) {
	b = append(b, `{"kvlist_value":{"values":[`...)
	for i := 0; dec.More(); i++ {
		key, err := dec.Token()
		if err != nil {
			return b, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := key.(string)
		b = jsonString(append(b, `{"key":`...), name)
		if b, err = otlpToken(append(b, `,"value":`...), dec); err != nil {
			return b, err
		}
		b = append(b, '}')
	}
	_, err := dec.Token()
	return append(b, `]}}`...), err
}

// traceFile is the name of the file that clients keep spans in.
const traceFile = "traces.json"

// sendTraceData answers with the spans as the file traces.json: the one that a client has uploaded, else made from the spans.
func (e *Edge) sendTraceData(w http.ResponseWriter, req *http.Request, id string) {
	if _, err := e.d.Files.Stat(req.Context(), trace.FilesRoot(id), traceFile); err == nil {
		e.send(w, req, trace.FilesRoot(id), traceFile)
		return
	}
	spans, err := e.d.Traces.Spans(req.Context(), id)
	if err == nil && len(spans) == 0 {
		err = errs.NotFoundf("mlflow.trace_data", "the trace %s has no spans", id)
	}
	if err != nil {
		e.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+traceFile+`"`)
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	e.reply(w, req, fileOf(id, spans))
}

// readTraceFile keeps the spans of an uploaded traces.json. A file that cannot be read stays what it is: a file.
func (e *Edge) readTraceFile(ctx context.Context, t trace.Trace) {
	raw, err := e.d.Files.ReadFile(ctx, trace.FilesRoot(t.ID), traceFile, maxOTLPUnpacked)
	var spans []trace.Span
	if err == nil {
		spans, err = spansOfFile(raw)
	}
	if err == nil && len(spans) > 0 {
		_, err = e.d.Traces.AddSpans(ctx, t.ExperimentID, []trace.SpanBatch{{TraceID: t.ID, Spans: spans}})
	}
	if err != nil {
		e.d.Log.Warn("an uploaded traces.json cannot be read", "trace", t.ID, "error", err)
	}
}

// tracePlace is where a path of the proxy below <experiment>/traces/<id>/artifacts lies.
func (e *Edge) tracePlace(ctx context.Context, exp, id, p string) (place, error) {
	t, err := e.d.Traces.Get(ctx, id)
	if err != nil {
		return place{}, err
	}
	if t.ExperimentID != exp {
		return place{}, errs.NotFoundf("mlflow.artifact", "no trace %.100s in experiment %.60s", id, exp)
	}
	if p, err = blob.CleanPath(p); err != nil {
		return place{}, err
	}
	return place{root: trace.FilesRoot(id), path: p, trace: &t}, nil
}
