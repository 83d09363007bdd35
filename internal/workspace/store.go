package workspace

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

const columns = "name, description, artifact_root, closing, created_at, updated_at"

func scan(row interface{ Scan(...any) error }) (Workspace, error) {
	var w Workspace
	var created, updated int64
	err := row.Scan(&w.Name, &w.Description, &w.ArtifactRoot, &w.closing, &created, &updated)
	w.CreatedAt, w.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return w, err
}

func (s *Service) list(ctx context.Context) ([]Workspace, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT "+columns+" FROM workspace ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Workspace
	for rows.Next() {
		w, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// find finds a workspace that is not being deleted.
func find(tx *db.Tx, name string) (Workspace, error) {
	w, err := scan(tx.QueryRow("SELECT "+columns+" FROM workspace WHERE name = ? AND NOT closing", name))
	if errors.Is(err, sql.ErrNoRows) {
		return w, unknown(name)
	}
	return w, err
}

func count(tx *db.Tx) (n int, err error) {
	err = tx.QueryRow("SELECT count(*) FROM workspace").Scan(&n)
	return n, err
}

func insert(tx *db.Tx, w Workspace, orKeep bool) error {
	stmt := "INSERT INTO workspace (" + columns + ") VALUES (" + db.Placeholders(6) + ")"
	if orKeep {
		stmt += " ON CONFLICT (name) DO NOTHING"
	}
	_, err := tx.Exec(stmt, w.Name, w.Description, w.ArtifactRoot, w.closing, clock.Micros(w.CreatedAt), clock.Micros(w.UpdatedAt))
	return err
}

func update(tx *db.Tx, w Workspace) error {
	_, err := tx.Exec("UPDATE workspace SET description = ?, artifact_root = ?, updated_at = ? WHERE name = ?", w.Description, w.ArtifactRoot, clock.Micros(w.UpdatedAt), w.Name)
	return err
}

func closeIt(tx *db.Tx, name string) error {
	_, err := tx.Exec("UPDATE workspace SET closing = ? WHERE name = ?", true, name)
	return err
}

// reopen opens a workspace that was being deleted, or all of them ("").
func reopen(tx *db.Tx, name string) error {
	_, err := tx.Exec("UPDATE workspace SET closing = ? WHERE (? = '' OR name = ?)", false, name, name)
	return err
}

func remove(tx *db.Tx, name string) error {
	_, err := tx.Exec("DELETE FROM workspace WHERE name = ?", name)
	return err
}
