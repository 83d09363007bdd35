package tracking

import (
	"encoding/csv"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func exported(t *testing.T, s *Service, q ExportQuery) [][]string {
	t.Helper()
	e, err := s.prepareExport(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	ok(t, e.write(t.Context(), &b))
	return must(csv.NewReader(strings.NewReader(b.String())).ReadAll())(t)
}

func TestExportIsTheSearchAsText(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		ok(t, s.LogBatch(t.Context(), ids[0], Batch{Metrics: []Metric{{Key: "acc", Point: Point{Step: 9, Value: math.NaN()}}},
			Tags: []Tag{{"note", "a, \"b\"\nc"}, {"sum", "=1+1"}, {"cost", "-1.5e3"}, {"pad", "  @cmd"}}}))
		ok(t, s.DeleteRun(t.Context(), ids[1]))
		got := exported(t, s, ExportQuery{ExperimentIDs: []string{eid}, OrderBy: []string{"metrics.loss ASC", "attributes.run_name ASC"}, Filter: "attributes.run_name != 'r4'",
			Columns: []string{"attributes.run_id", "attributes.run_name", "metrics.loss", "min(metrics.loss)", "metrics.acc", "params.depth", "tags.note", "tags.sum", "tags.cost", "tags.pad", "tags.none"}})
		want := [][]string{
			{"attributes.run_id", "attributes.run_name", "metrics.loss", "min(metrics.loss)", "metrics.acc", "params.depth", "tags.note", "tags.sum", "tags.cost", "tags.pad", "tags.none"},
			{ids[2], "r2", number(2. / 3), number(1. / 3), "2", "3", "", "", "", "", ""},
			{ids[5], "r5", number(2. / 3), number(1. / 3), "5", "", "", "", "", "", ""},
			{ids[0], "r0", "2", "1", "NaN", "1", "a, \"b\"\nc", "'=1+1", "-1.5e3", "'  @cmd", ""},
			{ids[3], "r3", "2", "1", "3", "1", "", "", "", "", ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		all := exported(t, s, ExportQuery{ExperimentIDs: []string{eid}, View: ViewAll})
		if head := strings.Join(all[0], " "); len(all) != 7 || !strings.HasPrefix(head, "attributes.run_id attributes.run_name") || !strings.HasSuffix(head, "metrics.acc metrics.loss params.depth params.other tags.cost tags.kind tags.mlflow.runName tags.note tags.pad tags.sum") {
			t.Errorf("without columns every one there is: %d lines, %s", len(all), head)
		}
		named := exported(t, s, ExportQuery{RunIDs: []string{ids[3], "nobody", ids[0], ids[3]}, Columns: []string{"attributes.run_name"}})
		if diff := cmp.Diff([][]string{{"attributes.run_name"}, {"r3"}, {"r0"}}, named); diff != "" {
			t.Error(diff)
		}
	})
}

// One stretch of ids, and one read of runs, end and begin inside the result without losing or doubling a run.
func TestExportGoesOnBeyondOneStretch(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	eid := must(s.CreateExperiment(t.Context(), NewExperiment{Name: "long"}))(t)
	const runs = exportRead + 7
	for i := range runs {
		r := must(s.CreateRun(t.Context(), NewRun{ExperimentID: eid, Name: fmt.Sprintf("r%04d", i)}))(t)
		ok(t, s.LogBatch(t.Context(), r.ID, Batch{Metrics: []Metric{{Key: "same", Point: Point{Value: float64(i % 3)}}}}))
	}
	e, err := s.prepareExport(t.Context(), ExportQuery{ExperimentIDs: []string{eid}, OrderBy: []string{"metrics.same DESC"}, Columns: []string{"attributes.run_id", "metrics.same"}})
	ok(t, err)
	e.stretchLength = 100
	var b strings.Builder
	ok(t, e.write(t.Context(), &b))
	lines := must(csv.NewReader(strings.NewReader(b.String())).ReadAll())(t)
	seen, last := map[string]bool{}, "2"
	for _, l := range lines[1:] {
		if l[1] > last {
			t.Fatalf("%s comes after %s", l[1], last)
		}
		seen[l[0]], last = true, l[1]
	}
	if len(lines) != runs+1 || len(seen) != runs {
		t.Fatalf("%d lines, %d runs, expected %d", len(lines)-1, len(seen), runs)
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	for name, q := range map[string]ExportQuery{
		"filter":  {Filter: "metrics.x >"},
		"order":   {OrderBy: []string{"sideways"}},
		"column":  {Columns: []string{"attributes.nothing"}},
		"both":    {RunIDs: []string{"a"}, Filter: "metrics.x > 1"},
		"ids":     {RunIDs: make([]string, maxExportIDs+1)},
		"columns": {Columns: strings.Split(strings.Repeat("metrics.x,", maxExportColumns)+"metrics.x", ",")},
	} {
		if _, err := s.prepareExport(t.Context(), q); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	out := ask(t, s, "POST", "/api/v1/runs/export", `{"filter": "metrics.x >"}`, 400)
	if pluck(t, out, "detail") == nil {
		t.Errorf("an error is an answer as always: %v", out)
	}
}

// brokenPipe takes some bytes and then fails.
type brokenPipe struct {
	*httptest.ResponseRecorder
	room int
}

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, fmt.Errorf("broken pipe")
	}
	return b.ResponseRecorder.Write(p)
}

func TestExportEndsWithItsReader(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	eid, ids := grid(t, s)
	ok(t, s.LogBatch(t.Context(), ids[0], Batch{Tags: []Tag{{"long", strings.Repeat("x", 5000)}, {"longer", strings.Repeat("y", 5000)}}}))
	columns := make([]string, 50)
	for i := range columns {
		columns[i] = "tags.longer"
	}
	e, err := s.prepareExport(t.Context(), ExportQuery{ExperimentIDs: []string{eid}, Columns: columns})
	ok(t, err)
	if err := e.write(t.Context(), &brokenPipe{httptest.NewRecorder(), 100_000}); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err)
	}
}

