package discard

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/space"
)

// Columns name columns of a query for Select: when a thing was deleted (µs), its id, its workspace ("" where the source sees to that
// itself) and, where the query gives it as the last one, by whom.
type Columns struct{ At, ID, Workspace, By string }

// Unshared is the workspace of things that know of none.
const Unshared = "'" + space.Default + "'"

// Count runs a query that ends in conditions and gives a number, narrowed to the workspace of the context.
func Count(ctx context.Context, d *db.DB, query, workspace string, args ...any) (n int64, err error) {
	query, args = within(ctx, query, workspace, args)
	err = d.QueryRow(ctx, query, args...).Scan(&n)
	return n, err
}

func within(ctx context.Context, query, column string, args []any) (string, []any) {
	if mine, ok := space.From(ctx); ok && column != "" {
		return query + " AND " + column + " = ?", append(args, mine)
	}
	return query, args
}

// Select runs a query that ends in conditions and gives id, name, parent, holds, deletion, resource and workspace, narrowed to the
// workspace of the context and ordered by q.
func Select(ctx context.Context, d *db.DB, kind, query string, c Columns, q Query, args ...any) ([]Item, error) {
	query, args = within(ctx, query, c.Workspace, args)
	if len(q.IDs) > 0 {
		query += " AND " + c.ID + " IN (" + db.Placeholders(len(q.IDs)) + ")"
		for _, v := range q.IDs {
			args = append(args, v)
		}
	}
	if !q.Before.IsZero() {
		query += " AND " + c.At + " < ?"
		args = append(args, clock.Micros(q.Before))
	}
	if q.After.ID != "" {
		query += " AND (" + c.At + " < ? OR " + c.At + " = ? AND " + c.ID + " < ?)"
		args = append(args, q.After.At, q.After.At, q.After.ID)
	}
	rows, err := d.Query(ctx, query+" ORDER BY "+c.At+" DESC, "+c.ID+" DESC LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Item
	for rows.Next() {
		i := Item{Kind: kind}
		var deleted int64
		into := []any{&i.ID, &i.Name, &i.Parent, &i.Holds, &deleted, &i.Resource, &i.Workspace}
		if c.By != "" {
			into = append(into, &i.DeletedBy)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		i.DeletedAt = clock.FromMicros(deleted)
		out = append(out, i)
	}
	return out, rows.Err()
}
