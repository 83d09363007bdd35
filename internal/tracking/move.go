package tracking

import (
	"context"
	"slices"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// Limits of one move.
const (
	maxMoveRuns = 1000
	maxMoveTree = 10_000 // runs with those nested in them
)

// Moved tells what a move did.
type Moved struct {
	ExperimentID string     `json:"experiment_id"`
	Items        []MovedRun `json:"items" doc:"the runs that were moved; those that were there already are left out"`
	Models       int64      `json:"models" doc:"logged models that followed their runs"`
}

// MovedRun is a run and the experiment it came from.
type MovedRun struct {
	RunID string `json:"run_id"`
	From  string `json:"from"`
}

// MoveRuns puts active runs into another active experiment, with the models they logged, all or nothing. Addresses of their files that
// name the old experiment go on working. Kinds: NotFound, Invalid (deleted, or too many).
func (s *Service) MoveRuns(ctx context.Context, runIDs []string, eid string, children bool) (Moved, error) {
	if len(runIDs) == 0 || len(runIDs) > maxMoveRuns {
		return Moved{}, errs.Invalidf("tracking.move", "there are %d runs to move", len(runIDs)).WithField("run_ids", "expected 1 to %d runs", maxMoveRuns)
	}
	to, err := parseExperimentID(eid)
	if err != nil {
		return Moved{}, err
	}
	var out Moved
	var touched []int64
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		out, touched = Moved{ExperimentID: eid, Items: []MovedRun{}}, []int64{to}
		if err := s.st.checkExperiment(tx, to, ViewActive); err != nil {
			return err
		}
		rows, err := s.st.runsToMove(tx, runIDs, children)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.exp == to {
				continue
			}
			n, err := s.st.moveRun(tx, r, to, s.now())
			if err != nil {
				return err
			}
			out.Items, out.Models = append(out.Items, MovedRun{r.id, r.experimentID()}), out.Models+n
			if !slices.Contains(touched, r.exp) {
				touched = append(touched, r.exp)
			}
		}
		return s.tellMove(ctx, tx, out)
	})
	if err != nil {
		return Moved{}, err
	}
	s.runsChanged(touched...)
	return out, nil
}

func (s *Service) tellMove(ctx context.Context, tx *db.Tx, m Moved) error {
	if len(m.Items) == 0 {
		return nil
	}
	data := runsMoved{To: m.ExperimentID, Models: m.Models}
	for _, r := range m.Items {
		data.RunIDs = append(data.RunIDs, r.RunID)
		if !slices.Contains(data.From, r.From) {
			data.From = append(data.From, r.From)
		}
	}
	return s.d.Events.Append(ctx, tx, EventRunsMoved, events.Resource{Kind: "experiment", ID: m.ExperimentID}, data)
}

// Merged tells what a merge did.
type Merged struct {
	ExperimentID string   `json:"experiment_id" doc:"the experiment that has everything now"`
	Runs         int64    `json:"runs"`
	Models       int64    `json:"models"`
	Tags         []string `json:"tags" doc:"tags that the other experiment had alone"`
}

// MergeExperiment moves all runs and logged models of an experiment into another, deleted ones too, and deletes what is left: the empty
// experiment. Runs keep their ids, tags and files. Tags of the experiment are taken over where the other has none of that key.
// The default experiment can be emptied but stays.
func (s *Service) MergeExperiment(ctx context.Context, eid, into string) (Merged, error) {
	from, err := parseExperimentID(eid)
	if err != nil {
		return Merged{}, err
	}
	to, err := parseExperimentID(into)
	if err != nil {
		return Merged{}, err
	}
	if from == to {
		return Merged{}, errs.Invalidf("tracking.merge", "an experiment cannot be merged into itself").WithField("into", "expected another experiment")
	}
	out := Merged{}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, num := range []int64{from, to} {
			if err := s.st.checkExperiment(tx, num, ViewActive); err != nil {
				return err
			}
		}
		var err error
		if out, err = s.st.mergeExperiment(tx, from, to, s.now()); err != nil {
			return err
		}
		out.ExperimentID = into
		if from != 0 {
			if err := s.st.deleteExperiment(tx, from, s.now()); err != nil {
				return err
			}
		}
		return s.d.Events.Append(ctx, tx, EventExperimentMerged, events.Resource{Kind: "experiment", ID: into},
			experimentMerged{eid, strconv.FormatInt(to, 10), out.Runs, out.Models})
	})
	if err != nil {
		return Merged{}, err
	}
	s.runsChanged(from, to)
	return out, nil
}
