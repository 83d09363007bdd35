package tracking

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const (
	runA = "0123456789abcdef0123456789abcdef"
	modA = "m-0123456789abcdef0123456789abcdef"
)

func imported(exp string) ImportedRun {
	return ImportedRun{ID: runA, ExperimentID: exp, SourceExperiment: "77", Name: "old", User: "ana", Status: StatusFinished, Lifecycle: Active, StartMs: 1_600_000_000_000, EndMs: 1_600_000_001_000,
		Params: []Param{{"p", "1"}}, Tags: []Tag{{"t", "x"}}, Inputs: []ImportedInput{{Name: "d", Digest: "1", SourceType: "local", Source: "{}", Tags: []Tag{{tagContext, "training"}}}},
		ModelOutputs: []ImportedRef{{modA, 3}},
		Series:       []ImportedSeries{{Key: "m", Steps: []int64{0, 1, 2}, Times: []int64{5, 6, 7}, Values: []Value{1, Value(math.NaN()), 0.5}}}}
}

func TestImportKeepsAndRepeats(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		n := ImportedExperiment{Origin: "o1", SourceID: "12", Name: "wines", Lifecycle: Active, CreatedMs: 1_500_000_000_000, Tags: map[string]string{"a": "b"}}
		check := n
		check.Check = true
		if _, out, err := s.ImportExperiment(ctx, check); err != nil || out != Created {
			t.Fatal(out, err)
		}
		if _, err := s.ExperimentByName(ctx, "wines"); !errs.Is(err, errs.NotFound) {
			t.Fatal("a check wrote something", err)
		}
		for i, want := range []ImportOutcome{Created, Unchanged} {
			if id, out, err := s.ImportExperiment(ctx, n); err != nil || id != "12" || out != want {
				t.Fatal(i, id, out, err)
			}
			if out, err := s.ImportRun(ctx, imported("12")); err != nil || out != []ImportOutcome{Created, Updated}[i] {
				t.Fatal(out, err)
			}
		}
		r := must(s.Run(ctx, runA))(t)
		if r.StartTime.UnixMilli() != 1_600_000_000_000 || r.EndTime.UnixMilli() != 1_600_000_001_000 || r.User != "ana" || r.Status != StatusFinished || len(r.Inputs) != 1 || r.Inputs[0].Context != "training" || len(r.ModelOutputs) != 1 {
			t.Errorf("%+v", r)
		}
		if h := must(s.History(ctx, runA, "m"))(t); len(h) != 3 || !math.IsNaN(h[1].Value) {
			t.Errorf("%v", h)
		}
		found := must(s.SearchRuns(ctx, RunQuery{ExperimentIDs: []string{"12"}, Filter: "metrics.m < 1 and params.p = '1' and min(metrics.m) = 0.5"}))(t)
		if len(found.Runs) != 1 {
			t.Errorf("the search does not see it: %v", found.Runs)
		}
		if e := must(s.Experiment(ctx, "12"))(t); e.CreatedAt.UnixMilli() != n.CreatedMs || len(e.Tags) != 1 {
			t.Errorf("%+v", e)
		}
		// another store's experiment of the same name
		n.Origin = "o2"
		if _, _, err := s.ImportExperiment(ctx, n); !errs.Is(err, errs.Conflict) {
			t.Error(err)
		}
		n.IntoExisting = true
		if id, out, err := s.ImportExperiment(ctx, n); err != nil || id != "12" || out != Unchanged {
			t.Error(id, out, err)
		}
	})
}

func TestImportGoesOnBehindWhatIsThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		must(s.ImportRun(ctx, imported("0")))(t)
		more := imported("0")
		more.Series = []ImportedSeries{{Key: "m", From: 3, Steps: []int64{3}, Times: []int64{8}, Values: []Value{9}}}
		must(s.ImportRun(ctx, more))(t)
		if h := must(s.History(ctx, runA, "m"))(t); len(h) != 4 {
			t.Errorf("%v", h)
		}
		if _, err := s.ImportRun(ctx, more); !errs.Is(err, errs.Precondition) {
			t.Errorf("the same part twice: %v", err)
		}
		big := ImportedSeries{Key: "m", From: 4}
		for i := range 3 * importChunk / 2 {
			big.Steps, big.Times, big.Values = append(big.Steps, int64(4+i)), append(big.Times, int64(9+i)), append(big.Values, Value(i))
		}
		more.Series = []ImportedSeries{big}
		must(s.ImportRun(ctx, more))(t)
		ok(t, s.LogBatch(ctx, runA, Batch{Metrics: []Metric{{Key: "m", Point: Point{Step: 1 << 40, Time: 1 << 30, Value: 7}}}}))
		if h := must(s.History(ctx, runA, "m"))(t); len(h) != 4+3*importChunk/2+1 {
			t.Errorf("%d points", len(h))
		}
	})
}

func TestImportRefusesBadInput(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		for name, change := range map[string]func(r *ImportedRun){
			"id":           func(r *ImportedRun) { r.ID = "../../x" },
			"status":       func(r *ImportedRun) { r.Status = "DONE" },
			"lifecycle":    func(r *ImportedRun) { r.Lifecycle = "" },
			"time":         func(r *ImportedRun) { r.StartMs = math.MaxInt64 },
			"key":          func(r *ImportedRun) { r.Params[0].Key = "../up" },
			"tag":          func(r *ImportedRun) { r.Tags[0].Value = "a\x00" },
			"series":       func(r *ImportedRun) { r.Series[0].Steps = r.Series[0].Steps[:1] },
			"from":         func(r *ImportedRun) { r.Series[0].From = -1 },
			"point time":   func(r *ImportedRun) { r.Series[0].Times[0] = math.MinInt64 },
			"dataset":      func(r *ImportedRun) { r.Inputs[0].Digest = strings.Repeat("x", 40) },
			"too many":     func(r *ImportedRun) { r.Params = make([]Param, maxImportValues+1) },
			"experiment":   func(r *ImportedRun) { r.ExperimentID = "x" },
			"no such one":  func(r *ImportedRun) { r.ExperimentID = "99" },
			"model of run": func(r *ImportedRun) { r.ModelOutputs[0].ModelID = "" },
		} {
			r := imported("0")
			change(&r)
			if _, err := s.ImportRun(t.Context(), r); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := s.Run(t.Context(), runA); !errs.Is(err, errs.NotFound) {
				t.Fatalf("%s: half a run was written", name)
			}
		}
		if _, err := s.ImportModel(t.Context(), ImportedModel{ID: "m-x", ExperimentID: "0", Name: "n", Status: ModelReady}); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
	})
}

