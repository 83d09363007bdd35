package tracking

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func (st *store) countDeletedRuns(ctx context.Context) (int64, error) {
	return discard.Count(ctx, st.db, "SELECT count(*) FROM run r JOIN experiment e ON e.id = r.exp WHERE r.lifecycle = 'deleted' AND e.lifecycle = 'active'", "e.workspace")
}

func (st *store) countDeletedModels(ctx context.Context) (int64, error) {
	return discard.Count(ctx, st.db, "SELECT count(*) FROM logged_model m JOIN experiment e ON e.id = m.exp WHERE m.deleted_at > 0 AND e.lifecycle = 'active'", "e.workspace")
}

func (st *store) countDeletedExperiments(ctx context.Context) (int64, error) {
	return discard.Count(ctx, st.db, "SELECT count(*) FROM experiment e WHERE e.lifecycle IN ('deleted', 'purging')", "e.workspace")
}

func (st *store) deletedRuns(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return discard.Select(ctx, st.db, "run", `SELECT r.id, r.name, 'experiment ' || e.name, 0, r.deleted_at, r.id, e.workspace FROM run r JOIN experiment e ON e.id = r.exp
		WHERE r.lifecycle = 'deleted' AND e.lifecycle = 'active'`, discard.Columns{At: "r.deleted_at", ID: "r.id", Workspace: "e.workspace"}, q)
}

func (st *store) deletedModels(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return discard.Select(ctx, st.db, "logged_model", `SELECT m.id, m.name, 'experiment ' || e.name, 0, m.deleted_at, m.id, e.workspace FROM logged_model m JOIN experiment e ON e.id = m.exp
		WHERE m.deleted_at > 0 AND e.lifecycle = 'active'`, discard.Columns{At: "m.deleted_at", ID: "m.id", Workspace: "e.workspace"}, q)
}

func (st *store) deletedExperiments(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return discard.Select(ctx, st.db, "experiment", `SELECT CAST(e.id AS TEXT), e.name, '', (SELECT count(*) FROM run r WHERE r.exp = e.id), e.updated_at, CAST(e.id AS TEXT), e.workspace FROM experiment e
		WHERE e.lifecycle IN ('deleted', 'purging')`, discard.Columns{At: "e.updated_at", ID: "CAST(e.id AS TEXT)", Workspace: "e.workspace"}, q)
}

func (st *store) idsOfExperiment(ctx context.Context, table string, exp int64, after string, limit int) ([]string, error) {
	rows, err := st.db.Query(ctx, "SELECT id FROM "+table+" WHERE exp = ? AND id > ? ORDER BY id LIMIT ?", exp, after, limit)
	return db.All(rows, err, db.Column[string])
}

// removeRun deletes all rows of a run.
func (st *store) removeRun(tx *db.Tx, r runRow) error {
	for _, table := range []string{"metric_chunk", "run_input", "run_model"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE run = ?", r.num); err != nil {
			return err
		}
	}
	for _, table := range []string{"metric_latest", "run_param", "run_tag"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE exp = ? AND run = ?", r.exp, r.num); err != nil {
			return err
		}
	}
	if err := st.forgetOrigin(tx, kindRun, r.id); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM run WHERE num = ?", r.num)
	return err
}

// forgetOrigin removes what is known of where a run or logged model was before, here or in the store it was imported from.
func (st *store) forgetOrigin(tx *db.Tx, kind, id string) error {
	if _, err := tx.Exec("DELETE FROM former_place WHERE owner = ?", id); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM import_state WHERE kind = ? AND id = ?", kind, id)
	return err
}

func (st *store) removeModel(tx *db.Tx, modelID string) error {
	for _, table := range []string{"logged_model_tag", "logged_model_param", "logged_model_metric"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE model_id = ?", modelID); err != nil {
			return err
		}
	}
	if err := st.forgetOrigin(tx, kindModel, modelID); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM logged_model WHERE id = ?", modelID)
	return err
}

