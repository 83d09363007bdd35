package tracking

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// A listener asks for the run of each of its events, so for one run as often as it has events. What is kept must be the whole run.
func TestRunAskedForTwiceIsReadWhole(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	_, ids := grid(t, s)
	runs := must(s.Runs(t.Context(), []string{ids[0], ids[1], ids[0], ids[0]}))(t)
	if len(runs) != 4 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, r := range append(runs, must(s.Run(t.Context(), ids[0]))(t), must(s.Run(t.Context(), ids[1]))(t)) {
		if len(r.Metrics) != 2 || len(r.Params) != 2 || r.Tag("kind") != "nightly" {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// What is kept of a run that was just made must be what a read gives.
func TestNewRunIsKeptAsItIsRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := start(t, d)
		at := time.Date(2026, 2, 3, 4, 5, 6, 789_123_000, time.FixedZone("CET", 3600))
		r := must(s.CreateRun(t.Context(), NewRun{ExperimentID: DefaultExperiment, User: "ada", StartTime: at, Tags: []Tag{{"z", "1"}, {"a", "2"}, {"z", "3"}}}))(t)
		kept := must(s.Run(t.Context(), r.ID))(t)
		s.st.cache.clear()
		if diff := cmp.Diff(must(s.Run(t.Context(), r.ID))(t), kept, cmp.AllowUnexported(Run{})); diff != "" {
			t.Error(diff)
		}
	})
}
