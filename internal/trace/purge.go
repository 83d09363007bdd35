package trace

import (
	"context"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Trash is what traces offer to the trash. Who deleted a trace is kept with it: one event tells of many.
func (s *Service) Trash() []discard.Source {
	return []discard.Source{{Kind: "trace", Noun: "experiment", Event: "trace", Count: s.countTrashed, List: s.trashed, Restore: s.Restore, Purge: s.purgeTrace, PurgeMany: s.purgeTraces,
		Contents: func(ctx context.Context, id string, emit discard.Emit) error {
			return discard.EmitRoot(ctx, s.d.Files, FilesRoot(id), emit)
		}}}
}

// trashOrigins lists the experiments whose traces in the trash the request may see; nil for all.
func (s *Service) trashOrigins(ctx context.Context) ([]string, error) {
	if !s.limited(ctx) {
		return nil, nil
	}
	all, err := s.st.trashedFrom(ctx)
	if err != nil {
		return nil, err
	}
	mine := []string{}
	for _, id := range all {
		ok, err := s.sees(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			mine = append(mine, id)
		}
	}
	return mine, nil
}

func (s *Service) countTrashed(ctx context.Context) (int64, error) {
	from, err := s.trashOrigins(ctx)
	if err != nil {
		return 0, err
	}
	return s.st.countTrashed(ctx, from)
}

func (s *Service) trashed(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	from, err := s.trashOrigins(ctx)
	if err != nil {
		return nil, err
	}
	items, err := s.st.trashed(ctx, from, q)
	if err != nil || s.d.Home == nil {
		return items, err
	}
	for i := range items {
		it := &items[i]
		if i > 0 && it.Resource == items[i-1].Resource {
			it.Parent, it.Workspace = items[i-1].Parent, items[i-1].Workspace
			continue
		}
		name, workspace, err := s.d.Home(ctx, it.Resource)
		if errs.Is(err, errs.NotFound) { // removed a moment ago: its traces follow
			continue
		}
		if err != nil {
			return nil, err
		}
		it.Parent, it.Workspace = "experiment "+name, workspace
	}
	return items, nil
}

// Delete moves traces to the trash and gives how many there were. Kinds: Invalid.
func (s *Service) Delete(ctx context.Context, d Deletion) (int64, error) {
	if err := d.validate(); err != nil {
		return 0, err
	}
	if ok, err := s.sees(ctx, d.ExperimentID); err != nil || !ok {
		return 0, err // none that could be here
	}
	if len(d.IDs) > 0 {
		d.IDs = slices.DeleteFunc(slices.Clone(d.IDs), func(id string) bool { return !idPattern.MatchString(id) })
		if len(d.IDs) == 0 { // none that could be here
			return 0, nil
		}
	}
	by := actor.From(ctx).String()
	total, left := int64(0), d.Max
	for {
		step := MaxDelete // a large deletion is many short transactions, so that writers are not held up
		if d.Max > 0 {
			step = min(step, left)
		}
		var ids []string
		err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
			if len(d.IDs) > 0 {
				ids, err = idsOf(tx, "experiment_id = ? AND id IN ("+db.Placeholders(len(d.IDs))+")", append([]any{d.ExperimentID}, anys(d.IDs)...)...)
			} else {
				ids, err = idsOf(tx, "experiment_id = ? AND started_at <= ? ORDER BY started_at, id LIMIT ?", d.ExperimentID, clock.Micros(*d.Before), step)
			}
			if err != nil || len(ids) == 0 {
				return err
			}
			if err := trashTraces(tx, ids, clock.Micros(s.d.Clock.Now()), by); err != nil {
				return err
			}
			return s.tell(ctx, tx, EventDeleted, d.ExperimentID, len(ids))
		})
		if err != nil {
			return total, err
		}
		total += int64(len(ids))
		left -= len(ids)
		if len(d.IDs) > 0 || len(ids) < step || (d.Max > 0 && left <= 0) {
			return total, nil
		}
	}
}

// Restore brings a trace back from the trash. One that is not deleted stays as it is. Kinds: NotFound, Precondition (its experiment is deleted).
func (s *Service) Restore(ctx context.Context, id string) error {
	var from string
	err := s.onTrashed(ctx, id, func(*db.Tx, *Trace) error { return nil }, &from)
	if err != nil || from == "" {
		return err
	}
	if err := s.d.Experiment(ctx, from); err != nil {
		return errs.E(errs.Precondition, "trace.restore", "the experiment of the trace takes no writes", err).WithHint("restore experiment %s first", from)
	}
	err = s.onTrashed(ctx, id, func(tx *db.Tx, t *Trace) error {
		if err := untrashTrace(tx, id); err != nil {
			return err
		}
		return s.tell(ctx, tx, EventRestored, t.ExperimentID, 1)
	}, &from)
	if err == nil {
		s.waiting.wake(id)
	}
	return err
}

