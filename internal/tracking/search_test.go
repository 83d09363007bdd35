package tracking

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// seed makes five runs r0..r4, one second apart.
func seed(t testing.TB, s *Service, c *clock.Fake) (eid string, names map[string]string) {
	t.Helper()
	ctx := t.Context()
	eid = must(s.CreateExperiment(ctx, NewExperiment{Name: "search"}))(t)
	names = map[string]string{}
	acc := []float64{.5, .9, math.NaN(), math.Inf(1)}
	for i := range 5 {
		c.Advance(time.Second)
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: eid, Name: fmt.Sprint("r", i)}))(t)
		names[r.ID] = r.Name
		b := Batch{Params: []Param{{"lr", fmt.Sprintf("0.%d", i)}}, Tags: []Tag{{"odd key", strings.Repeat("x", i)}}}
		if i < len(acc) {
			b.Metrics = []Metric{{Key: "acc", Point: Point{0, 0, acc[i]}}}
		}
		if i == 1 {
			b.Tags = append(b.Tags, Tag{"only", "One"})
			ok(t, s.LogInputs(ctx, r.ID, []DatasetInput{{Name: "bike", Digest: "d1", SourceType: "http", Tags: []Tag{{tagContext, "training"}}},
				{Name: "test", Digest: "d2", SourceType: "http"}}, nil))
		}
		ok(t, s.LogBatch(ctx, r.ID, b))
	}
	return eid, names
}

func TestStoreSearchRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		eid, names := seed(t, s, c)
		must(s.CreateRun(t.Context(), NewRun{ExperimentID: "0", Name: "elsewhere"}))(t)
		search := func(filter string, order ...string) string {
			p, err := s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid, "77", "x"}, Filter: filter, OrderBy: order})
			if err != nil {
				return err.Error()
			}
			var out []string
			for _, r := range p.Runs {
				out = append(out, names[r.ID])
			}
			return strings.Join(out, " ")
		}
		for _, x := range []struct{ filter, order, want string }{
			{"", "", "r4 r3 r2 r1 r0"},
			{"", "start_time ASC", "r0 r1 r2 r3 r4"},
			{"metrics.acc > 0.6", "", "r3 r1"},
			{"metrics.acc >= 0.5 and params.lr = '0.1'", "", "r1"},
			{"metrics.acc != 0.9", "", "r3 r2 r0"}, // NaN differs from every number; a missing value passes nothing
			{"metrics.acc < 1", "", "r1 r0"},
			{"metrics.none > 0", "", ""},
			{"params.lr LIKE '0.%' AND params.lr != '0.0'", "", "r4 r3 r2 r1"},
			{"tags.only = 'One'", "", "r1"},
			{"tags.only ILIKE 'oN_'", "", "r1"},
			{"tags.only LIKE 'one'", "", ""},
			{"tags.only != 'x'", "", "r1"},
			{"tags.only IS NULL", "", "r4 r3 r2 r0"},
			{"tags.only IS NOT NULL", "", "r1"},
			{"tags.never IS NULL", "", "r4 r3 r2 r1 r0"},
			{"tags.`odd key` = 'xx'", "", "r2"},
			{"datasets.name = 'bike' AND dataset.digest = 'd2'", "", "r1"},
			{"datasets.context = 'training'", "", "r1"},
			{"datasets.name IN ('bike')", "", "r1"},
			{"run_name = 'r3' OR (metrics.acc < 0.6 AND params.lr = '0.0')", "", "r3 r0"},
			{"status = 'RUNNING' AND attributes.run_name ILIKE 'R1'", "", "r1"},
			{"start_time > 1767225603000", "", "r4 r3"},
			{"end_time > 0", "", ""},
			{"", "metrics.acc ASC", "r0 r1 r3 r2 r4"}, // NaN last but for what has no value, in both directions
			{"", "metrics.acc DESC", "r3 r1 r0 r2 r4"},
			{"", "params.lr DESC", "r4 r3 r2 r1 r0"},
			{"", "tags.only DESC", "r1 r4 r3 r2 r0"},
		} {
			var order []string
			if x.order != "" {
				order = []string{x.order}
			}
			if got := search(x.filter, order...); got != x.want {
				t.Errorf("%q by %q: got %q, want %q", x.filter, x.order, got, x.want)
			}
		}
	})
}

func TestStoreSearchPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		eid, names := seed(t, s, c)
		for _, order := range [][]string{nil, {"metrics.acc DESC"}, {"metrics.acc ASC"}, {"tags.only ASC", "params.lr DESC"}, {"status"}} {
			q := RunQuery{ExperimentIDs: []string{eid}, OrderBy: order}
			whole := must(s.SearchRuns(t.Context(), q))(t)
			q.Limit = 2
			var got []string
			for pages := 0; ; pages++ {
				p := must(s.SearchRuns(t.Context(), q))(t)
				for _, r := range p.Runs {
					got = append(got, names[r.ID])
				}
				if q.PageToken = p.Next; q.PageToken == "" || pages > 5 {
					break
				}
			}
			var all []string
			for _, r := range whole.Runs {
				all = append(all, names[r.ID])
			}
			if !slices.Equal(got, all) {
				t.Errorf("order %v: pages give %v, at once it is %v", order, got, all)
			}
		}
		first := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, Limit: 2}))(t)
		// a run that starts meanwhile does not shift the next page
		must(s.CreateRun(t.Context(), NewRun{ExperimentID: eid, Name: "new", StartTime: c.Now().Add(time.Hour)}))(t)
		second := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, Limit: 2, PageToken: first.Next}))(t)
		if len(second.Runs) != 2 || names[second.Runs[0].ID] != "r2" {
			t.Errorf("%v", second.Runs)
		}
		_, err := s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, Filter: "metrics.acc > 0", Limit: 2, PageToken: first.Next})
		want(t, err, errs.Invalid)
		_, err = s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, PageToken: "!"})
		want(t, err, errs.Invalid)
	})
}

