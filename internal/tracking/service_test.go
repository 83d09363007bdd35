package tracking

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
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

// start makes the service on a store; the clock moves only when told.
func start(t testing.TB, d *db.DB) (*Service, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: log})
	blobs, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	s := New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: q, Clock: c, Log: log}), Files: blob.NewFiles(d, blobs, c), Clock: c, Log: log})
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second start changes nothing
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s, c
}

// each runs a test on every engine that is there.
func each(t *testing.T, test func(t *testing.T, s *Service, c *clock.Fake)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, c := start(t, d)
		test(t, s, c)
	})
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Fatalf("want an error of kind %s, got %v", k, err)
	}
}

func eventTypes(t testing.TB, s *Service) []string {
	t.Helper()
	rows, err := s.d.DB.Query(t.Context(), "SELECT type FROM event ORDER BY id")
	ok(t, err)
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var typ string
		ok(t, rows.Scan(&typ))
		out = append(out, strings.TrimPrefix(typ, "tracking."))
	}
	return out
}

func TestStoreExperiments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		ctx := t.Context()
		d := must(s.ExperimentByName(ctx, "Default"))(t)
		if d.ID != DefaultExperiment {
			t.Fatalf("the default experiment is %q", d.ID)
		}
		a := must(s.CreateExperiment(ctx, NewExperiment{Name: "a", Tags: []Tag{{"k", "1"}}}))(t)
		_, err := s.CreateExperiment(ctx, NewExperiment{Name: "a"})
		want(t, err, errs.Conflict)
		_, err = s.CreateExperiment(ctx, NewExperiment{Name: strings.Repeat("ä", MaxExperimentName+1)})
		want(t, err, errs.Invalid)
		for _, id := range []string{"", "x", "99", "-1", "01", "99999999999999999999"} {
			_, err = s.Experiment(ctx, id)
			want(t, err, errs.NotFound)
		}
		r1 := must(s.CreateRun(ctx, NewRun{ExperimentID: a}))(t)
		r2 := must(s.CreateRun(ctx, NewRun{ExperimentID: a}))(t)
		ok(t, s.DeleteRun(ctx, r1.ID))
		c.Advance(time.Second)
		ok(t, s.DeleteExperiment(ctx, a))
		want(t, s.DeleteExperiment(ctx, a), errs.Invalid)
		want(t, s.DeleteExperiment(ctx, DefaultExperiment), errs.Invalid)
		_, err = s.CreateRun(ctx, NewRun{ExperimentID: a})
		want(t, err, errs.Invalid)
		want(t, s.LogBatch(ctx, r2.ID, Batch{Tags: []Tag{{"x", "y"}}}), errs.Invalid)
		_, err = s.CreateExperiment(ctx, NewExperiment{Name: "a"})
		want(t, err, errs.Conflict)
		ok(t, s.RestoreExperiment(ctx, a))
		if r := must(s.Run(ctx, r1.ID))(t); r.Lifecycle != Deleted {
			t.Error("a run that was deleted before its experiment must stay deleted")
		}
		if r := must(s.Run(ctx, r2.ID))(t); r.Lifecycle != Active {
			t.Error("a run that was deleted with its experiment must come back")
		}
		ok(t, s.RenameExperiment(ctx, a, "b"))
		want(t, s.RenameExperiment(ctx, a, "Default"), errs.Conflict)
		ok(t, s.SetExperimentTag(ctx, a, Tag{"k", "2"}))
		want(t, s.DeleteExperimentTag(ctx, a, "none"), errs.NotFound)
		found, _, err := s.SearchExperiments(ctx, Query{Filter: "tags.k = '2' AND name LIKE 'b%'"})
		if err != nil || len(found) != 1 || found[0].ID != a {
			t.Fatalf("%v %v", found, err)
		}
		all, next, err := s.SearchExperiments(ctx, Query{Limit: 1})
		if err != nil || len(all) != 1 || all[0].ID != a || next == "" {
			t.Fatalf("%v %q %v", all, next, err)
		}
		all, next, err = s.SearchExperiments(ctx, Query{Limit: 1, PageToken: next})
		if err != nil || len(all) != 1 || all[0].ID != DefaultExperiment || next != "" {
			t.Fatalf("%v %q %v", all, next, err)
		}
	})
}

