package registry

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
)

func (s *Service) countDeletedVersions(ctx context.Context) (n int64, err error) {
	err = s.d.DB.QueryRow(ctx, "SELECT count(*) FROM registry_version v JOIN registry_model m ON m.id = v.model_id WHERE v.deleted_at > 0 AND m.deleted_at = 0").Scan(&n)
	return n, err
}

func (s *Service) countDeletedModels(ctx context.Context) (n int64, err error) {
	err = s.d.DB.QueryRow(ctx, "SELECT count(*) FROM registry_model WHERE deleted_at > 0").Scan(&n)
	return n, err
}

func (s *Service) deletedVersions(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	const id = "(v.model_id || '/' || CAST(v.number AS TEXT))"
	return s.queryDeleted(ctx, `SELECT `+id+`, m.name || ' version ' || CAST(v.number AS TEXT), 'model ' || m.name, 0, v.deleted_at, m.name || '/' || CAST(v.number AS TEXT)
		FROM registry_version v JOIN registry_model m ON m.id = v.model_id WHERE v.deleted_at > 0 AND m.deleted_at = 0`, "model_version", "v.deleted_at", id, q)
}

func (s *Service) deletedModels(ctx context.Context, q discard.Query) ([]discard.Item, error) {
	return s.queryDeleted(ctx, `SELECT m.id, m.name, '', (SELECT count(*) FROM registry_version v WHERE v.model_id = m.id), m.deleted_at, m.name
		FROM registry_model m WHERE m.deleted_at > 0`, "model", "m.deleted_at", "m.id", q)
}

func (s *Service) queryDeleted(ctx context.Context, query, kind, at, id string, q discard.Query) ([]discard.Item, error) {
	args := []any{}
	if len(q.IDs) > 0 {
		query += " AND " + id + " IN (" + db.Placeholders(len(q.IDs)) + ")"
		for _, v := range q.IDs {
			args = append(args, v)
		}
	}
	if !q.Before.IsZero() {
		query += " AND " + at + " < ?"
		args = append(args, clock.Micros(q.Before))
	}
	if q.After.ID != "" {
		query += " AND (" + at + " < ? OR " + at + " = ? AND " + id + " < ?)"
		args = append(args, q.After.At, q.After.At, q.After.ID)
	}
	rows, err := s.d.DB.Query(ctx, query+" ORDER BY "+at+" DESC, "+id+" DESC LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []discard.Item
	for rows.Next() {
		i := discard.Item{Kind: kind}
		var deleted int64
		if err := rows.Scan(&i.ID, &i.Name, &i.Parent, &i.Holds, &deleted, &i.Resource); err != nil {
			return nil, err
		}
		i.DeletedAt = clock.FromMicros(deleted)
		out = append(out, i)
	}
	return out, rows.Err()
}

// modelByID finds a model, deleted or not.
func modelByID(tx *db.Tx, id string) (m Model, deleted bool, err error) {
	m, err = scanModel(tx.QueryRow("SELECT "+modelColumns+" FROM registry_model m WHERE m.id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, notInTrash("model", id)
	}
	if err != nil {
		return m, false, err
	}
	var at int64
	err = tx.QueryRow("SELECT deleted_at FROM registry_model WHERE id = ?", id).Scan(&at)
	return m, at > 0, err
}

func isTrashed(tx *db.Tx, modelID string, number int64) error {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM registry_version WHERE model_id = ? AND number = ? AND deleted_at > 0", modelID, number).Scan(&n)
	if err == nil && n == 0 {
		return notInTrash("version", trashID(modelID, number))
	}
	return err
}

func undeleteVersion(tx *db.Tx, modelID string, number int64) error {
	_, err := tx.Exec("UPDATE registry_version SET deleted_at = 0 WHERE model_id = ? AND number = ?", modelID, number)
	return err
}

// undeleteModel brings back the versions that were deleted with the model, not those deleted before.
func undeleteModel(tx *db.Tx, id string) error {
	if _, err := tx.Exec("UPDATE registry_version SET deleted_at = 0 WHERE model_id = ? AND deleted_at = (SELECT deleted_at FROM registry_model WHERE id = ?)", id, id); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE registry_model SET deleted_at = 0 WHERE id = ?", id)
	return err
}

func removeVersion(tx *db.Tx, m Model, number int64) error {
	if _, err := tx.Exec("DELETE FROM registry_tag WHERE model_id = ? AND version = ?", m.id, number); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM registry_gate WHERE model = ? AND version = ?", m.Name, number); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM registry_version WHERE model_id = ? AND number = ?", m.id, number)
	return err
}

// removeModel deletes all rows of a model. The last number under its name stays taken.
func removeModel(tx *db.Tx, m Model, numbers []int64) error {
	for _, n := range numbers {
		if err := removeVersion(tx, m, n); err != nil {
			return err
		}
	}
	for _, table := range []string{"registry_tag", "registry_alias", "registry_history"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE model_id = ?", m.id); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM registry_model WHERE id = ?", m.id)
	return err
}

const numbersQuery = "SELECT number FROM registry_version WHERE model_id = ? ORDER BY number"

func numbersIn(tx *db.Tx, modelID string) ([]int64, error) {
	rows, err := tx.Query(numbersQuery, modelID)
	if err != nil {
		return nil, err
	}
	return scanNumbers(rows)
}

func (s *Service) numbersOf(ctx context.Context, modelID string) ([]int64, error) {
	rows, err := s.d.DB.Query(ctx, numbersQuery, modelID)
	if err != nil {
		return nil, err
	}
	return scanNumbers(rows)
}

func scanNumbers(rows *sql.Rows) ([]int64, error) {
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
