package tracking

import (
	"context"
	"database/sql"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// strangers reads which experiments are not in the default workspace.
func (st *store) strangers(ctx context.Context) (map[int64]string, error) {
	out := map[int64]string{}
	return out, st.scan(ctx, func(rows *sql.Rows) error {
		var exp int64
		var workspace string
		err := rows.Scan(&exp, &workspace)
		out[exp] = workspace
		return err
	}, "SELECT id, workspace FROM experiment WHERE workspace <> ?", space.Default)
}

func (st *store) namesInWorkspace(ctx context.Context, workspace string) ([]string, error) {
	rows, err := st.db.Query(ctx, "SELECT name FROM experiment WHERE workspace = ? ORDER BY name", workspace)
	return db.All(rows, err, db.Column[string])
}

// inBoth lists names that experiments of both workspaces have.
func (st *store) inBoth(tx *db.Tx, a, b string) ([]string, error) {
	rows, err := tx.Query("SELECT x.name FROM experiment x JOIN experiment y ON y.name = x.name WHERE x.workspace = ? AND y.workspace = ? ORDER BY x.name", a, b)
	return db.All(rows, err, db.Column[string])
}
