package trace

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func f64(f float64) *float64 { return &f }

func i64(n int64) *int64 { return &n }

func TestMetrics(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		for i := 1; i <= 4; i++ {
			root := span(1, 0, "root", "mlflow.spanType", `"CHAIN"`)
			root.End = root.Start + int64(i)*10e6
			model := `"m1"`
			if i > 2 {
				model = `"m2"`
			}
			addSpans(t, s, "1", tid(i), root, span(2, 1, "llm", AttrType, `"LLM"`, AttrModel, model, AttrCost, `"{\"input_cost\":0.5,\"total_cost\":1}"`,
				AttrTokens, `{"input_tokens":10,"output_tokens":1,"total_tokens":11}`))
			addSpans(t, s, "1", tid(i), root) // sent again
		}
		for i, v := range []string{"1", `"yes"`, "false", `"odd"`} {
			if _, err := s.Assess(t.Context(), Assessment{TraceID: tid(i + 1), Name: "a", Kind: Feedback, SourceType: SourceHuman, Value: json.RawMessage(v)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetTag(t.Context(), tid(4), "env", "prod"); err != nil {
			t.Fatal(err)
		}
		if err := s.LinkRun(t.Context(), "run1", []string{tid(2)}); err != nil {
			t.Fatal(err)
		}
		begin := start.UnixMilli()
		for name, c := range map[string]struct {
			q    MetricQuery
			want []MetricPoint
		}{
			"traces": {MetricQuery{View: ViewTraces, Metric: "trace_count", Aggregations: []Aggregation{{Kind: Count}}}, []MetricPoint{{nil, map[string]float64{"COUNT": 4}}}},
			"none":   {MetricQuery{View: ViewTraces, Metric: "session_count", Aggregations: []Aggregation{{Kind: Count}}}, []MetricPoint{{nil, map[string]float64{"COUNT": 0}}}},
			"latency": {MetricQuery{View: ViewTraces, Metric: "latency", Aggregations: []Aggregation{{Kind: Avg}, {Percentile, f64(50)}, {Percentile, f64(99.5)}, {Kind: MaxOf}}, Dimensions: []string{"trace_name"}},
				[]MetricPoint{{map[string]string{"trace_name": "root"}, map[string]float64{"AVG": 25.25, "P50.0": 25, "P99.5": 39.85, "MAX": 40}}}},
			"tag":      {MetricQuery{View: ViewTraces, Metric: "input_tokens", Aggregations: []Aggregation{{Kind: Sum}}, Filters: []string{"trace.tag.env = 'prod'"}}, []MetricPoint{{nil, map[string]float64{"SUM": 10}}}},
			"run":      {MetricQuery{View: ViewTraces, Metric: "trace_count", Aggregations: []Aggregation{{Kind: Count}}, Filters: []string{"trace.metadata.mlflow.sourceRun = \"run1\""}}, []MetricPoint{{nil, map[string]float64{"COUNT": 1}}}},
			"no value": {MetricQuery{View: ViewTraces, Metric: "latency", Aggregations: []Aggregation{{Kind: Avg}}, Filters: []string{"trace.status = 'ERROR'"}}, []MetricPoint{}},
			"spans": {MetricQuery{View: ViewSpans, Metric: "span_count", Aggregations: []Aggregation{{Kind: Count}}, Dimensions: []string{"span_type", "span_status"}},
				[]MetricPoint{{map[string]string{"span_type": "CHAIN", "span_status": "OK"}, map[string]float64{"COUNT": 4}}, {map[string]string{"span_type": "LLM", "span_status": "OK"}, map[string]float64{"COUNT": 4}}}},
			"cost by model": {MetricQuery{View: ViewSpans, Metric: "input_cost", Aggregations: []Aggregation{{Kind: Sum}}, Dimensions: []string{"span_model_name"}},
				[]MetricPoint{{map[string]string{"span_model_name": "m1"}, map[string]float64{"SUM": 1}}, {map[string]string{"span_model_name": "m2"}, map[string]float64{"SUM": 1}}}},
			"cost in time": {MetricQuery{View: ViewSpans, Metric: "total_cost", Aggregations: []Aggregation{{Kind: Sum}}, From: i64(begin + 3)}, []MetricPoint{}},
			"buckets": {MetricQuery{View: ViewSpans, Metric: "latency", Aggregations: []Aggregation{{Kind: MinOf}}, Interval: 60, From: i64(begin), To: i64(begin + 1), Filters: []string{"span.name = 'llm'"}},
				[]MetricPoint{{map[string]string{TimeBucket: start.Format("2006-01-02T15:04:05+00:00")}, map[string]float64{"MIN": 10}}}},
			"assessments": {MetricQuery{View: ViewAssessments, Metric: "assessment_value", Aggregations: []Aggregation{{Kind: Avg}}, Filters: []string{"assessment.type = 'feedback'"}},
				[]MetricPoint{{nil, map[string]float64{"AVG": 2.0 / 3}}}},
			"values": {MetricQuery{View: ViewAssessments, Metric: "assessment_count", Aggregations: []Aggregation{{Kind: Count}}, Dimensions: []string{"assessment_value"}, Limit: 2},
				[]MetricPoint{{map[string]string{"assessment_value": `"odd"`}, map[string]float64{"COUNT": 1}}, {map[string]string{"assessment_value": `"yes"`}, map[string]float64{"COUNT": 1}}}},
		} {
			c.q.ExperimentIDs = []string{"1"}
			if c.q.Limit == 0 {
				c.q.Limit = 10
			}
			got, err := s.Metrics(t.Context(), c.q)
			for i := range got {
				if len(got[i].Dimensions) == 0 {
					got[i].Dimensions = nil
				}
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, diff)
			}
		}
	})
}

