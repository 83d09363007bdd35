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

// origins narrows a query on the trash to traces from some experiments; nil means all.
func origins(query string, from []string) (string, []any) {
	switch {
	case from == nil:
		return query, nil
	case len(from) == 0:
		return query + " AND 1 = 0", nil
	}
	return query + " AND trashed_from IN (" + db.Placeholders(len(from)) + ")", anys(from)
}

// trashedFrom lists the experiments of which traces are in the trash.
func (s store) trashedFrom(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, "SELECT DISTINCT trashed_from FROM trace WHERE deleted_at > 0 ORDER BY trashed_from")
	return db.All(rows, err, db.Column[string])
}

func (s store) countTrashed(ctx context.Context, from []string) (int64, error) {
	query, args := origins("SELECT count(*) FROM trace WHERE deleted_at > 0", from)
	return discard.Count(ctx, s.db, query, "", args...)
}

func (s store) trashed(ctx context.Context, from []string, q discard.Query) ([]discard.Item, error) {
	query, args := origins(`SELECT id, CASE WHEN name = '' THEN id ELSE name END, 'experiment ' || trashed_from, span_count, deleted_at, trashed_from, '', deleted_by
		FROM trace WHERE deleted_at > 0`, from)
	return discard.Select(ctx, s.db, "trace", query, discard.Columns{At: "deleted_at", ID: "id", By: "deleted_by"}, q, args...)
}