func TestImportStateAndFiles(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		must(s.ImportRun(ctx, imported("0")))(t)
		ok(t, s.FinishImport(ctx, kindRun, map[string]string{runA: "x", "gone": "y"}))
		if got := must(s.ImportState(ctx, kindRun, []string{runA, "gone", "other"}))(t); len(got) != 1 || got[runA] != "x" {
			t.Error(got)
		}
		f := must(s.d.Files.Put(ctx, RunRoot("other"), "a", strings.NewReader("hello")))(t)
		files := []blob.File{{Path: "b/c.txt", Size: 5, Digest: f.Digest}, {Path: "new", Size: 1, Digest: blob.Digest(strings.Repeat("0", 64))}}
		if missing := must(s.LinkFiles(ctx, kindRun, runA, files))(t); !slices.Equal(missing, []string{"new"}) {
			t.Error(missing)
		}
		if got := must(s.d.Files.ReadFile(ctx, RunRoot(runA), "b/c.txt", 10))(t); string(got) != "hello" {
			t.Errorf("%s", got)
		}
		for _, bad := range []blob.File{{Path: "../x", Digest: f.Digest}, {Path: "x", Digest: "zz"}, {Path: "", Digest: f.Digest}} {
			if _, err := s.LinkFiles(ctx, kindRun, runA, []blob.File{bad}); !errs.Is(err, errs.Invalid) {
				t.Error(bad, err)
			}
		}
		if _, err := s.LinkFiles(ctx, kindRun, "nobody", files); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

// TestMove moves a run with what is nested in it and its models; searches and old addresses follow.
func TestMove(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		from, to := must(s.CreateExperiment(ctx, NewExperiment{Name: "from"}))(t), must(s.CreateExperiment(ctx, NewExperiment{Name: "to"}))(t)
		parent := must(s.CreateRun(ctx, NewRun{ExperimentID: from, Name: "p"}))(t)
		child := must(s.CreateRun(ctx, NewRun{ExperimentID: from, Name: "c", Tags: []Tag{{TagParentRun, parent.ID}}}))(t)
		grand := must(s.CreateRun(ctx, NewRun{ExperimentID: from, Name: "g", Tags: []Tag{{TagParentRun, child.ID}}}))(t)
		rest := must(s.CreateRun(ctx, NewRun{ExperimentID: from, Name: "r"}))(t)
		for _, r := range []Run{parent, child, grand, rest} {
			ok(t, s.LogBatch(ctx, r.ID, Batch{Metrics: []Metric{{Key: "m", Point: Point{Value: 1}}}, Params: []Param{{"p", "1"}}}))
			ok(t, s.LogInputs(ctx, r.ID, []DatasetInput{{Name: "d", Digest: "1", SourceType: "local"}}, nil))
		}
		m := must(s.CreateModel(ctx, NewModel{ExperimentID: from, RunID: child.ID, Name: "m"}))(t)
		in := func(exp string) []string {
			var names []string
			for _, r := range must(s.SearchRuns(ctx, RunQuery{ExperimentIDs: []string{exp}, Filter: "metrics.m = 1 and params.p = '1' and datasets.name = 'd'", OrderBy: []string{"run_name"}}))(t).Runs {
				names = append(names, r.Name)
			}
			return names
		}
		if got := in(from); len(got) != 4 {
			t.Fatal(got)
		}
		got := must(s.MoveRuns(ctx, []string{parent.ID}, to, true))(t)
		if len(got.Items) != 3 || got.Models != 1 || got.Items[0].From != from {
			t.Errorf("%+v", got)
		}
		if a, b := in(from), in(to); !slices.Equal(a, []string{"r"}) || !slices.Equal(b, []string{"c", "g", "p"}) {
			t.Error(a, b)
		}
		if exp := must(s.HasModel(ctx, m.ID))(t); exp != to {
			t.Error(exp)
		}
		for id, asked := range map[string]string{parent.ID: from, m.ID: from} {
			if here := must(s.InPlace(ctx, id, to, asked))(t); !here {
				t.Error(id, "its old address is gone")
			}
		}
		if here := must(s.InPlace(ctx, rest.ID, from, to))(t); here {
			t.Error("an experiment it was never in")
		}
		if again := must(s.MoveRuns(ctx, []string{parent.ID}, to, true))(t); len(again.Items) != 0 {
			t.Error(again)
		}
		ok(t, s.DeleteRun(ctx, rest.ID))
		for name, err := range map[string]error{
			"deleted run":        second(s.MoveRuns(ctx, []string{rest.ID}, to, false)),
			"no such run":        second(s.MoveRuns(ctx, []string{parent.ID, "x"}, from, false)),
			"no such experiment": second(s.MoveRuns(ctx, []string{parent.ID}, "99", false)),
			"no runs":            second(s.MoveRuns(ctx, nil, to, false)),
			"too many":           second(s.MoveRuns(ctx, make([]string, maxMoveRuns+1), to, false)),
		} {
			if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if exp := must(s.HasRun(ctx, parent.ID))(t); exp != to {
			t.Error("half a move")
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestMerge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		a, _, err := s.ImportExperiment(ctx, ImportedExperiment{Origin: "o", SourceID: "5", Name: "a", Lifecycle: Active, Tags: map[string]string{"both": "a", "only": "a"}})
		ok(t, err)
		b := must(s.CreateExperiment(ctx, NewExperiment{Name: "b", Tags: []Tag{{"both", "b"}}}))(t)
		must(s.ImportRun(ctx, imported(a)))(t)
		gone := must(s.CreateRun(ctx, NewRun{ExperimentID: a, Name: "gone"}))(t)
		ok(t, s.DeleteRun(ctx, gone.ID))
		must(s.ImportModel(ctx, ImportedModel{ID: modA, ExperimentID: a, Name: "m", Status: ModelReady, CreatedMs: 1}))(t)
		got := must(s.MergeExperiment(ctx, a, b))(t)
		if got.Runs != 2 || got.Models != 1 || !slices.Equal(got.Tags, []string{"only"}) {
			t.Errorf("%+v", got)
		}
		if e := must(s.Experiment(ctx, b))(t); tagValue(e.Tags, "both") != "b" || tagValue(e.Tags, "only") != "a" {
			t.Errorf("%+v", e)
		}
		if e := must(s.Experiment(ctx, a))(t); e.Lifecycle != Deleted {
			t.Errorf("%+v", e)
		}
		found := must(s.SearchRuns(ctx, RunQuery{ExperimentIDs: []string{b}, Filter: "metrics.m < 1"}))(t)
		if len(found.Runs) != 1 || found.Runs[0].Tag("t") != "x" {
			t.Errorf("%+v", found)
		}
		if r := must(s.Run(ctx, gone.ID))(t); r.ExperimentID != b || r.Lifecycle != Deleted {
			t.Errorf("%+v", r)
		}
		if id, _, err := s.ImportExperiment(ctx, ImportedExperiment{Origin: "o", Name: "a", Lifecycle: Active}); err != nil || id != b {
			t.Error("a later import of the same source goes elsewhere", id, err)
		}
		for _, pair := range [][2]string{{b, b}, {a, b}, {b, a}, {"99", b}, {b, "x"}} {
			if _, err := s.MergeExperiment(ctx, pair[0], pair[1]); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
				t.Error(pair, err)
			}
		}
		if _, err := s.MergeExperiment(ctx, "0", b); err != nil {
			t.Error(err)
		}
		if e := must(s.Experiment(ctx, "0"))(t); e.Lifecycle != Active {
			t.Error("the default experiment was deleted")
		}
	})
}