// onTrashed works on a trace in the trash and says the experiment it came from; one that is not deleted is left alone. Kinds: NotFound.
func (s *Service) onTrashed(ctx context.Context, id string, do func(tx *db.Tx, t *Trace) error, from *string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		*from = ""
		t, trashed, err := findAny(tx, id)
		switch {
		case err != nil:
			return err
		case t == nil:
			return noTrace(id)
		case !trashed:
			return nil
		}
		*from = t.ExperimentID
		return do(tx, t)
	})
}

// purgeTrace removes a deleted trace for good: its spans, assessments, links and files. Kinds: NotFound, Precondition (not deleted).
func (s *Service) purgeTrace(ctx context.Context, id string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		t, trashed, err := findAny(tx, id)
		if err != nil {
			return err
		}
		if t == nil {
			return noTrace(id)
		}
		if !trashed {
			return errs.E(errs.Precondition, "trace.purge", "the trace "+id+" is not in the trash", nil).WithHint("only what was deleted can be purged")
		}
		all, err := s.remove(tx, []string{id})
		gone = all[id]
		return err
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

// purgeTraces removes those of some traces that are deleted for good, in one commit, and gives the contents of each that lost their names.
func (s *Service) purgeTraces(ctx context.Context, ids []string) (gone map[string][]blob.Content, err error) {
	if len(ids) == 0 || len(ids) > discard.MaxPurge {
		return nil, errs.Invalidf("trace.purge", "expected 1 to %d traces, got %d", discard.MaxPurge, len(ids))
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		trashed, err := idsOf(tx, "deleted_at > 0 AND id IN ("+db.Placeholders(len(ids))+")", anys(ids)...)
		if err == nil {
			gone, err = s.remove(tx, trashed)
		}
		return err
	})
	return gone, err
}

// remove deletes traces with all that is kept with them and gives the contents of each that lost their names.
func (s *Service) remove(tx *db.Tx, ids []string) (map[string][]blob.Content, error) {
	if _, err := removeTraces(tx, ids); err != nil {
		return nil, err
	}
	roots := make([]string, len(ids))
	for i, id := range ids {
		roots[i] = FilesRoot(id)
	}
	dropped, err := s.d.Files.DropAll(tx, roots)
	if err != nil {
		return nil, err
	}
	gone := make(map[string][]blob.Content, len(ids))
	for i, id := range ids {
		gone[id] = dropped[roots[i]]
	}
	return gone, nil
}

// purgeStep is how many traces of an experiment go in one commit.
const purgeStep = discard.MaxPurge

// Purge removes every trace of an experiment that goes for good, in the trash or not. Doing it again does nothing.
func (s *Service) Purge(ctx context.Context, experimentID string) (total int64, err error) {
	if !idPattern.MatchString(experimentID) {
		return 0, nil
	}
	for {
		var ids []string
		var gone []blob.Content
		err := s.d.DB.Write(ctx, func(tx *db.Tx) (err error) {
			if ids, err = idsOf(tx, "experiment_id = ? OR (trashed_from = ? AND deleted_at > 0) LIMIT ?", experimentID, experimentID, purgeStep); err != nil || len(ids) == 0 {
				return err
			}
			all, err := s.remove(tx, ids)
			gone = nil // of an earlier try
			for _, cs := range all {
				gone = append(gone, cs...)
			}
			return err
		})
		if err != nil || len(ids) == 0 {
			return total, err
		}
		if _, err := s.d.Files.Collect(ctx, gone); err != nil {
			return total, err
		}
		total += int64(len(ids))
	}
}

// tell appends the event of traces of one experiment.
func (s *Service) tell(ctx context.Context, tx *db.Tx, typ, experimentID string, n int) error {
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "experiment", ID: experimentID}, deleted{experimentID, n})
}

// revive finds the trace that a client writes to. One in the trash comes back with all it had, into the experiment of the write: whoever
// goes on with a trace wants it, and MLflow makes it anew. put then takes it out of the trash.
func (s *Service) revive(ctx context.Context, tx *db.Tx, id, experimentID string) (*Trace, error) {
	t, trashed, err := findAny(tx, id)
	if err != nil || !trashed {
		return t, err
	}
	t.ExperimentID = experimentID
	return t, s.tell(ctx, tx, EventRestored, experimentID, 1)
}
