package trace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

var start = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

func newService(t testing.TB, d *db.DB) *Service {
	t.Helper()
	ck := clock.NewFake(start)
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: ck})
	return New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: q, Clock: ck}), Files: blob.NewFiles(d, blobs, ck), Clock: ck,
		Experiment: func(_ context.Context, id string) error {
			if id == "404" {
				return errs.NotFoundf("test", "no experiment")
			}
			return nil
		},
		Run: func(_ context.Context, id string) error {
			if id != "run1" {
				return errs.NotFoundf("test", "no run")
			}
			return nil
		}})
}

func tid(n int) string { return fmt.Sprintf("tr-%032x", n) }

func sid(n int) string { return fmt.Sprintf("%016x", n) }

// span makes a span that starts n ms after the start and takes 10 ms.
func span(n, parent int, name string, attrs ...string) Span {
	s := Span{ID: sid(n), Name: name, Start: start.Add(time.Duration(n) * time.Millisecond).UnixNano(), Status: SpanOK}
	s.End = s.Start + 10e6
	if parent > 0 {
		s.ParentID = sid(parent)
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		s.Attributes = append(s.Attributes, Attribute{attrs[i], json.RawMessage(attrs[i+1])})
	}
	return s
}

func addSpans(t *testing.T, s *Service, exp, id string, spans ...Span) {
	t.Helper()
	got, err := s.AddSpans(t.Context(), exp, []SpanBatch{{TraceID: id, Spans: spans}})
	if err != nil || got.Rejected != 0 {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestSpansBeforeTheirTrace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		id := tid(1)
		addSpans(t, s, "1", id, span(2, 1, "child", AttrTokens, `{"input_tokens":1,"output_tokens":2,"total_tokens":3}`))
		open := span(1, 0, "root")
		open.End = 0
		addSpans(t, s, "1", id, open)
		tr, err := s.Get(t.Context(), id)
		if err != nil || tr.State != StateInProgress || tr.Start != start.Add(time.Millisecond) {
			t.Fatalf("%+v %v", tr, err)
		}
		addSpans(t, s, "1", id, span(1, 0, "root", AttrInputs, `{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"no"},{"role":"user","content":[{"type":"text","text":"hello"}]}]}`, AttrOutputs, `"bye"`, AttrTagBase+"env", `"prod"`))
		tr, spans, err := s.Whole(t.Context(), id, false)
		if err != nil || len(spans) != 2 || spans[0].Name != "root" || spans[0].End == 0 {
			t.Fatalf("%+v %v", spans, err)
		}
		if tr.State != StateOK || tr.Name != "root" || tr.Tags["env"] != "prod" || *tr.RequestPreview != "hello" || *tr.ResponsePreview != "bye" || *tr.Duration != 11*time.Millisecond {
			t.Fatalf("%+v", tr)
		}
		if u := tr.Tokens(); u == nil || u.Total != 3 {
			t.Fatalf("%v", tr.Metadata)
		}
		// what the client tells of the whole wins, and stays when a late span comes
		dur := 50 * time.Millisecond
		told, err := s.Start(t.Context(), NewTrace{ID: id, ExperimentID: "1", Start: start, Duration: &dur, State: StateError, Tags: map[string]string{TagName: "told", TagSpansLocation: "elsewhere"}, Metadata: map[string]string{MetaTokens: `{"total_tokens":9}`, MetaSizeStats: `{"num_spans":3}`}})
		if err != nil || told.Name != "told" || told.State != StateError || told.Tags[TagSpansLocation] != spansHere {
			t.Fatalf("%+v %v", told, err)
		}
		addSpans(t, s, "1", id, span(900, 1, "late", AttrTokens, `{"input_tokens":5,"output_tokens":5,"total_tokens":10}`))
		if tr, spans, err = s.Whole(t.Context(), id, false); err != nil || len(spans) != 3 || tr.Tokens().Total != 9 || *tr.Duration != dur || tr.State != StateError {
			t.Fatalf("%+v %v", tr, err)
		}
	})
}