// TestPurgeForgetsOrigins: nothing is left of where purged things came from, and all of those that stay.
func TestPurgeForgetsOrigins(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		rows := func() map[string]int {
			out := map[string]int{}
			for table, column := range map[string]string{"former_place": "owner", "import_state": "kind || ' ' || id"} {
				found, err := s.d.DB.Query(ctx, "SELECT "+column+" FROM "+table)
				for _, id := range must(db.All(found, err, db.Column[string]))(t) {
					out[table+" "+id]++
				}
			}
			return out
		}
		n := ImportedExperiment{Origin: "o1", SourceID: "12", Name: "wines", Lifecycle: Active}
		exp, _, err := s.ImportExperiment(ctx, n)
		ok(t, err)
		r := imported(exp)
		r.SourceExperiment = "77" // it had another number there
		must(s.ImportRun(ctx, r))(t)
		ok(t, s.FinishImport(ctx, kindRun, map[string]string{runA: "x"}))
		m := must(s.CreateModel(ctx, NewModel{ExperimentID: exp, Name: "m"}))(t)
		ok(t, s.FinishImport(ctx, kindModel, map[string]string{m.ID: "y"}))
		stay := must(s.CreateRun(ctx, NewRun{ExperimentID: DefaultExperiment}))(t)
		must(s.MoveRuns(ctx, []string{stay.ID}, exp, false))(t)
		must(s.MoveRuns(ctx, []string{stay.ID}, DefaultExperiment, false))(t)
		if got := rows(); len(got) != 5 {
			t.Fatal(got)
		}
		emit := func([]blob.Content) error { return nil }
		ok(t, s.DeleteRun(ctx, runA))
		ok(t, s.purgeRun(ctx, runA, emit))
		if got := rows(); len(got) != 3 || got["former_place "+runA]+got["import_state run "+runA] != 0 {
			t.Errorf("after the purge of the run: %v", got)
		}
		ok(t, s.DeleteExperiment(ctx, exp))
		ok(t, s.purgeExperiment(ctx, exp, emit))
		if got := rows(); len(got) != 1 || got["former_place "+stay.ID] != 2 {
			t.Errorf("after the purge of the experiment: %v", got)
		}
	})
}
