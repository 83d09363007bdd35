package trace

import (
	"fmt"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// seed keeps n traces of three spans, 500 in a call.
func seed(b *testing.B, s *Service, n int) {
	b.Helper()
	for i := 0; i < n; i += 500 {
		var bs []SpanBatch
		for j := i; j < min(n, i+500); j++ {
			bs = append(bs, SpanBatch{TraceID: tid(j + 1), Spans: []Span{
				span(1+j, 0, "root", AttrInputs, `{"q":"a question of usual length, as people ask them"}`, AttrTagBase+"env", fmt.Sprintf(`"e%d"`, j%10)),
				span(100_000+j, 1+j, "llm", AttrType, `"LLM"`, "model", `"large"`), span(200_000+j, 1+j, "tool", AttrOutputs, `{"rows":[1,2,3]}`)}})
		}
		if _, err := s.AddSpans(b.Context(), "1", bs); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAddSpans keeps traces of three spans, 500 traces in a commit; the figure is spans.
func BenchmarkAddSpans(b *testing.B) {
	s := newService(b, dbtest.SQLite(b))
	n := 0
	for b.Loop() {
		bs := make([]SpanBatch, 500)
		for j := range bs {
			n++
			bs[j] = SpanBatch{TraceID: tid(n), Spans: []Span{span(1, 0, "root", AttrInputs, `{"q":"a question of usual length, as people ask them"}`), span(2, 1, "llm", AttrType, `"LLM"`), span(3, 1, "tool")}}
		}
		if _, err := s.AddSpans(b.Context(), "1", bs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*3)/b.Elapsed().Seconds(), "spans/s")
}

// BenchmarkSearch looks through 10,000 traces; where nothing matches all of them are tried.
func BenchmarkSearch(b *testing.B) {
	s := newService(b, dbtest.SQLite(b))
	seed(b, s, 10_000)
	for name, q := range map[string]Query{
		"newest": {}, "tag": {Filter: "tag.env = 'e3'"}, "tag none": {Filter: "tag.env = 'none'"}, "like none": {Filter: "tag.env LIKE 'none%'"},
		"span none": {Filter: "span.type = 'NONE'"}, "attribute none": {Filter: "span.attributes.model = 'none'"}, "text none": {Filter: "trace.text LIKE '%nowhere to be found%'"},
		"attribute regexp none": {Filter: "span.attributes.model RLIKE 'no+ne'"}, "slowest": {OrderBy: []string{"execution_time_ms DESC"}},
	} {
		q.ExperimentIDs = []string{"1"}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Search(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMetrics measures 10,000 traces of three spans.
func BenchmarkMetrics(b *testing.B) {
	s := newService(b, dbtest.SQLite(b))
	seed(b, s, 10_000)
	p := 99.0
	for name, q := range map[string]MetricQuery{
		"latency": {View: ViewTraces, Metric: "latency", Aggregations: []Aggregation{{Kind: Percentile, At: &p}}},
		"spans":   {View: ViewSpans, Metric: "span_count", Aggregations: []Aggregation{{Kind: Count}}, Dimensions: []string{"span_name"}},
	} {
		q.ExperimentIDs, q.Limit = []string{"1"}, 1000
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Metrics(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
