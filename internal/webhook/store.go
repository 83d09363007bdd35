package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

const columns = "id, name, workspace, description, url, events, secret, active, created_at, updated_at"

func scan(row interface{ Scan(...any) error }) (Webhook, error) {
	var w Webhook
	var list string
	var created, updated int64
	if err := row.Scan(&w.ID, &w.Name, &w.Workspace, &w.Description, &w.URL, &list, &w.sealed, &w.Active, &created, &updated); err != nil {
		return w, err
	}
	if w.sealed == nil { // how an empty column is read
		w.sealed = []byte{}
	}
	w.CreatedAt, w.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return w, json.Unmarshal([]byte(list), &w.Events)
}

// found turns the absence of a row, or one of a workspace that the request does not see, into NotFound.
func found(ctx context.Context, w Webhook, err error, hookID string) (Webhook, error) {
	if errors.Is(err, sql.ErrNoRows) || (err == nil && !space.Sees(ctx, w.Workspace)) {
		return w, errs.NotFoundf("webhook.find", "Webhook with ID %.100s not found.", hookID)
	}
	return w, err
}

func (s *Service) find(ctx context.Context, hookID string) (Webhook, error) {
	w, err := scan(s.d.DB.QueryRow(ctx, "SELECT "+columns+" FROM mlflow_webhook WHERE id = ?", hookID))
	return found(ctx, w, err, hookID)
}

func findTx(ctx context.Context, tx *db.Tx, hookID string) (Webhook, error) {
	w, err := scan(tx.QueryRow("SELECT "+columns+" FROM mlflow_webhook WHERE id = ?", hookID))
	return found(ctx, w, err, hookID)
}

// list reads webhooks newest first, those of a workspace ("" for all) made before one ("" for all).
func (s *Service) list(ctx context.Context, workspace string, limit int, before string) ([]Webhook, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT "+columns+" FROM mlflow_webhook WHERE (? = '' OR workspace = ?) AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?",
		workspace, workspace, before, before, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Webhook{}
	for rows.Next() {
		w, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

func count(tx *db.Tx) (int, error) {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM mlflow_webhook").Scan(&n)
	return n, err
}

func put(tx *db.Tx, w Webhook) error {
	list, err := json.Marshal(w.Events)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO mlflow_webhook ("+columns+") VALUES ("+db.Placeholders(10)+`) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
		description = excluded.description, url = excluded.url, events = excluded.events, secret = excluded.secret, active = excluded.active,
		updated_at = excluded.updated_at`,
		w.ID, w.Name, w.Workspace, w.Description, w.URL, string(list), w.sealed, w.Active, clock.Micros(w.CreatedAt), clock.Micros(w.UpdatedAt))
	return err
}

func remove(ctx context.Context, tx *db.Tx, hookID string) error {
	if _, err := findTx(ctx, tx, hookID); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM mlflow_webhook WHERE id = ?", hookID)
	return err
}

func (s *Service) names(ctx context.Context, workspace string) ([]string, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT name FROM mlflow_webhook WHERE workspace = ? ORDER BY name", workspace)
	return db.All(rows, err, db.Column[string])
}

func moveWorkspace(tx *db.Tx, from, to string) error {
	_, err := tx.Exec("UPDATE mlflow_webhook SET workspace = ? WHERE workspace = ?", to, from)
	return err
}

func removeWorkspace(tx *db.Tx, workspace string) error {
	_, err := tx.Exec("DELETE FROM mlflow_webhook WHERE workspace = ?", workspace)
	return err
}
