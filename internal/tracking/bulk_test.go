package tracking

import (
	"slices"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// TestDeletingRunsIsAllOrNothing: many runs go to the trash and come back in one transaction each, with an event for each that changed.
func TestDeletingRunsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		ctx := t.Context()
		left := func() int {
			t.Helper()
			return must(s.SearchRuns(ctx, RunQuery{ExperimentIDs: []string{eid}}))(t).Total
		}
		told := func(typ string) (n int) {
			t.Helper()
			ok(t, s.d.DB.QueryRow(ctx, "SELECT count(*) FROM event WHERE type = ?", typ).Scan(&n))
			return n
		}
		all := left()
		for name, bad := range map[string][]string{"unknown": {ids[0], "nobody", ids[1]}, "none": {}, "too many": make([]string, MaxRunsPerEdit+1)} {
			if done, err := s.DeleteRuns(ctx, bad); !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) || done != nil || left() != all || told(EventRunDeleted) != 0 {
				t.Fatalf("%s: %v %v, %d left", name, done, err, left())
			}
		}
		ok(t, s.DeleteRun(ctx, ids[2]))
		done, err := s.DeleteRuns(ctx, []string{ids[3], ids[2], ids[0], ids[3]})
		if want := []string{ids[3], ids[0]}; err != nil || !slices.Equal(done, want) || left() != all-3 || told(EventRunDeleted) != 3 {
			t.Fatalf("%v %v, %d left, %d events", done, err, left(), told(EventRunDeleted))
		}
		if done, err := s.RestoreRuns(ctx, []string{ids[0], "nobody"}); !errs.Is(err, errs.NotFound) || done != nil || left() != all-3 {
			t.Fatalf("%v %v", done, err)
		}
		done, err = s.RestoreRuns(ctx, []string{ids[1], ids[0], ids[2], ids[3]})
		if want := []string{ids[0], ids[2], ids[3]}; err != nil || !slices.Equal(done, want) || left() != all || told(EventRunRestored) != 3 {
			t.Fatalf("%v %v, %d left", done, err, left())
		}
	})
}
