package trace

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
)

// findAny reads a trace that may be in the trash; it is given the experiment that it was deleted from. nil when there is none.
func findAny(tx *db.Tx, id string) (t *Trace, trashed bool, err error) {
	if t, err = find(tx, id); err != nil || t != nil || !idPattern.MatchString(id) {
		return t, false, err
	}
	var from string
	err = tx.QueryRow("SELECT trashed_from FROM trace WHERE id = ? AND deleted_at > 0", id).Scan(&from)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	found, err := scanTrace(tx.QueryRow("SELECT "+columns+" FROM trace WHERE id = ?", id))
	found.ExperimentID = from
	return &found, true, err
}

// trashTraces moves traces out of their experiment into the trash.
func trashTraces(tx *db.Tx, ids []string, at int64, by string) error {
	_, err := tx.Exec("UPDATE trace SET deleted_at = ?, deleted_by = ?, trashed_from = experiment_id, experiment_id = '' WHERE deleted_at = 0 AND id IN ("+db.Placeholders(len(ids))+")",
		append([]any{at, by}, anys(ids)...)...)
	return err
}

func untrashTrace(tx *db.Tx, id string) error {
	_, err := tx.Exec("UPDATE trace SET experiment_id = trashed_from, deleted_at = 0, deleted_by = '', trashed_from = '' WHERE id = ? AND deleted_at > 0", id)
	return err
}

func (s store) countTrashed(ctx context.Context) (n int64, err error) {
	err = s.db.QueryRow(ctx, "SELECT count(*) FROM trace WHERE deleted_at > 0").Scan(&n)
	return n, err
}

func (s store) trashed(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return discard.Select(ctx, s.db, "trace", `SELECT id, CASE WHEN name = '' THEN id ELSE name END, 'experiment ' || trashed_from, span_count, deleted_at, trashed_from, deleted_by
		FROM trace WHERE deleted_at > 0`, discard.Columns{At: "deleted_at", ID: "id", By: "deleted_by"}, q)
}