func TestMetricQueriesThatAreNotValid(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	ok := MetricQuery{ExperimentIDs: []string{"1"}, View: ViewTraces, Metric: "latency", Aggregations: []Aggregation{{Kind: Avg}}, Limit: 1}
	if _, err := s.Metrics(t.Context(), ok); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(q *MetricQuery){
		"view":         func(q *MetricQuery) { q.View = "X" },
		"metric":       func(q *MetricQuery) { q.Metric = "span_count" },
		"figure":       func(q *MetricQuery) { q.Aggregations[0].Kind = Sum },
		"no figures":   func(q *MetricQuery) { q.Aggregations = nil },
		"percentile":   func(q *MetricQuery) { q.Aggregations[0] = Aggregation{Percentile, f64(math.NaN())} },
		"none":         func(q *MetricQuery) { q.Aggregations[0] = Aggregation{Kind: Percentile} },
		"dimension":    func(q *MetricQuery) { q.Dimensions = []string{"span_name"} },
		"no range":     func(q *MetricQuery) { q.Interval = 5 },
		"huge bucket":  func(q *MetricQuery) { q.Interval, q.From, q.To = math.MaxInt64, i64(0), i64(1) },
		"limit":        func(q *MetricQuery) { q.Limit = MaxMetricPoints + 1 },
		"two clauses":  func(q *MetricQuery) { q.Filters = []string{"trace.status = 'OK' AND trace.status = 'OK'"} },
		"other's":      func(q *MetricQuery) { q.Filters = []string{"span.name = 'OK'"} },
		"like":         func(q *MetricQuery) { q.Filters = []string{"trace.status LIKE 'OK'"} },
		"nul":          func(q *MetricQuery) { q.Filters = []string{"trace.status = '\x00'"} },
		"without key":  func(q *MetricQuery) { q.Filters = []string{"trace.tag = 'OK'"} },
		"with key":     func(q *MetricQuery) { q.Filters = []string{"trace.status.x = 'OK'"} },
		"not quoted":   func(q *MetricQuery) { q.Filters = []string{"trace.status = OK"} },
		"only a quote": func(q *MetricQuery) { q.Filters = []string{"trace.status = '"} },
	} {
		q := ok
		q.Aggregations = []Aggregation{{Kind: Avg}}
		change(&q)
		if _, err := s.Metrics(t.Context(), q); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	far := ok
	far.From, far.To, far.Interval = i64(math.MinInt64), i64(math.MaxInt64), 86400
	if _, err := s.Metrics(t.Context(), far); err != nil {
		t.Error(err)
	}
}

func TestPythonJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`1`: "1.0", `1e20`: "1e+20", `0.00001`: "1e-05", `{"a":[1,true,null],"b":"x: 1, \"y\""}`: `{"a": [1.0, true, null], "b": "x: 1, \"y\""}`,
		`"ü😀"`: `"\u00fc\ud83d\ude00"`} {
		if got := pythonJSON(json.RawMessage(in)); got != want {
			t.Errorf("%s: %s, expected %s", in, got, want)
		}
	}
}

// TestMetricsOfOldBlocks: figures are the same before and after the index of an older store is made.
func TestMetricsOfOldBlocks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		addSpans(t, s, "1", tid(1), span(1, 0, "root"), span(2, 1, "child"))
		addSpans(t, s, "1", tid(1), span(2, 1, "child"), span(3, 1, "child"))
		age(t, s, tid(1))
		q := MetricQuery{ExperimentIDs: []string{"1"}, View: ViewSpans, Metric: "span_count", Aggregations: []Aggregation{{Kind: Count}}, Limit: 1}
		check := func() {
			t.Helper()
			got, err := s.Metrics(t.Context(), q)
			if err != nil || len(got) != 1 || got[0].Values["COUNT"] != 3 {
				t.Fatal(got, err)
			}
		}
		check()
		if s.whole.Load() {
			t.Fatal("the index counts as whole though a trace waits for it")
		}
		if err := s.Index(t.Context()); err != nil {
			t.Fatal(err)
		}
		check()
		if tr, err := s.Get(t.Context(), tid(1)); err != nil || tr.SpanCount != 3 || !s.whole.Load() {
			t.Fatal(tr.SpanCount, err)
		}
	})
}

// age makes a trace one of an older store: without index, in the old format, counting spans that were sent twice.
func age(t *testing.T, s *Service, id string) {
	t.Helper()
	err := s.d.DB.Write(t.Context(), func(tx *db.Tx) error {
		bs, err := blocks(tx, id)
		if err != nil {
			return err
		}
		for _, b := range bs {
			spans, err := s.st.pack.unpack(b.data)
			if err != nil {
				return err
			}
			raw, err := json.Marshal(spans) // with <, > and & escaped, as it was
			if err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE trace_spans SET data = ? WHERE trace_id = ? AND seq = ?", append([]byte{oldPlain}, raw...), id, b.seq); err != nil {
				return err
			}
		}
		for _, stmt := range []string{"DELETE FROM trace_index WHERE trace_id = ?", "INSERT INTO trace_index_todo (trace_id) VALUES (?)", "UPDATE trace SET span_count = span_count + 1 WHERE id = ?"} {
			if _, err := tx.Exec(stmt, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.whole.Store(false)
}