func (st *store) removeExperiment(tx *db.Tx, exp int64) error {
	if _, err := tx.Exec("DELETE FROM experiment_view WHERE exp = ?", exp); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM experiment_tag WHERE exp = ?", exp); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM import_state WHERE kind = ? AND mark = ?", kindExperiment, strconv.FormatInt(exp, 10)); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO purged_id (noun, last) VALUES ('experiment', ?)
		ON CONFLICT (noun) DO UPDATE SET last = CASE WHEN excluded.last > purged_id.last THEN excluded.last ELSE purged_id.last END`, exp)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM experiment WHERE id = ?", exp)
	tx.AfterCommit(st.homes.forget)
	return err
}

// beginPurge marks a deleted experiment, from where there is no way back, and gives its name.
func (st *store) beginPurge(tx *db.Tx, exp int64) (string, error) {
	var name, lifecycle string
	err := tx.QueryRow("SELECT name, lifecycle FROM experiment WHERE id = ?", exp).Scan(&name, &lifecycle)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", noExperiment(strconv.FormatInt(exp, 10))
	case err != nil:
		return "", err
	case lifecycle == string(Active):
		return "", notDeleted("experiment", strconv.FormatInt(exp, 10))
	}
	_, err = tx.Exec("UPDATE experiment SET lifecycle = ? WHERE id = ?", string(purging), exp)
	return name, err
}

func (st *store) someRuns(tx *db.Tx, exp int64, most int) ([]runRow, error) {
	rows, err := tx.Query("SELECT id, num, exp, lifecycle, status FROM run WHERE exp = ? LIMIT ?", exp, most)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []runRow
	for rows.Next() {
		var r runRow
		var lifecycle, status string
		if err := rows.Scan(&r.id, &r.num, &r.exp, &lifecycle, &status); err != nil {
			return nil, err
		}
		r.lifecycle, r.status = Lifecycle(lifecycle), Status(status)
		out = append(out, r)
	}
	return out, rows.Err()
}

func (st *store) someModels(tx *db.Tx, exp int64, most int) ([]LoggedModel, error) {
	rows, err := tx.Query("SELECT "+modelColumns+" FROM logged_model m WHERE m.exp = ? LIMIT ?", exp, most)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []LoggedModel
	for rows.Next() {
		m, err := scanModel(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// anyModel finds a logged model, deleted or not.
func (st *store) anyModel(tx *db.Tx, modelID string) (m LoggedModel, deleted bool, err error) {
	m, err = scanModel(tx.QueryRow("SELECT "+modelColumns+" FROM logged_model m WHERE m.id = ?", modelID))
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, noModel(modelID)
	}
	if err != nil {
		return m, false, err
	}
	var at int64
	err = tx.QueryRow("SELECT deleted_at FROM logged_model WHERE id = ?", modelID).Scan(&at)
	return m, at > 0, err
}

func (st *store) undeleteModel(tx *db.Tx, modelID string) error {
	_, err := tx.Exec("UPDATE logged_model SET deleted_at = 0 WHERE id = ?", modelID)
	return err
}

func (st *store) experimentName(tx *db.Tx, exp int64) (name string, err error) {
	err = tx.QueryRow("SELECT name FROM experiment WHERE id = ?", exp).Scan(&name)
	return name, err
}

// checkRestorable refuses an experiment whose purge has begun.
func (st *store) checkRestorable(tx *db.Tx, exp int64) error {
	var lifecycle string
	err := tx.QueryRow("SELECT lifecycle FROM experiment WHERE id = ?", exp).Scan(&lifecycle)
	if err == nil && lifecycle == string(purging) {
		return errs.E(errs.Precondition, "tracking.restore", "the purge of experiment "+strconv.FormatInt(exp, 10)+" has begun: it cannot be restored", nil).
			WithHint("bring it back from a backup")
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

func (st *store) modelExperiment(ctx context.Context, modelID string) (string, error) {
	var exp int64
	err := st.db.QueryRow(ctx, "SELECT exp FROM logged_model WHERE id = ?", modelID).Scan(&exp)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noModel(modelID)
	}
	return strconv.FormatInt(exp, 10), err
}
