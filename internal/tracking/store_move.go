package tracking

import (
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// runTables hold rows of runs under the experiment's number and have to follow a run that moves: the column of the run is "run".
func runTables() []string { return []string{"run_tag", "run_param", "metric_latest", "run_input"} }

// runsToMove finds the runs, each once, and with children those nested in them.
func (st *store) runsToMove(tx *db.Tx, ids []string, children bool) ([]runRow, error) {
	seen := map[string]bool{}
	var out []runRow
	for next := ids; len(next) > 0; {
		var level []string
		for _, id := range next {
			if seen[id] {
				continue
			}
			seen[id] = true
			r, err := st.findRun(tx, id)
			if err != nil {
				return nil, err
			}
			if r.lifecycle != Active {
				return nil, errs.Invalidf("tracking.move", "The run %s must be in the 'active' state. Current state is %s.", id, r.lifecycle).WithHint("restore it first")
			}
			if out = append(out, r); len(out) > maxMoveTree {
				return nil, errs.Invalidf("tracking.move", "there are more than %d runs with those nested in them", maxMoveTree).WithHint("move fewer at once, or merge the experiment")
			}
			if !children {
				continue
			}
			nested, err := st.childrenOf(tx, r)
			if err != nil {
				return nil, err
			}
			level = append(level, nested...)
		}
		next = level
	}
	return out, nil
}

// childrenOf finds the active runs of the same experiment that name a run as their parent.
func (st *store) childrenOf(tx *db.Tx, r runRow) ([]string, error) {
	rows, err := tx.Query("SELECT c.id FROM run_tag t JOIN run c ON c.num = t.run WHERE t.exp = ? AND t.key = ? AND t.value = ? AND c.lifecycle = ? ORDER BY c.num",
		r.exp, TagParentRun, r.id, string(Active))
	return db.All(rows, err, db.Column[string])
}

// moveRun gives how many logged models followed the run.
func (st *store) moveRun(tx *db.Tx, r runRow, to int64, now time.Time) (models int64, err error) {
	at := clock.Micros(now)
	const former = "INSERT INTO former_place (owner, exp, at) "
	if _, err := tx.Exec(former+"VALUES (?, ?, ?) ON CONFLICT (owner, exp) DO UPDATE SET at = excluded.at", r.id, r.exp, at); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(former+"SELECT id, exp, CAST(? AS BIGINT) FROM logged_model WHERE run_id = ? AND exp <> ? ON CONFLICT (owner, exp) DO UPDATE SET at = excluded.at", at, r.id, to); err != nil {
		return 0, err
	}
	if _, err := tx.Exec("UPDATE run SET exp = ? WHERE num = ?", to, r.num); err != nil {
		return 0, err
	}
	for _, table := range runTables() {
		if _, err := tx.Exec("UPDATE "+table+" SET exp = ? WHERE exp = ? AND run = ?", to, r.exp, r.num); err != nil {
			return 0, err
		}
	}
	return tx.Exec("UPDATE logged_model SET exp = ? WHERE run_id = ? AND exp <> ?", to, r.id, to)
}

// mergeExperiment moves in one statement per table, whatever the number of runs.
func (st *store) mergeExperiment(tx *db.Tx, from, to int64, now time.Time) (Merged, error) {
	out := Merged{Tags: []string{}}
	at := clock.Micros(now)
	for _, table := range []string{"run", "logged_model"} {
		_, err := tx.Exec("INSERT INTO former_place (owner, exp, at) SELECT id, exp, CAST(? AS BIGINT) FROM "+table+" WHERE exp = ? ON CONFLICT (owner, exp) DO UPDATE SET at = excluded.at", at, from)
		if err != nil {
			return out, err
		}
	}
	for _, table := range runTables() {
		if _, err := tx.Exec("UPDATE "+table+" SET exp = ? WHERE exp = ?", to, from); err != nil {
			return out, err
		}
	}
	var err error
	if out.Runs, err = tx.Exec("UPDATE run SET exp = ? WHERE exp = ?", to, from); err != nil {
		return out, err
	}
	if out.Models, err = tx.Exec("UPDATE logged_model SET exp = ? WHERE exp = ?", to, from); err != nil {
		return out, err
	}
	if _, err := tx.Exec("UPDATE experiment_view SET exp = ? WHERE exp = ? AND name NOT IN (SELECT name FROM experiment_view WHERE exp = ?)", to, from, to); err != nil {
		return out, err
	}
	// a later import of the same source goes where its runs are now
	if _, err := tx.Exec("UPDATE import_state SET mark = ? WHERE kind = ? AND mark = ?", strconv.FormatInt(to, 10), kindExperiment, strconv.FormatInt(from, 10)); err != nil {
		return out, err
	}
	return out, st.mergeTags(tx, from, to, &out)
}

func (st *store) mergeTags(tx *db.Tx, from, to int64, out *Merged) error {
	rows, err := tx.Query("SELECT key, value FROM experiment_tag WHERE exp = ? AND key NOT IN (SELECT key FROM experiment_tag WHERE exp = ?) ORDER BY key", from, to)
	if err != nil {
		return err
	}
	tags, err := scanTags(rows)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if err := st.setExperimentTag(tx, to, t); err != nil {
			return err
		}
		out.Tags = append(out.Tags, t.Key)
	}
	return nil
}
