package mlflow

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/trace"
)

func textValue(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func list(vs ...*common.AnyValue) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: vs}}}
}

// request makes an export of one span with some attributes.
func request(t testing.TB, attrs ...*common.KeyValue) []byte {
	t.Helper()
	s := &otlp.Span{TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8), Name: "s", StartTimeUnixNano: 5, EndTimeUnixNano: 9, Attributes: attrs,
		Status: &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: "no"}, Events: []*otlp.Span_Event{{Name: "e", TimeUnixNano: 6}}}
	b, err := proto.Marshal(&otlp.TracesData{ResourceSpans: []*otlp.ResourceSpans{{ScopeSpans: []*otlp.ScopeSpans{{Spans: []*otlp.Span{s}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValuesKeepTheirTypes(t *testing.T) {
	t.Parallel()
	deep := textValue("x")
	for range maxValueDepth + 5 {
		deep = list(deep)
	}
	for _, c := range []struct {
		in   *common.AnyValue
		json string
		out  string
	}{
		{textValue(`ä"\<`), `"ä\"\\<"`, `{"string_value":"ä\"\\<"}`},
		{&common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: -1 << 63}}, "-9223372036854775808", `{"int_value":-9223372036854775808}`},
		{&common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 2}}, "2.0", `{"double_value":2.0}`},
		{&common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 1e300}}, "1e+300", `{"double_value":1e+300}`},
		{&common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}, "true", `{"bool_value":true}`},
		{&common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{0, 255}}}, `"AP8="`, `{"string_value":"AP8="}`},
		{list(), "[]", `{"array_value":{"values":[]}}`},
		{list(textValue("a"), list(textValue("b"))), `["a",["b"]]`, `{"array_value":{"values":[{"string_value":"a"},{"array_value":{"values":[{"string_value":"b"}]}}]}}`},
		{&common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{{Key: "b", Value: textValue("1")}, {Key: "a"}}}}}, `{"b":"1","a":null}`,
			`{"kvlist_value":{"values":[{"key":"b","value":{"string_value":"1"}},{"key":"a","value":{}}]}}`},
		{nil, "null", "{}"},
	} {
		batches, rejected, err := decodeOTLP(request(t, &common.KeyValue{Key: "k", Value: c.in}), false)
		if err != nil || rejected.Rejected != 0 || len(batches) != 1 {
			t.Fatalf("%v %+v %v", c.in, rejected, err)
		}
		got := batches[0].Spans[0].Get("k")
		if string(got) != c.json {
			t.Errorf("%v: %s, want %s", c.in, got, c.json)
		}
		if out := string(otlpValue(nil, got)); out != c.out {
			t.Errorf("%s: %s, want %s", got, out, c.out)
		}
	}
	batches, rejected, err := decodeOTLP(request(t, &common.KeyValue{Key: "k", Value: deep}), false)
	if err != nil || len(batches) != 0 || rejected.Rejected != 1 || !strings.Contains(rejected.Reason, "deeper") {
		t.Errorf("%v %+v %v", batches, rejected, err)
	}
}

func TestUnpackIsBounded(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range maxOTLPUnpacked>>20 + 1 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(b.Bytes(), "gzip"); !errs.Is(err, errs.Exhausted) {
		t.Error(err)
	}
	for _, enc := range []string{"gzip", "deflate", "br"} {
		if _, err := unpack([]byte("nothing of the kind"), enc); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", enc, err)
		}
	}
}

// FuzzOTLP: whatever a client sends in either form ends in spans that can be written again, or in an Invalid error.
func FuzzOTLP(f *testing.F) {
	f.Add(request(f, &common.KeyValue{Key: "k", Value: list(textValue("a"))}), false)
	f.Add([]byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"x","startTimeUnixNano":"5","endTimeUnixNano":6,"attributes":[{"key":"d","value":{"doubleValue":"NaN"}},{"key":"l","value":{"kvlistValue":{"values":[{"key":"i","value":{"intValue":"5"}}]}}}],"links":[{"traceId":"AA","spanId":"b"}],"status":{"code":"STATUS_CODE_ERROR"}}]}]}]}`), true)
	f.Add([]byte{10, 255}, false)
	f.Fuzz(func(t *testing.T, body []byte, asJSON bool) {
		batches, _, err := decodeOTLP(body, asJSON)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		for _, b := range batches {
			for i := range b.Spans {
				if err := b.Spans[i].Validate(); err != nil && !errs.Is(err, errs.Invalid) {
					t.Fatal(err)
				}
				if out := otlpSpan(b.TraceID, &b.Spans[i]); !json.Valid(out) {
					t.Fatalf("not JSON: %s", out)
				}
			}
			if _, err := json.Marshal(fileOf(b.TraceID, b.Spans)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzTraceFile: a file that a client uploads is read or refused.
func FuzzTraceFile(f *testing.F) {
	f.Add([]byte(`{"spans":[{"name":"a","context":{"span_id":"0x1"},"parent_id":null,"start_time":1,"end_time":2,"status_code":"OK","attributes":{"a":"{\"b\":1}"},"events":[{"name":"e","timestamp":1}]}]}`))
	spans := []trace.Span{{ID: "1122334455667788", Name: "x", Start: 1, End: 2, Status: trace.SpanOK, Attributes: []trace.Attribute{{Key: "k", Value: json.RawMessage(`{"a":[1,2.5]}`)}}}}
	own, err := json.Marshal(fileOf("tr-1", spans))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := spansOfFile(body)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		for i := range got {
			if out := otlpSpan("tr-1", &got[i]); !json.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
	})
}

func TestTraceFileRoundTrip(t *testing.T) {
	t.Parallel()
	in := []trace.Span{{ID: "1122334455667788", ParentID: "0000000000000001", Name: "x", Start: 1, End: 2, Status: trace.SpanError, Message: "m",
		Attributes: []trace.Attribute{{Key: "k", Value: json.RawMessage(`{"a":[1,2.5]}`)}}, Events: []trace.SpanEvent{{Name: "e", Time: 7, Attributes: []trace.Attribute{{Key: "n", Value: json.RawMessage("1")}}}},
		Links: []trace.SpanLink{{TraceID: strings.Repeat("ab", 16), SpanID: "00000000000000ff", Attributes: []trace.Attribute{{Key: "why", Value: json.RawMessage(`"asked"`)}}}}}}
	raw, err := json.Marshal(fileOf("tr-01010101010101010101010101010101", in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := spansOfFile(raw)
	if err != nil || len(out) != 1 {
		t.Fatal(out, err)
	}
	s := out[0]
	if !reflect.DeepEqual(s.Links, in[0].Links) {
		t.Errorf("%+v", s.Links)
	}
	odd, err := spansOfFile([]byte(`{"spans":[{"span_id":"ESIzRFVmd4g=","name":"x","links":[{"trace_id":"trace:/a/b","span_id":"1"},{"trace_id":"tr-` + strings.Repeat("AB", 16) + `","span_id":"00000000000000FF","attributes":null}]}]}`))
	if err != nil || len(odd) != 1 || len(odd[0].Links) != 1 || odd[0].Links[0].TraceID != strings.Repeat("ab", 16) {
		t.Errorf("%+v %v", odd, err)
	}
	if s.ID != in[0].ID || s.ParentID != in[0].ParentID || s.Status != trace.SpanError || s.Message != "m" || string(s.Get("k")) != `{"a":[1,2.5]}` || s.Events[0].Time != 7 {
		t.Errorf("%+v", s)
	}
}
