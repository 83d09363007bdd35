package tracking

import (
	"fmt"
	"math"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// TestStoreManySeries: several metrics in one batch keep all points, through merges of their chunks, and their latest, smallest and largest.
func TestStoreManySeries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		r := must(s.CreateRun(t.Context(), NewRun{ExperimentID: "0"}))(t)
		const keys, each, batches = 3, 300, 8 // chunks merge at 1024 points
		for n := range batches {
			var b Batch
			for i := range each {
				for k := range keys {
					step := int64(n*each + i)
					b.Metrics = append(b.Metrics, Metric{Key: fmt.Sprint("m", k), Point: Point{Step: step, Time: step, Value: float64(int64(k+1) * (step - 100))}})
				}
			}
			ok(t, s.LogBatch(t.Context(), r.ID, b))
		}
		p := must(s.SearchRuns(t.Context(), RunQuery{ExperimentIDs: []string{"0"}, Aggregates: []string{"min(metrics.m1)", "max(metrics.m2)"}}))(t)
		if a := p.Aggregates[r.ID]; a["min(metrics.m1)"] != -200 || a["max(metrics.m2)"] != 3*(each*batches-1-100) {
			t.Errorf("%v", a)
		}
		for k := range keys {
			key := fmt.Sprint("m", k)
			points := must(s.History(t.Context(), r.ID, key))(t)
			if len(points) != each*batches {
				t.Fatalf("%s has %d points", key, len(points))
			}
			for i, x := range points {
				if want := (Point{int64(i), int64(i), float64((k + 1) * (i - 100))}); x != want {
					t.Fatalf("%s: point %d is %v, want %v", key, i, x, want)
				}
			}
			if last := p.Runs[0].Metrics[k]; last.Key != key || last.Point != points[len(points)-1] {
				t.Errorf("the last of %s is %v", key, last)
			}
		}
	})
}

// BenchmarkChart times a chart of a history of 100,000 points: reading, ordering, thinning.
func BenchmarkChart(b *testing.B) {
	s, _ := start(b, dbtest.SQLite(b))
	r := must(s.CreateRun(b.Context(), NewRun{ExperimentID: "0"}))(b)
	for n := range 100 {
		var batch Batch
		for i := range 1000 {
			step := int64(n*1000 + i)
			batch.Metrics = append(batch.Metrics, Metric{Key: "m", Point: Point{Step: step, Time: step, Value: float64(step % 977)}})
		}
		ok(b, s.LogBatch(b.Context(), r.ID, batch))
	}
	for b.Loop() {
		if points := must(s.Chart(b.Context(), r.ID, "m", 1000))(b); len(points) != 1000 {
			b.Fatal(len(points))
		}
	}
}

// TestExtremesAreReadFromPointsOnce: a store from before the extremes were kept tells them from the points at the first search, and keeps
// them; NaN alone has none until a number comes.
func TestExtremesAreReadFromPointsOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		ctx := t.Context()
		log := func(id, key string, step int64, values ...float64) {
			b := Batch{}
			for i, v := range values {
				b.Metrics = append(b.Metrics, Metric{Key: key, Point: Point{Step: step + int64(i), Value: v}})
			}
			ok(t, s.LogBatch(ctx, id, b))
		}
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: DefaultExperiment}))(t)
		log(r.ID, "m", 0, 3, -2, 7, 1)
		log(r.ID, "nan", 0, math.NaN(), math.NaN())
		ok(t, s.d.DB.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec("UPDATE metric_latest SET low = NULL, high = NULL")
			return err
		}))
		look := func() map[string]float64 {
			fresh := New(s.d) // as after a start: nothing is in memory
			return must(fresh.SearchRuns(ctx, RunQuery{ExperimentIDs: []string{"0"}, Aggregates: []string{"min(metrics.m)", "max(metrics.m)", "min(metrics.nan)", "max(metrics.nan)"}}))(t).Aggregates[r.ID]
		}
		for range 2 {
			a := look()
			if low, there := a["min(metrics.nan)"]; a["min(metrics.m)"] != -2 || a["max(metrics.m)"] != 7 || there && !math.IsNaN(low) {
				t.Fatal(a)
			}
		}
		var unknown int
		if ok(t, s.d.DB.QueryRow(ctx, "SELECT count(*) FROM metric_latest WHERE low IS NULL OR high IS NULL").Scan(&unknown)); unknown != 0 {
			t.Errorf("%d metrics would be read from their points again", unknown)
		}
		log(r.ID, "nan", 2, 5)
		log(r.ID, "m", 4, 9)
		if a := look(); a["min(metrics.nan)"] != 5 || a["max(metrics.nan)"] != 5 || a["min(metrics.m)"] != -2 || a["max(metrics.m)"] != 9 {
			t.Error(a)
		}
	})
}
