package tracking

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// DeleteRuns moves several runs to the trash in one transaction, all or none, and gives those that were not there yet, in the order of the
// ids. Kinds: Invalid, NotFound; the fields say which runs.
func (s *Service) DeleteRuns(ctx context.Context, runIDs []string) ([]string, error) {
	return s.turnRuns(ctx, "deleted", runIDs, Deleted, func(*db.Tx, runRow) error { return nil })
}

// RestoreRuns brings several runs back from the trash in one transaction, all or none, and gives those that were there, in the order of
// the ids. Kinds: Invalid, NotFound, Precondition when the purge of the experiment of one has begun; the fields say which runs.
func (s *Service) RestoreRuns(ctx context.Context, runIDs []string) ([]string, error) {
	return s.turnRuns(ctx, "restored", runIDs, Active, func(tx *db.Tx, r runRow) error {
		if r.lifecycle == Active {
			return nil
		}
		return s.st.checkRestorable(tx, r.exp)
	})
}

func (s *Service) turnRuns(ctx context.Context, done string, runIDs []string, to Lifecycle, check func(tx *db.Tx, r runRow) error) ([]string, error) {
	if n := len(runIDs); n == 0 || n > MaxRunsPerEdit {
		return nil, errs.Invalidf("tracking.runs", "the runs cannot be %s", done).WithField("run_ids", "expected 1 to %d run ids, got %d", MaxRunsPerEdit, n)
	}
	at, event := s.now(), EventRunDeleted
	if to == Active {
		at, event = time.Time{}, EventRunRestored
	}
	var changed map[string]bool
	err := s.onRuns(ctx, done, runIDs, func(tx *db.Tx, r runRow) error {
		changed = map[string]bool{} // all checks come before the first change; a second try begins anew
		return check(tx, r)
	}, func(tx *db.Tx, r runRow) error {
		if r.lifecycle == to {
			return nil
		}
		changed[r.id] = true
		if err := s.st.markRun(tx, r, to, at); err != nil {
			return err
		}
		return s.tellRun(ctx, tx, event, r)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(once(runIDs), func(id string) bool { return !changed[id] }), nil
}

// onRuns changes several runs in one transaction, all or none: when check refuses one or it is not there, none is changed and the fields say
// which are the cause. done is what happens to them, for the message.
func (s *Service) onRuns(ctx context.Context, done string, runIDs []string, check, do func(tx *db.Tx, r runRow) error) error {
	sight, err := s.st.sight(ctx)
	if err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(runIDs)))
	defer s.turns.takeAll(s.d.DB, ids)()
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		rows := make([]runRow, 0, len(ids))
		var failed []errs.Field
		kind := errs.NotFound
		for _, id := range ids {
			r, err := s.st.findRun(tx, id)
			if err == nil && !sight.sees(r.exp) {
				err = noRun(id)
			}
			if err == nil {
				if err = check(tx, r); err != nil {
					kind = errs.KindOf(err)
				}
			}
			switch {
			case err == nil:
				rows = append(rows, r)
			case errs.Is(err, errs.NotFound), errs.Is(err, errs.Invalid), errs.Is(err, errs.Precondition):
				failed = append(failed, errs.Field{Name: fmt.Sprintf("run_ids[%d]", slices.Index(runIDs, id)), Message: err.Error()})
			default:
				return err
			}
		}
		if len(failed) > 0 {
			e := errs.E(kind, "tracking.runs", fmt.Sprintf("%d of %d runs cannot be %s, so none was", len(failed), len(ids), done), nil)
			e.Fields = failed[:min(len(failed), 20)]
			return e
		}
		for _, r := range rows {
			if err := do(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeAll takes the turns of several runs, always in one order, so that two who want the same ones cannot wait for each other.
func (t *turns) takeAll(d *db.DB, runIDs []string) (done func()) {
	if d.Engine() != db.Postgres {
		return func() {}
	}
	var places []uint32
	for _, id := range runIDs {
		places = append(places, t.place(id))
	}
	slices.Sort(places)
	places = slices.Compact(places)
	for _, p := range places {
		t[p].Lock()
	}
	return func() {
		for _, p := range places {
			t[p].Unlock()
		}
	}
}
