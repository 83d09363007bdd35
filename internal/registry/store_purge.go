package registry

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/discard"
)

// isPrompt keeps the models m that are prompts, isModel the others.
const (
	isPrompt = " AND EXISTS (SELECT 1 FROM registry_tag t WHERE t.model_id = m.id AND t.version = 0 AND t.tag_key = '" + promptTag + "' AND t.value = 'true')"
	isModel  = " AND NOT EXISTS (SELECT 1 FROM registry_tag t WHERE t.model_id = m.id AND t.version = 0 AND t.tag_key = '" + promptTag + "' AND t.value = 'true')"
)

// trashed gives the trash the deleted models (or prompts) and their deleted versions as two kinds of things. which is isModel or isPrompt.
func (s *Service) trashed(kind, which string) []discard.Source {
	const (
		id       = "(v.model_id || '/' || CAST(v.number AS TEXT))"
		versions = " FROM registry_version v JOIN registry_model m ON m.id = v.model_id WHERE v.deleted_at > 0 AND m.deleted_at = 0"
		models   = " FROM registry_model m WHERE m.deleted_at > 0"
	)
	return []discard.Source{
		{
			Kind: kind + "_version", Noun: "version", Event: "registry.version", Contents: s.versionContents, Restore: s.restoreVersion, Purge: s.purgeVersion,
			Count: func(ctx context.Context) (int64, error) {
				return discard.Count(ctx, s.d.DB, "SELECT count(*)"+versions+which, "m.workspace")
			},
			List: func(ctx context.Context, q discard.Query) ([]discard.Item, error) {
				return discard.Select(ctx, s.d.DB, kind+"_version", `SELECT `+id+`, m.name || ' version ' || CAST(v.number AS TEXT), '`+kind+` ' || m.name, 0, v.deleted_at,
					m.name || '/' || CAST(v.number AS TEXT), m.workspace`+versions+which, discard.Columns{At: "v.deleted_at", ID: id, Workspace: "m.workspace"}, q)
			},
		},
		{
			Kind: kind, Noun: "model", Event: "registry.model", Contents: s.modelContents, Restore: s.restoreModel, Purge: s.purgeModel,
			Count: func(ctx context.Context) (int64, error) {
				return discard.Count(ctx, s.d.DB, "SELECT count(*)"+models+which, "m.workspace")
			},
			List: func(ctx context.Context, q discard.Query) ([]discard.Item, error) {
				return discard.Select(ctx, s.d.DB, kind, `SELECT m.id, m.name, '', (SELECT count(*) FROM registry_version v WHERE v.model_id = m.id), m.deleted_at, m.name, m.workspace`+
					models+which, discard.Columns{At: "m.deleted_at", ID: "m.id", Workspace: "m.workspace"}, q)
			},
		},
	}
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
