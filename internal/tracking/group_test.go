package tracking

import (
	"math"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/clock"
)

// A run that went astray must not make the mean of its group unreadable.
func TestGroupsLeaveOutWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		ok(t, s.LogBatch(t.Context(), ids[0], Batch{Metrics: []Metric{{Key: "acc", Point: Point{Step: 99, Value: math.Inf(1)}}}}))
		ok(t, s.LogBatch(t.Context(), ids[1], Batch{Metrics: []Metric{{Key: "acc", Point: Point{Step: 99, Value: math.NaN()}}}}))
		groups, _, err := s.GroupRuns(t.Context(), GroupQuery{ExperimentIDs: []string{eid}, By: []string{"tags.kind"}, Metrics: []string{"acc"}})
		if err != nil || len(groups) != 1 {
			t.Fatal(groups, err)
		}
		if got := groups[0].Metrics["acc"]; groups[0].Runs != 6 || got.Count != 4 || got.Min != 2 || got.Max != 5 || got.Mean != 3.5 || got.Best != 5 {
			t.Fatalf("%+v", got)
		}
	})
}
