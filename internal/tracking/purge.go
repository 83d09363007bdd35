package tracking

import (
	"context"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// purging is the lifecycle of an experiment whose runs are being removed for good: it can't be restored any more.
const purging Lifecycle = "purging"

// Trash is what tracking offers to the trash. A deleted experiment holds its runs and logged models, which are not listed beside it.
func (s *Service) Trash() []discard.Source {
	return []discard.Source{
		{Kind: "run", Noun: "run", Event: "tracking.run", Count: s.st.countDeletedRuns, List: s.st.deletedRuns, Restore: s.RestoreRun, Purge: s.purgeRun,
			Contents: func(ctx context.Context, id string, emit discard.Emit) error {
				return s.contents(ctx, RunRoot(id), emit)
			}},
		{Kind: "logged_model", Noun: "logged_model", Event: "tracking.model", Count: s.st.countDeletedModels, List: s.st.deletedModels, Restore: s.RestoreModel, Purge: s.purgeModel,
			Contents: func(ctx context.Context, id string, emit discard.Emit) error {
				return s.contents(ctx, ModelRoot(id), emit)
			}},
		{Kind: "experiment", Noun: "experiment", Event: "tracking.experiment", Count: s.st.countDeletedExperiments, List: s.st.deletedExperiments, Restore: s.RestoreExperiment,
			Purge: s.purgeExperiment, Contents: s.experimentContents},
	}
}

func (s *Service) contents(ctx context.Context, root string, emit discard.Emit) error {
	all, err := s.d.Files.Contents(ctx, root)
	if err != nil || len(all) == 0 {
		return err
	}
	return emit(all)
}

// purgeBatch is how many runs or models of an experiment go in one commit: few enough that other writers wait milliseconds.
const purgeBatch = 50

func (s *Service) experimentContents(ctx context.Context, eid string, emit discard.Emit) error {
	exp, err := parseExperimentID(eid)
	if err != nil {
		return err
	}
	for _, table := range []string{"run", "logged_model"} {
		for after := ""; ; {
			ids, err := s.st.idsOfExperiment(ctx, table, exp, after, 1000)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			after = ids[len(ids)-1]
			for _, id := range ids {
				root := RunRoot(id)
				if table == "logged_model" {
					root = ModelRoot(id)
				}
				if err := s.contents(ctx, root, emit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func notDeleted(what, id string) error {
	return errs.E(errs.Precondition, "tracking.purge", "the "+what+" "+clip(id)+" is not in the trash", nil).WithHint("only what was deleted can be purged")
}

// purgeRun removes a deleted run: its row, values, metric points, inputs and files. Kinds: NotFound, Precondition (not deleted).
func (s *Service) purgeRun(ctx context.Context, runID string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := s.st.findRun(tx, runID)
		if err != nil {
			return err
		}
		if r.lifecycle != Deleted {
			return notDeleted("run", runID)
		}
		tx.AfterCommit(func() { s.st.forget(r.exp) })
		gone, err = s.removeRun(ctx, tx, r)
		return err
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) removeRun(ctx context.Context, tx *db.Tx, r runRow) ([]blob.Content, error) {
	if err := s.st.removeRun(tx, r); err != nil {
		return nil, err
	}
	gone, err := s.d.Files.Drop(tx, RunRoot(r.id))
	if err != nil {
		return nil, err
	}
	return gone, s.d.Events.Append(ctx, tx, EventRunPurged, events.Resource{Kind: "run", ID: r.id}, runPurged{r.id, r.experimentID(), int64(len(gone)), sizeOf(gone)})
}

func sizeOf(contents []blob.Content) (bytes int64) {
	for _, c := range contents {
		bytes += c.Size
	}
	return bytes
}

// purgeModel removes a deleted logged model with its files. Kinds: NotFound, Precondition (not deleted).
func (s *Service) purgeModel(ctx context.Context, modelID string, emit discard.Emit) error {
	var gone []blob.Content
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, deleted, err := s.st.anyModel(tx, modelID)
		if err != nil {
			return err
		}
		if !deleted {
			return notDeleted("logged model", modelID)
		}
		gone, err = s.removeModel(ctx, tx, m)
		return err
	})
	if err != nil {
		return err
	}
	return emit(gone)
}

func (s *Service) removeModel(ctx context.Context, tx *db.Tx, m LoggedModel) ([]blob.Content, error) {
	if err := s.st.removeModel(tx, m.ID); err != nil {
		return nil, err
	}
	gone, err := s.d.Files.Drop(tx, ModelRoot(m.ID))
	if err != nil {
		return nil, err
	}
	return gone, s.d.Events.Append(ctx, tx, EventModelPurged, events.Resource{Kind: "logged_model", ID: m.ID},
		modelPurged{m.ID, m.RunID, m.ExperimentID, m.Name, int64(len(gone)), sizeOf(gone)})
}

// purgeExperiment removes a deleted experiment with all its runs and logged models, batch by batch. Kinds: NotFound, Precondition.
func (s *Service) purgeExperiment(ctx context.Context, eid string, emit discard.Emit) error {
	exp, err := parseExperimentID(eid)
	if err != nil {
		return err
	}
	var name string
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		var err error
		name, err = s.st.beginPurge(tx, exp)
		return err
	})
	if err != nil {
		return err
	}
	total := experimentPurged{ExperimentID: eid, Name: name}
	for done := false; !done; {
		var gone []blob.Content
		var runs, models int64
		err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { s.st.forget(exp) })
			var err error
			gone, runs, models, err = s.purgePart(ctx, tx, exp)
			if err != nil || runs+models > 0 {
				done = false
				return err
			}
			done = true
			if err := s.st.removeExperiment(tx, exp); err != nil {
				return err
			}
			return s.d.Events.Append(ctx, tx, EventExperimentPurged, events.Resource{Kind: "experiment", ID: eid}, total)
		})
		if err != nil {
			return err
		}
		total.Runs, total.Models, total.Files, total.Bytes = total.Runs+runs, total.Models+models, total.Files+int64(len(gone)), total.Bytes+sizeOf(gone)
		if err := emit(gone); err != nil {
			return err
		}
	}
	return nil
}