// TestSearchLongTexts: page tokens stay short and pages whole when runs are sorted by texts that are long and begin alike.
func TestSearchLongTexts(t *testing.T) {
	t.Parallel()
	s, c := start(t, dbtest.SQLite(t))
	eid := must(s.CreateExperiment(t.Context(), NewExperiment{Name: "long"}))(t)
	for i := range 12 {
		c.Advance(time.Second)
		tag := Tag{"note", strings.Repeat("ä\x01", 200*(i%2)) + strings.Repeat("b", 3000) + fmt.Sprint(i%3)}
		must(s.CreateRun(t.Context(), NewRun{ExperimentID: eid, Tags: []Tag{tag}}))(t)
	}
	for _, order := range []string{"tags.note", "tags.note DESC"} {
		q := RunQuery{ExperimentIDs: []string{eid}, OrderBy: []string{order}}
		whole := must(s.SearchRuns(t.Context(), q))(t)
		q.Limit = 5
		var got []string
		for range 3 {
			p := must(s.SearchRuns(t.Context(), q))(t)
			for _, r := range p.Runs {
				got = append(got, r.ID)
			}
			q.PageToken = p.Next
		}
		for i, r := range whole.Runs {
			if i >= len(got) || got[i] != r.ID {
				t.Fatalf("%s: pages give %v", order, got)
			}
		}
	}
}

func TestSearchViews(t *testing.T) {
	t.Parallel()
	s, c := start(t, dbtest.SQLite(t))
	eid, names := seed(t, s, c)
	for id, n := range names {
		if n == "r2" {
			ok(t, s.DeleteRun(t.Context(), id))
		}
	}
	for v, n := range map[View]int{ViewActive: 4, ViewDeleted: 1, ViewAll: 5} {
		if p := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, View: v}))(t); len(p.Runs) != n {
			t.Errorf("%s: %d runs, want %d", v, len(p.Runs), n)
		}
	}
}

// FuzzPageToken: a token from elsewhere is Invalid, never a panic.
func FuzzPageToken(f *testing.F) {
	s, c := start(f, dbtest.SQLite(f))
	eid, _ := seed(f, s, c)
	p, err := s.SearchRuns(f.Context(), RunQuery{ExperimentIDs: []string{eid}, Limit: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Next)
	f.Add("e30")
	f.Add("bnVsbA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, Limit: 2, PageToken: token}); err != nil && !errs.Is(err, errs.Invalid) {
			t.Fatal(err)
		}
	})
}

func BenchmarkCreateRun(b *testing.B) {
	s, _ := start(b, dbtest.SQLite(b))
	for b.Loop() {
		must(s.CreateRun(b.Context(), NewRun{ExperimentID: "0", Tags: []Tag{{"a", "1"}, {"b", "2"}, {"c", "3"}}}))(b)
	}
}

func BenchmarkLogBatch(b *testing.B) {
	s, _ := start(b, dbtest.SQLite(b))
	r := must(s.CreateRun(b.Context(), NewRun{ExperimentID: "0"}))(b)
	step := int64(0)
	for b.Loop() {
		var batch Batch
		for k := range 10 {
			for i := range 100 {
				batch.Metrics = append(batch.Metrics, Metric{Key: fmt.Sprint("m", k), Point: Point{step + int64(i), step, .1}})
			}
		}
		step += 100
		ok(b, s.LogBatch(b.Context(), r.ID, batch))
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "points/s")
}

func BenchmarkSearch10k(b *testing.B) {
	s, _ := start(b, dbtest.SQLite(b))
	eid := must(s.CreateExperiment(b.Context(), NewExperiment{Name: "big"}))(b)
	for i := range 10_000 {
		r := must(s.CreateRun(b.Context(), NewRun{ExperimentID: eid}))(b)
		batch := Batch{}
		for k := range 5 {
			batch.Metrics = append(batch.Metrics, Metric{Key: fmt.Sprint("m", k), Point: Point{0, 0, float64(i%1000) / 1000}})
			batch.Params = append(batch.Params, Param{fmt.Sprint("p", k), fmt.Sprint(i % 10)})
		}
		ok(b, s.LogBatch(b.Context(), r.ID, batch))
	}
	for b.Loop() {
		p := must(s.SearchRuns(b.Context(), RunQuery{ExperimentIDs: []string{eid}, Filter: "metrics.m3 > 0.5 AND params.p2 = '1'", OrderBy: []string{"metrics.m3 DESC"}, Limit: 100}))(b)
		if len(p.Runs) != 100 {
			b.Fatal(len(p.Runs))
		}
	}
}

func BenchmarkLogMetric(b *testing.B) {
	s, _ := start(b, dbtest.SQLite(b))
	r := must(s.CreateRun(b.Context(), NewRun{ExperimentID: "0"}))(b)
	step := int64(0)
	for b.Loop() {
		step++
		ok(b, s.LogBatch(b.Context(), r.ID, Batch{Metrics: []Metric{{Key: "loss", Point: Point{step, step, .1}}}}))
	}
}