func TestStoreRunLife(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, c *clock.Fake) {
		ctx := t.Context()
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: "0", Tags: []Tag{{TagUser, "ann"}, {TagRunName, "first"}}}))(t)
		if len(r.ID) != 32 || r.Name != "first" || r.Status != StatusRunning || r.ArtifactURI() != "mlflow-artifacts:/0/"+r.ID+"/artifacts" {
			t.Fatalf("%+v", r)
		}
		_, err := s.CreateRun(ctx, NewRun{ExperimentID: "0", Name: "x", Tags: []Tag{{TagRunName, "y"}}})
		want(t, err, errs.Invalid)
		ok(t, s.LogBatch(ctx, r.ID, Batch{
			Metrics: []Metric{{Key: "loss", Point: Point{1, 10, .5}}, {Key: "loss", Point: Point{2, 20, .25}}, {Key: "nan", Point: Point{0, 0, math.NaN()}}, {Key: "inf", Point: Point{0, 0, math.Inf(-1)}}},
			Params:  []Param{{"lr", "0.1"}, {"lr", "0.1"}, {"empty", ""}}, Tags: []Tag{{"a/b", "1"}, {"a/b", "2"}},
		}))
		ok(t, s.LogBatch(ctx, r.ID, Batch{Params: []Param{{"lr", "0.1"}}}))
		// all or nothing: the metric of a batch whose parameter changes is not stored
		err = s.LogBatch(ctx, r.ID, Batch{Metrics: []Metric{{Key: "late", Point: Point{0, 0, 1}}}, Params: []Param{{"lr", "0.2"}}})
		want(t, err, errs.Invalid)
		ok(t, s.LogBatch(ctx, r.ID, Batch{Metrics: []Metric{{Key: "loss", Point: Point{1, 99, 7}}, {Key: "nan", Point: Point{0, 0, 3}}}}))
		ok(t, s.LogBatch(ctx, r.ID, Batch{Metrics: []Metric{{Key: "nan", Point: Point{0, 0, math.NaN()}}}}))
		got := must(s.Run(ctx, r.ID))(t)
		latest := map[string]float64{}
		for _, m := range got.Metrics {
			latest[m.Key] = m.Value
		}
		if len(latest) != 3 || latest["loss"] != .25 || latest["nan"] != 3 || !math.IsInf(latest["inf"], -1) {
			t.Errorf("latest metrics: %v", latest)
		}
		if !slices.Equal(got.Params, []Param{{"empty", ""}, {"lr", "0.1"}}) || got.Tag("a/b") != "2" {
			t.Errorf("%v %v", got.Params, got.Tags)
		}
		h := must(s.History(ctx, r.ID, "loss"))(t)
		if !slices.Equal(h, []Point{{1, 10, .5}, {2, 20, .25}, {1, 99, 7}}) {
			t.Errorf("history: %v", h)
		}
		if h := must(s.History(ctx, r.ID, "none"))(t); len(h) != 0 {
			t.Errorf("%v", h)
		}
		name, end, done := "second", c.Now(), StatusFinished
		up := must(s.UpdateRun(ctx, r.ID, RunChange{Name: &name, EndTime: &end, Status: &done}))(t)
		must(s.UpdateRun(ctx, r.ID, RunChange{Status: &done}))(t)
		if up.Name != "second" || !up.EndTime.Equal(end) || up.Status != StatusFinished {
			t.Errorf("%+v", up)
		}
		if got := must(s.Run(ctx, r.ID))(t); got.Tag(TagRunName) != "second" {
			t.Error("the tag must follow the name")
		}
		ok(t, s.DeleteTag(ctx, r.ID, "a/b"))
		want(t, s.DeleteTag(ctx, r.ID, "a/b"), errs.NotFound)
		ok(t, s.LogInputs(ctx, r.ID, []DatasetInput{{Name: "d", Digest: "1", SourceType: "http", Source: "{}", Tags: []Tag{{tagContext, "training"}}}}, []ModelRef{{ModelID: "m-1"}}))
		ok(t, s.LogOutputs(ctx, r.ID, []ModelRef{{ModelID: "m-2", Step: 3}}))
		got = must(s.Run(ctx, r.ID))(t)
		if len(got.Inputs) != 1 || got.Inputs[0].Context != "training" || len(got.Inputs[0].Tags) != 1 || got.ModelInputs[0].ModelID != "m-1" || got.ModelOutputs[0].Step != 3 {
			t.Errorf("%+v", got)
		}
		ok(t, s.DeleteRun(ctx, r.ID))
		want(t, s.LogBatch(ctx, r.ID, Batch{Tags: []Tag{{"x", "y"}}}), errs.Invalid)
		ok(t, s.RestoreRun(ctx, r.ID))
		want(t, s.DeleteRun(ctx, "nothing"), errs.NotFound)
		types := eventTypes(t, s)
		if !slices.Equal(types, []string{"run.created", "run.ended", "run.inputs_logged", "run.deleted", "run.restored"}) {
			t.Errorf("events: %v", types)
		}
	})
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	r := must(s.CreateRun(t.Context(), NewRun{ExperimentID: "0"}))(t)
	for name, b := range map[string]Batch{
		"many metrics":  {Metrics: make([]Metric, MaxBatchMetrics+1)},
		"many params":   {Params: make([]Param, MaxBatchParams+1)},
		"many tags":     {Tags: make([]Tag, MaxBatchTags+1)},
		"empty key":     {Params: []Param{{"", "x"}}},
		"long key":      {Params: []Param{{strings.Repeat("k", MaxKey+1), "x"}}},
		"long value":    {Params: []Param{{"k", strings.Repeat("v", MaxParamValue+1)}}},
		"long tag":      {Tags: []Tag{{"k", strings.Repeat("v", MaxTagValue+1)}}},
		"climbing key":  {Params: []Param{{"../x", "x"}}},
		"absolute key":  {Params: []Param{{"/x", "x"}}},
		"odd key":       {Params: []Param{{"a;b", "x"}}},
		"not UTF-8":     {Tags: []Tag{{"k", "\xff"}}},
		"NUL":           {Tags: []Tag{{"k", "a\x00b"}}},
		"absurd time":   {Metrics: []Metric{{Key: "k", Point: Point{Time: math.MaxInt64}}}},
		"two values":    {Params: []Param{{"k", "1"}, {"k", "2"}}},
		"many in total": {Metrics: make([]Metric, 950), Tags: make([]Tag, 60)},
	} {
		if err := s.LogBatch(t.Context(), r.ID, b); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	got := must(s.Run(t.Context(), r.ID))(t)
	if len(got.Metrics)+len(got.Params) != 0 || len(got.Tags) != 1 {
		t.Errorf("something of a refused batch was stored: %+v", got)
	}
	ok(t, s.LogBatch(t.Context(), r.ID, Batch{Params: []Param{{strings.Repeat("ä", MaxKey), strings.Repeat("ö", MaxParamValue)}}}))
}

