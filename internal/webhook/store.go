package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const columns = "id, name, description, url, events, secret, active, created_at, updated_at"

func scan(row interface{ Scan(...any) error }) (Webhook, error) {
	var w Webhook
	var list string
	var created, updated int64
	if err := row.Scan(&w.ID, &w.Name, &w.Description, &w.URL, &list, &w.sealed, &w.Active, &created, &updated); err != nil {
		return w, err
	}
	if w.sealed == nil { // how an empty column is read
		w.sealed = []byte{}
	}
	w.CreatedAt, w.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return w, json.Unmarshal([]byte(list), &w.Events)
}

// found turns the absence of a row into NotFound.
func found(w Webhook, err error, hookID string) (Webhook, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return w, errs.NotFoundf("webhook.find", "Webhook with ID %.100s not found.", hookID)
	}
	return w, err
}

func (s *Service) find(ctx context.Context, hookID string) (Webhook, error) {
	w, err := scan(s.d.DB.QueryRow(ctx, "SELECT "+columns+" FROM mlflow_webhook WHERE id = ?", hookID))
	return found(w, err, hookID)
}

func findTx(tx *db.Tx, hookID string) (Webhook, error) {
	w, err := scan(tx.QueryRow("SELECT "+columns+" FROM mlflow_webhook WHERE id = ?", hookID))
	return found(w, err, hookID)
}

// list reads webhooks newest first, those made before one ("" for all).
func (s *Service) list(ctx context.Context, limit int, before string) ([]Webhook, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT "+columns+" FROM mlflow_webhook WHERE (? = '' OR id < ?) ORDER BY id DESC LIMIT ?", before, before, limit)
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
	_, err = tx.Exec("INSERT INTO mlflow_webhook ("+columns+") VALUES ("+db.Placeholders(9)+`) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
		description = excluded.description, url = excluded.url, events = excluded.events, secret = excluded.secret, active = excluded.active,
		updated_at = excluded.updated_at`,
		w.ID, w.Name, w.Description, w.URL, string(list), w.sealed, w.Active, clock.Micros(w.CreatedAt), clock.Micros(w.UpdatedAt))
	return err
}

func remove(tx *db.Tx, hookID string) error {
	n, err := tx.Exec("DELETE FROM mlflow_webhook WHERE id = ?", hookID)
	if err == nil && n == 0 {
		_, err = found(Webhook{}, sql.ErrNoRows, hookID)
	}
	return err
}
