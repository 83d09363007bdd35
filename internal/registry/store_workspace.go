package registry

import "github.com/modelyard/modelyard/internal/platform/db"

// inWorkspace reads all models of a workspace, deleted ones too.
func inWorkspace(tx *db.Tx, workspace string) ([]trashable, error) {
	rows, err := tx.Query("SELECT m.id, m.name, m.deleted_at FROM registry_model m WHERE m.workspace = ? ORDER BY m.name, m.id", workspace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []trashable
	for rows.Next() {
		var m trashable
		var at int64
		if err := rows.Scan(&m.id, &m.Name, &at); err != nil {
			return nil, err
		}
		m.deleted = at > 0
		out = append(out, m)
	}
	return out, rows.Err()
}