func TestStoreChunksMerge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: "0"}))(t)
		const batches, per = 130, 25
		for b := range batches {
			var batch Batch
			for i := range per {
				n := int64(b*per + i)
				batch.Metrics = append(batch.Metrics, Metric{Key: "loss", Point: Point{n, 1000 + n, float64(n) / 3}})
			}
			ok(t, s.LogBatch(ctx, r.ID, batch))
		}
		var chunks int
		ok(t, s.d.DB.QueryRow(ctx, "SELECT count(*) FROM metric_chunk").Scan(&chunks))
		if chunks != 10 { // 41 batches pass 1,024 points: three merged chunks and seven loose ones
			t.Errorf("%d chunks for %d batches: they must be merged", chunks, batches)
		}
		h := must(s.History(ctx, r.ID, "loss"))(t)
		if len(h) != batches*per {
			t.Fatalf("%d points, want %d", len(h), batches*per)
		}
		for i, p := range h {
			if p != (Point{int64(i), 1000 + int64(i), float64(i) / 3}) {
				t.Fatalf("point %d is %v", i, p)
			}
		}
		if c := must(s.Chart(ctx, r.ID, "loss", 100))(t); len(c) > 100 || c[0].Step != 0 {
			t.Errorf("%d points in the chart", len(c))
		}
	})
}