func TestManySmallWritesBecomeOneBlock(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	for i := 1; i <= 100; i++ {
		addSpans(t, s, "1", tid(1), span(i, i-1, fmt.Sprint("s", i%7)), span(i, i-1, fmt.Sprint("s", i%7)))
	}
	bs, err := blocks(reader{t.Context(), s.d.DB}, tid(1))
	if err != nil || len(bs) > smallBlocks {
		t.Fatalf("%d blocks %v", len(bs), err)
	}
	spans, err := s.Spans(t.Context(), tid(1))
	if err != nil || len(spans) != 100 || spans[0].ParentID != "" || spans[99].ID != sid(100) {
		t.Fatalf("%d spans %v", len(spans), err)
	}
}

func TestReaderWaitsForSpans(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	if _, err := s.Start(t.Context(), NewTrace{ID: tid(1), ExperimentID: "1", Start: start, State: StateOK, Metadata: map[string]string{MetaSizeStats: `{"num_spans":2}`}}); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, spans, err := s.Whole(t.Context(), tid(1), false)
		if err == nil && len(spans) != 2 {
			err = fmt.Errorf("%d spans", len(spans))
		}
		got <- err
	}()
	addSpans(t, s, "1", tid(1), span(1, 0, "a"))
	addSpans(t, s, "1", tid(1), span(2, 1, "b"))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if _, spans, err := s.Whole(t.Context(), tid(1), true); err != nil || len(spans) != 2 {
		t.Fatal(err)
	}
}

func TestBadSpansAreRejectedAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	self, long, links, early, state := span(7, 7, "self"), span(8, 0, strings.Repeat("x", MaxSpanName+1)), span(9, 0, "l"), span(10, 0, "e"), span(11, 0, "s")
	links.Links = []SpanLink{{TraceID: "x", SpanID: sid(1)}}
	early.Start = -5
	state.Status = "GREAT"
	big := span(12, 0, "big", "k", `"`+strings.Repeat("x", MaxAttributeBytes)+`"`)
	many := span(13, 0, "many")
	many.Attributes = make([]Attribute, MaxAttributes+1)
	got, err := s.AddSpans(t.Context(), "1", []SpanBatch{
		{TraceID: tid(1), Spans: []Span{{ID: "", Name: "no id"}, self, long, links, early, state, big, many, span(1, 0, "good\x00\xff")}},
		{TraceID: "../../etc", Spans: []Span{span(1, 0, "x")}},
	})
	if err != nil || got.Accepted != 1 || got.Rejected != 9 || got.Reason == "" {
		t.Fatalf("%+v %v", got, err)
	}
	if tr, err := s.Get(t.Context(), tid(1)); err != nil || strings.ContainsAny(tr.Name, "\x00") {
		t.Fatalf("%q %v", tr.Name, err)
	}
	if _, err := s.AddSpans(t.Context(), "404", nil); !errs.Is(err, errs.NotFound) {
		t.Fatal(err)
	}
	full := make([]Span, MaxSpansPerTrace)
	for i := range full {
		full[i] = span(i+1, 0, "f")
	}
	addSpans(t, s, "1", tid(2), full...)
	if got, err = s.AddSpans(t.Context(), "1", []SpanBatch{{TraceID: tid(2), Spans: []Span{span(50_000, 0, "more")}}, {TraceID: tid(3), Spans: []Span{span(1, 0, "ok")}}}); err != nil || got.Rejected != 1 || got.Accepted != 1 {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		for i := 1; i <= 8; i++ {
			dur := time.Duration(i%3) * 100 * time.Millisecond
			n := NewTrace{ID: tid(i), ExperimentID: fmt.Sprint(1 + i/8), Start: start.Add(time.Duration(i/2) * time.Second), State: StateOK, Duration: &dur,
				Tags: map[string]string{TagName: fmt.Sprint("n", i%2), "n": fmt.Sprint(i), `odd "key`: `it's 100%`}, Metadata: map[string]string{"m": fmt.Sprint(i % 4)}}
			if i == 3 {
				n.State, n.Duration = StateError, nil
			}
			if i == 4 {
				n.Metadata[MetaRun] = "run1"
				n.ClientRequestID = "req"
			}
			if _, err := s.Start(ctx, n); err != nil {
				t.Fatal(err)
			}
			addSpans(t, s, n.ExperimentID, n.ID, span(1, 0, "root", "model", `"gpt-4"`), span(2, 1, fmt.Sprint("tool ", i), AttrType, `"TOOL"`, "cost", fmt.Sprint(i), "text", `"Größe"`))
			if i <= 2 {
				for _, a := range []Assessment{{Name: "score", Kind: Feedback, Value: json.RawMessage(fmt.Sprint(i)), SourceType: SourceCode}, {Name: "say", Kind: Expectation, Value: json.RawMessage(`"yes"`), SourceType: SourceHuman}} {
					a.TraceID = n.ID
					if _, err := s.Assess(ctx, a); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := s.LinkRun(ctx, "run1", []string{tid(5), tid(99)}); err != nil {
			t.Fatal(err)
		}
		if err := s.LinkPrompts(ctx, tid(6), []PromptVersion{{"ask", "2"}}); err != nil {
			t.Fatal(err)
		}
		for f, want := range map[string]string{
			"":                                          "6 7 4 5 2 3 1",
			"trace.status = 'ERROR'":                    "3",
			"status != 'OK'":                            "3",
			"name = 'n1' AND tag.n != '7'":              "5 3 1",
			"tag.n IN ('1', '7', '8')":                  "7 1",
			"tag.n RLIKE '^[67]$'":                      "6 7",
			"tags.`odd \"key` = 'it''s 100%'":           "6 7 4 5 2 3 1",
			"tag.none IS NULL AND metadata.m = '0'":     "4",
			"metadata.m IS NOT NULL":                    "6 7 4 5 2 3 1",
			"execution_time_ms >= 200":                  "5 2",
			"execution_time IS NULL":                    "3",
			"timestamp_ms > 1775030402000":              "6 7",
			"timestamp_ms <= 1775030401000.5":           "2 3 1",
			"NOT (tag.n = '1' OR status = 'ERROR')":     "6 7 4 5 2",
			"span.name = 'tool 4'":                      "4",
			"span.name = 'root' AND span.type = 'TOOL'": "",
			"span.name LIKE 'tool%' AND span.type = 'TOOL' AND span.attributes.cost = '5'": "5",
			"span.attributes.model LIKE '%gpt%'":                                           "6 7 4 5 2 3 1",
			"span.attributes.none IS NULL AND tag.n = '1'":                                 "1",
			"trace.text ILIKE '%GRÖSSE%' OR text LIKE '%tool 7%'":                          "7",
			"feedback.score > 1":                                        "2",
			"feedback.score = '1'":                                      "1",
			"feedback.score IS NULL AND tag.n < '0'":                    "!",
			"expectation.say = 'yes'":                                   "2 1",
			"feedback.score IS NOT NULL AND NOT expectation.say = 'no'": "2 1",
			"run_id = 'run1'":                                           "4 5",
			"run_id IN ('run1')":                                        "4 5",
			"prompt = 'ask/2'":                                          "6",
			"prompt IN ('ask/1', 'ask/2')":                              "6",
			"NOT prompt IN ('ask/2') AND tag.n IN ('5', '6')":           "5",
			"prompt IN ('ask/2', 'ask')":                                "!",
			"prompt LIKE 'a/%'":                                         "!",
			"issue.id IN ('x', 'y')":                                    "",
			"prompt = 'ask'":                                            "!",
			"client_request_id = 'req'":                                 "4",
			"request_id IN ('" + tid(1) + "', 'x')":                     "1",
			"tag.n RLIKE '('":                                           "!",
			"span.size = 'x'":                                           "!",
			"issue.id LIKE 'x'":                                         "!",
			"a\x00 = 'b'":                                               "!",
		} {
			ts, _, err := s.Search(ctx, Query{ExperimentIDs: []string{"1"}, Filter: f})
			if want == "!" {
				if !errs.Is(err, errs.Invalid) {
					t.Errorf("%s: %v", f, err)
				}
				continue
			}
			if got := numbers(ts); err != nil || got != want {
				t.Errorf("%s: got %q, want %q %v", f, got, want, err)
			}
		}
		for o, want := range map[string]string{
			"execution_time_ms DESC": "8 5 2 7 4 1 6 3", "execution_time_ms": "6 7 4 1 8 5 2 3", "name, request_id DESC": "8 6 4 2 7 5 3 1", "run_id": "4 8 6 7 5 2 3 1",
			"end_time_ms": "1 3 2 4 5 6 7 8", "status": "3 8 6 7 4 5 2 1", "experiment_id DESC, timestamp": "8 1 2 3 4 5 6 7",
			"tag.n DESC": "8 7 6 5 4 3 2 1", "metadata.m, tags.`n`": "4 8 1 5 2 6 3 7", "tag.none, timestamp": "1 2 3 4 5 6 7 8",
		} {
			for limit := 1; limit <= 8; limit += 3 {
				var got []string
				for q := (Query{ExperimentIDs: []string{"1", "2"}, OrderBy: strings.Split(o, ", "), Limit: limit}); ; {
					ts, next, err := s.Search(ctx, q)
					if err != nil || len(ts) > limit {
						t.Fatalf("%s: %d %v", o, len(ts), err)
					}
					got = append(got, numbers(ts))
					if q.PageToken = next; next == "" {
						break
					}
				}
				if all := strings.Join(got, " "); all != want {
					t.Errorf("%s by %d: got %q, want %q", o, limit, all, want)
				}
			}
		}
		if ts, _, err := s.Search(ctx, Query{ExperimentIDs: []string{"1"}, State: StateError, Filter: "tag.n = '3' OR tag.n = '4'"}); err != nil || numbers(ts) != "3" {
			t.Errorf("%q %v", numbers(ts), err)
		}
		_, next, err := s.Search(ctx, Query{ExperimentIDs: []string{"1"}, Limit: 2})
		if err != nil || next == "" {
			t.Fatal(err)
		}
		for _, q := range []Query{{ExperimentIDs: []string{"2"}, Limit: 2, PageToken: next}, {ExperimentIDs: []string{"1"}, PageToken: "x"}, {ExperimentIDs: []string{"1"}, OrderBy: []string{"text"}}, {ExperimentIDs: []string{"1"}, OrderBy: []string{"tag.`x'`"}}, {ExperimentIDs: []string{"1"}, OrderBy: []string{"metadata.`a?`"}}, {ExperimentIDs: []string{"1"}, OrderBy: []string{"tag.`a\x00b`"}}, {ExperimentIDs: []string{"1"}, OrderBy: []string{"feedback.x"}}, {ExperimentIDs: make([]string, MaxExperiments+1)}} {
			if _, _, err := s.Search(ctx, q); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		c, err := s.Correlate(ctx, []string{"1"}, "name = 'n1'", "tag.n IN ('1','3')", "")
		if err != nil || c.Total != 7 || c.First != 4 || c.Second != 2 || c.Joint != 2 || c.NPMI < .4 || c.NPMI > .5 {
			t.Errorf("%+v %v", c, err)
		}
	})
}

func numbers(ts []Trace) string {
	out := make([]string, len(ts))
	for i, tr := range ts {
		var n int
		_, _ = fmt.Sscanf(tr.ID, "tr-%x", &n)
		out[i] = fmt.Sprint(n)
	}
	return strings.Join(out, " ")
}

func TestAssessments(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		ctx := t.Context()
		addSpans(t, s, "1", tid(1), span(1, 0, "root"))
		first, err := s.Assess(ctx, Assessment{TraceID: tid(1), Name: "ok", Kind: Feedback, Value: json.RawMessage("true"), SourceType: SourceHuman, Metadata: map[string]string{"a": "1"}})
		if err != nil || !strings.HasPrefix(first.ID, "a-") || !first.Valid {
			t.Fatalf("%+v %v", first, err)
		}
		over, err := s.Assess(ctx, Assessment{TraceID: tid(1), Name: "ok", Kind: Feedback, Value: json.RawMessage("false"), SourceType: SourceHuman, Overrides: first.ID})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Assessment(ctx, tid(1), first.ID); err != nil || got.Valid {
			t.Fatalf("%+v %v", got, err)
		}
		if err := s.Unassess(ctx, tid(1), over.ID); err != nil {
			t.Fatal(err)
		}
		rationale, name := "because", "fine"
		got, err := s.Reassess(ctx, tid(1), first.ID, AssessmentChange{Name: &name, Rationale: &rationale, Kind: Feedback, Value: json.RawMessage(`"no"`), Metadata: map[string]string{"b": "2"}})
		if err != nil || !got.Valid || got.Name != "fine" || got.Rationale != "because" || string(got.Value) != `"no"` || len(got.Metadata) != 2 {
			t.Fatalf("%+v %v", got, err)
		}
		for kind, a := range map[errs.Kind]Assessment{
			errs.NotFound: {TraceID: tid(9), Name: "x", Kind: Feedback, SourceType: SourceCode},
			errs.Invalid:  {TraceID: tid(1), Name: "x", Kind: Expectation, SourceType: SourceCode},
		} {
			if _, err := s.Assess(ctx, a); !errs.Is(err, kind) {
				t.Errorf("%+v: %v", a, err)
			}
		}
		if _, err := s.Assess(ctx, Assessment{TraceID: tid(1), Name: "x", Kind: Feedback, SourceType: SourceCode, Overrides: "a-none"}); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if _, err := s.Reassess(ctx, tid(1), first.ID, AssessmentChange{Kind: Expectation, Value: json.RawMessage("1")}); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if _, err := s.Assessment(ctx, tid(1), "a\x00"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestUsageCountsTopmostSpansOnce(t *testing.T) {
	t.Parallel()
	usage := func(n int) string {
		return fmt.Sprintf(`{"input_tokens":%d,"output_tokens":0,"total_tokens":%d}`, n, n)
	}
	spans := []Span{span(1, 0, "agent"), span(2, 1, "a", AttrTokens, usage(10)), span(3, 2, "plain"), span(4, 3, "b", AttrTokens, usage(10)), span(5, 1, "c", AttrTokens, usage(5))}
	loop := []Span{span(6, 7, "x", AttrTokens, usage(1)), span(7, 6, "y")}
	if got := sum(slices.Concat(spans, loop), AttrTokens, "input_tokens", "output_tokens", "total_tokens"); got != `{"input_tokens":15,"output_tokens":0,"total_tokens":15}` {
		t.Error(got)
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	s := span(1, 0, "x", "openinference.span.kind", `"llm"`, "llm.token_count.prompt", "3", "input.value", `"{\"a\": 1}"`, "mlflow.spanOutputs", `"[1, 2]"`)
	Normalize(&s)
	if s.Type() != "LLM" || string(s.Get(AttrInputs)) != `{"a": 1}` || string(s.Get(AttrOutputs)) != "[1, 2]" || s.Text(AttrTokens) != `{"input_tokens":3,"output_tokens":0,"total_tokens":3}` {
		t.Errorf("%+v", s)
	}
	n := len(s.Attributes)
	if Normalize(&s); len(s.Attributes) != n {
		t.Error("twice is once")
	}
}