func TestVariedColumns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		other := must(s.CreateExperiment(t.Context(), NewExperiment{Name: "other"}))(t)
		r := must(s.CreateRun(t.Context(), NewRun{ExperimentID: other, Name: "o"}))(t)
		ok(t, s.LogBatch(t.Context(), r.ID, Batch{Params: []Param{{"other", "y"}}, Tags: []Tag{{"kind", "nightly"}}}))
		columns := []string{"params.other", "params.depth", "tags.kind", "metrics.loss", "min(metrics.loss)", "attributes.status", "attributes.run_name", "tags.none"}
		ask := func(want int, exps []string, filter string, columns ...string) []string {
			t.Helper()
			got, runs, err := s.Varied(t.Context(), VariedQuery{ExperimentIDs: exps, Filter: filter, Columns: columns})
			if err != nil || runs != want {
				t.Fatal(got, runs, err)
			}
			return got
		}
		if diff := cmp.Diff([]string{"params.depth", "metrics.loss", "min(metrics.loss)", "attributes.run_name"}, ask(6, []string{eid}, "", columns...)); diff != "" {
			t.Error(diff)
		}
		if got := ask(1, []string{eid}, "params.depth = '2' and attributes.run_name = 'r1'", columns...); len(got) != 0 {
			t.Errorf("one run differs from nobody: %v", got)
		}
		if diff := cmp.Diff([]string{"params.depth"}, ask(2, []string{eid}, "attributes.run_name IN ('r2', 'r5')", "params.depth", "metrics.loss")); diff != "" {
			t.Errorf("no value is a value: %s", diff)
		}
		if diff := cmp.Diff([]string{"params.other", "metrics.loss"}, ask(7, []string{eid, other}, "", "params.other", "tags.kind", "metrics.loss")); diff != "" {
			t.Errorf("across experiments: %s", diff)
		}
		ok(t, s.LogBatch(t.Context(), ids[3], Batch{Tags: []Tag{{"kind", "daily"}}}))
		if diff := cmp.Diff([]string{"tags.kind"}, ask(6, []string{eid}, "", "tags.kind")); diff != "" {
			t.Errorf("a change shows at once: %s", diff)
		}
	})
}

func TestTaggingIsAllOrNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		ok(t, s.DeleteRun(t.Context(), ids[4]))
		tag := []Tag{{"stage", "kept"}}
		tagged := func() int {
			t.Helper()
			return must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{eid}, Filter: "tags.stage = 'kept'"}))(t).Total
		}
		err := s.TagRuns(t.Context(), RunTagging{RunIDs: []string{ids[0], ids[4], ids[1]}, Set: tag})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "1 of 3 runs cannot be tagged, so none was") || tagged() != 0 {
			t.Fatalf("%v, %d tagged", err, tagged())
		}
		if err := s.TagRuns(t.Context(), RunTagging{RunIDs: []string{ids[0], "nobody"}, Set: tag}); !errs.Is(err, errs.NotFound) || tagged() != 0 {
			t.Fatalf("%v, %d tagged", err, tagged())
		}
		ok(t, s.TagRuns(t.Context(), RunTagging{RunIDs: []string{ids[3], ids[0], ids[3]}, Set: tag}))
		if tagged() != 2 {
			t.Fatal(tagged())
		}
		ok(t, s.TagRuns(t.Context(), RunTagging{RunIDs: ids[:4], Remove: []string{"stage"}}))
		if tagged() != 0 {
			t.Fatal(tagged())
		}
	})
}

func TestBetterEndIsDeclared(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	eid, _ := grid(t, s)
	best := func() string {
		t.Helper()
		return exported(t, s, ExportQuery{ExperimentIDs: []string{eid}, Filter: "attributes.run_name = 'r3'", Columns: []string{"best(metrics.loss)"}})[1][0]
	}
	if got := best(); got != "1" {
		t.Fatalf("by its name a loss is best when small: %s", got)
	}
	out := ask(t, s, "PATCH", "/api/v1/experiments/"+eid, `{"best": {"acc": "min", "loss": "max"}}`, 200)
	if diff := cmp.Diff(any(map[string]any{"acc": "min", "loss": "max"}), pluck(t, out, "best")); diff != "" {
		t.Error(diff)
	}
	if got := best(); got != "2" {
		t.Fatalf("now the largest is best: %s", got)
	}
	out = ask(t, s, "PATCH", "/api/v1/experiments/"+eid, `{"best": {"acc": ""}}`, 200)
	if diff := cmp.Diff(any(map[string]any{"loss": "max"}), pluck(t, out, "best")); diff != "" {
		t.Error(diff)
	}
	ask(t, s, "PATCH", "/api/v1/experiments/"+eid, `{"best": {"acc": "up"}}`, 400)
}