// purgePart removes some runs and models of an experiment that is being purged.
func (s *Service) purgePart(ctx context.Context, tx *db.Tx, exp int64) (gone []blob.Content, runs, models int64, err error) {
	rs, err := s.st.someRuns(tx, exp, purgeBatch)
	if err != nil {
		return nil, 0, 0, err
	}
	ms, err := s.st.someModels(tx, exp, purgeBatch)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, r := range rs {
		c, err := s.removeRun(ctx, tx, r)
		if err != nil {
			return nil, 0, 0, err
		}
		gone = append(gone, c...)
	}
	for _, m := range ms {
		c, err := s.removeModel(ctx, tx, m)
		if err != nil {
			return nil, 0, 0, err
		}
		gone = append(gone, c...)
	}
	return gone, int64(len(rs)), int64(len(ms)), nil
}

// RestoreModel brings a deleted logged model back. Kinds: NotFound when there is no such model, deleted or not.
func (s *Service) RestoreModel(ctx context.Context, modelID string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		m, deleted, err := s.st.anyModel(tx, modelID)
		if err != nil || !deleted {
			return err
		}
		if err := s.st.undeleteModel(tx, modelID); err != nil {
			return err
		}
		return s.tellModel(ctx, tx, EventModelRestored, m)
	})
}

func (s *Service) tellModel(ctx context.Context, tx *db.Tx, typ string, m LoggedModel) error {
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "logged_model", ID: m.ID}, modelLogged{m.ID, m.RunID, m.ExperimentID, m.Name})
}

func (s *Service) tellRun(ctx context.Context, tx *db.Tx, typ string, r runRow) error {
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "run", ID: r.id}, runMarked{r.id, r.experimentID()})
}

func (s *Service) tellExperiment(ctx context.Context, tx *db.Tx, typ string, exp int64) error {
	eid := strconv.FormatInt(exp, 10)
	name, err := s.st.experimentName(tx, exp)
	if err != nil {
		return err
	}
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "experiment", ID: eid}, experimentCreated{eid, name, ""})
}

// ModelExperiment is the experiment that a logged model is in, deleted ones too. Kinds: NotFound.
func (s *Service) ModelExperiment(ctx context.Context, modelID string) (experimentID string, err error) {
	return s.st.modelExperiment(ctx, modelID)
}
