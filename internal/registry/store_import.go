package registry

import (
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// versionRow reads what an import compares of a version, deleted ones too.
func versionRow(tx *db.Tx, m Model, number int64) (v Version, deleted bool, err error) {
	var created, deletedAt int64
	var stage, status string
	err = tx.QueryRow("SELECT description, stage, status, files_count, created_at, deleted_at FROM registry_version WHERE model_id = ? AND number = ?", m.id, number).
		Scan(&v.Description, &stage, &status, &v.FilesCount, &created, &deletedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, noVersion(m.Name, number)
	}
	v.Stage, v.Status, v.CreatedAt, v.number = Stage(stage), Status(status), clock.FromMicros(created), number
	return v, deletedAt != 0, err
}

// setContent describes the files of a version that had none.
func setContent(tx *db.Tx, m Model, number int64, source string, c content) error {
	det, err := json.Marshal(c.detail)
	if err != nil {
		return errs.E(errs.Internal, "registry.import", "the description of the version", err)
	}
	_, err = tx.Exec("UPDATE registry_version SET source = ?, flavor = ?, runtime = ?, detail = ?, size_bytes = ?, files_count = ?, digest = ? WHERE model_id = ? AND number = ?",
		source, c.flavor, c.runtime, string(det), c.size, len(c.files), c.digest, m.id, number)
	return err
}
