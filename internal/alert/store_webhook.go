package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const hookColumns = "id, url, events, secret, created_at, created_by"

func scanHook(row db.Scanner) (Webhook, error) {
	var h Webhook
	var list string
	var created int64
	if err := row.Scan(&h.ID, &h.URL, &list, &h.sealed, &created, &h.CreatedBy); err != nil {
		return h, err
	}
	h.CreatedAt = clock.FromMicros(created)
	return h, json.Unmarshal([]byte(list), &h.Events)
}

func insertHook(tx *db.Tx, h Webhook) error {
	list, err := json.Marshal(h.Events)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO webhook ("+hookColumns+") VALUES (?, ?, ?, ?, ?, ?)", h.ID, h.URL, string(list), h.sealed, clock.Micros(h.CreatedAt), h.CreatedBy)
	return err
}

func countHooks(tx *db.Tx) (int, error) {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM webhook").Scan(&n)
	return n, err
}

// deleteHook removes a webhook with its log.
func deleteHook(tx *db.Tx, id string) error {
	n, err := tx.Exec("DELETE FROM webhook WHERE id = ?", id)
	if err == nil && n == 0 {
		return noHook(id)
	}
	if err == nil {
		_, err = tx.Exec("DELETE FROM webhook_delivery WHERE webhook_id = ?", id)
	}
	return err
}

func noHook(id string) error { return errs.NotFoundf("alert.webhook", "no webhook %s", id) }

func (s store) hook(ctx context.Context, id string) (Webhook, error) {
	h, err := scanHook(s.db.QueryRow(ctx, "SELECT "+hookColumns+" FROM webhook WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return h, noHook(id)
	}
	return h, err
}

func (s store) hooks(ctx context.Context) ([]Webhook, error) {
	rows, err := s.db.Query(ctx, "SELECT "+hookColumns+" FROM webhook ORDER BY id LIMIT ?", MaxWebhooks)
	return db.All(rows, err, scanHook)
}

const deliveryColumns = "id, webhook_id, event_id, type, body, state, status, attempt, error, milliseconds, created_at, at"

func scanDelivery(row db.Scanner) (Delivery, error) {
	var d Delivery
	var created, at int64
	err := row.Scan(&d.ID, &d.WebhookID, &d.EventID, &d.Type, &d.body, &d.State, &d.Status, &d.Attempt, &d.Error, &d.Milliseconds, &created, &at)
	d.CreatedAt, d.At = clock.FromMicros(created), clock.FromMicros(at)
	return d, err
}

// insertDelivery adds a delivery unless the webhook has one for this event, and says whether it did.
func insertDelivery(tx *db.Tx, d Delivery) (bool, error) {
	n, err := tx.Exec("INSERT INTO webhook_delivery ("+deliveryColumns+") VALUES ("+db.Placeholders(12)+") ON CONFLICT DO NOTHING",
		d.ID, d.WebhookID, d.EventID, d.Type, d.body, string(d.State), d.Status, d.Attempt, d.Error, d.Milliseconds, clock.Micros(d.CreatedAt), clock.Micros(d.At))
	return n > 0, err
}

// updateDelivery notes how an attempt went. What was delivered needs its body no more.
func updateDelivery(tx *db.Tx, d Delivery) error {
	_, err := tx.Exec("UPDATE webhook_delivery SET state = ?, status = ?, attempt = ?, error = ?, milliseconds = ?, at = ?, body = ? WHERE id = ?",
		string(d.State), d.Status, d.Attempt, d.Error, d.Milliseconds, clock.Micros(d.At), d.body, d.ID)
	return err
}

// trimDeliveries keeps the newest entries of a webhook's log.
func trimDeliveries(tx *db.Tx, hook string) error {
	_, err := tx.Exec(`DELETE FROM webhook_delivery WHERE webhook_id = ? AND state <> 'pending' AND id <=
		(SELECT id FROM webhook_delivery WHERE webhook_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`, hook, hook, keepDeliveries)
	return err
}

func (s store) delivery(ctx context.Context, id string) (Delivery, error) {
	d, err := scanDelivery(s.db.QueryRow(ctx, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, errs.NotFoundf("alert.delivery", "no delivery %s", id)
	}
	return d, err
}

func (s store) deliveries(ctx context.Context, hook string, limit int) ([]Delivery, error) {
	rows, err := s.db.Query(ctx, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE webhook_id = ? ORDER BY id DESC LIMIT ?", hook, limit)
	return db.All(rows, err, scanDelivery)
}