// TestStoreParallelWriters: writers of one run and of many lose nothing.
func TestStoreParallelWriters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: "0"}))(t)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				own, err := s.CreateRun(ctx, NewRun{ExperimentID: "0", Name: fmt.Sprint("w", w)})
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 20 {
					m := []Metric{{Key: "m", Point: Point{int64(w*100 + i), 1, 1}}}
					if err := s.LogBatch(ctx, r.ID, Batch{Metrics: m}); err != nil {
						t.Error(err)
					}
					if err := s.LogBatch(ctx, own.ID, Batch{Metrics: m}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if h := must(s.History(ctx, r.ID, "m"))(t); len(h) != 160 {
			t.Errorf("%d points, want 160", len(h))
		}
	})
}

func TestStoreModels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: "0"}))(t)
		m := must(s.CreateModel(ctx, NewModel{ExperimentID: "0", Name: "model", RunID: r.ID, Params: []Param{{"depth", "3"}}, Tags: []Tag{{"t", "1"}}}))(t)
		if !strings.HasPrefix(m.ID, "m-") || len(m.ID) != 34 || m.Status != ModelPending {
			t.Fatalf("%+v", m)
		}
		_, err := s.CreateModel(ctx, NewModel{ExperimentID: "0", Name: "a/b"})
		want(t, err, errs.Invalid)
		_, err = s.CreateModel(ctx, NewModel{ExperimentID: "0", RunID: "none"})
		want(t, err, errs.NotFound)
		_, err = s.FinalizeModel(ctx, m.ID, ModelPending)
		want(t, err, errs.Invalid)
		if got := must(s.FinalizeModel(ctx, m.ID, ModelReady))(t); got.Status != ModelReady {
			t.Errorf("%+v", got)
		}
		ok(t, s.LogBatch(ctx, r.ID, Batch{Metrics: []Metric{
			{Key: "rmse", Point: Point{1, 1, 5}, ModelID: m.ID, DatasetName: "d", DatasetDigest: "1"},
			{Key: "rmse", Point: Point{2, 2, 4}, ModelID: m.ID, DatasetName: "d", DatasetDigest: "1"}}}))
		ok(t, s.LogModelParams(ctx, m.ID, []Param{{"depth", "3"}, {"k", "v"}}))
		want(t, s.LogModelParams(ctx, m.ID, []Param{{"depth", "4"}}), errs.Invalid)
		other := must(s.CreateModel(ctx, NewModel{ExperimentID: "0", Name: "other"}))(t)
		for filter, n := range map[string]int{
			"": 2, "metrics.rmse < 5": 1, "name = 'other'": 1, "params.depth = '3' AND tags.t = '1'": 1, "status = 'PENDING'": 1,
			"source_run_id = '" + r.ID + "'": 1, "metrics.none > 1": 0, "name IN ('model','other')": 2,
		} {
			found, _, err := s.SearchModels(ctx, Query{ExperimentIDs: []string{"0"}, Filter: filter})
			if err != nil || len(found) != n {
				t.Errorf("%q: %d models, want %d (%v)", filter, len(found), n, err)
			}
		}
		if found, _, err := s.SearchModels(ctx, Query{ExperimentIDs: []string{"0"}, Filter: "metrics.rmse < 5", Datasets: []DatasetRef{{Name: "elsewhere"}}}); err != nil || len(found) != 0 {
			t.Errorf("measured on another dataset: %v %v", found, err)
		}
		got := must(s.Model(ctx, m.ID))(t)
		if len(got.Metrics) != 1 || got.Metrics[0].Value != 4 || len(got.Params) != 2 {
			t.Errorf("%+v", got)
		}
		must(s.SetModelTags(ctx, m.ID, []Tag{{"t", "2"}}))(t)
		ok(t, s.DeleteModelTag(ctx, m.ID, "t"))
		want(t, s.DeleteModelTag(ctx, m.ID, "t"), errs.NotFound)
		ok(t, s.DeleteModel(ctx, other.ID))
		_, err = s.Model(ctx, other.ID)
		want(t, err, errs.NotFound)
		if ms := must(s.ModelsOfRun(ctx, r.ID, "model"))(t); len(ms) != 1 {
			t.Errorf("%v", ms)
		}
		if types := eventTypes(t, s); !slices.Contains(types, "model.logged") {
			t.Errorf("events: %v", types)
		}
	})
}
