package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const columns = `id, subject, endpoint, kind, severity, state, title, reason, features, window_id, event_time, opened_at, last_at, acknowledged_at,
	acknowledged_by, note, resolved_at, resolved_by, resolved_reason, repeats, last_seq, retraining_id`

func scan(row db.Scanner) (Alert, error) {
	var a Alert
	var features, retraining string
	var eventTime, opened, last, acknowledged, resolved int64
	err := row.Scan(&a.ID, &a.Subject, &a.Endpoint, &a.Kind, &a.Severity, &a.State, &a.Title, &a.Reason, &features, &a.WindowID, &eventTime, &opened, &last,
		&acknowledged, &a.AcknowledgedBy, &a.Note, &resolved, &a.ResolvedBy, &a.ResolvedReason, &a.Count, &a.lastSeq, &retraining)
	if err != nil {
		return a, err
	}
	a.OpenedAt, a.LastAt = clock.FromMicros(opened), clock.FromMicros(last)
	a.EventTime, a.AcknowledgedAt, a.ResolvedAt = moment(eventTime), moment(acknowledged), moment(resolved)
	if retraining != "" {
		a.Started = &Started{RetrainingID: retraining}
	}
	a.Features = []Feature{}
	return a, json.Unmarshal([]byte(features), &a.Features)
}

func moment(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := clock.FromMicros(us)
	return &t
}

func micros(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return clock.Micros(*t)
}

// unresolved finds the alert of a subject and kind that is not resolved, or none.
func unresolved(tx *db.Tx, subject, kind string) (*Alert, error) {
	a, err := scan(tx.QueryRow("SELECT "+columns+" FROM alert WHERE subject = ? AND kind = ? AND state <> 'resolved'", subject, kind))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &a, err
}

// heardUpTo is the newest event that any alert of a subject and kind has heard.
func heardUpTo(tx *db.Tx, subject, kind string) (int64, error) {
	var seq int64
	err := tx.QueryRow("SELECT coalesce(max(last_seq), 0) FROM alert WHERE subject = ? AND kind = ?", subject, kind).Scan(&seq)
	return seq, err
}

func byID(tx *db.Tx, id string) (Alert, error) {
	a, err := scan(tx.QueryRow("SELECT "+columns+" FROM alert WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, noAlert(id)
	}
	return a, err
}

func noAlert(id string) error {
	return errs.NotFoundf("alert.get", "no alert %s", id).WithHint("list them with GET /api/v1/alerts")
}

// put writes the whole alert.
func put(tx *db.Tx, a Alert) error {
	features, err := json.Marshal(a.Features)
	if err != nil {
		return err
	}
	retraining := ""
	if a.Started != nil {
		retraining = a.Started.RetrainingID
	}
	_, err = tx.Exec("INSERT INTO alert ("+columns+") VALUES ("+db.Placeholders(22)+`)
		ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, state = excluded.state, title = excluded.title, reason = excluded.reason, features = excluded.features,
			window_id = excluded.window_id, event_time = excluded.event_time, last_at = excluded.last_at, acknowledged_at = excluded.acknowledged_at,
			acknowledged_by = excluded.acknowledged_by, note = excluded.note, resolved_at = excluded.resolved_at, resolved_by = excluded.resolved_by,
			resolved_reason = excluded.resolved_reason, repeats = excluded.repeats, last_seq = excluded.last_seq, retraining_id = excluded.retraining_id`,
		a.ID, a.Subject, a.Endpoint, a.Kind, string(a.Severity), string(a.State), a.Title, a.Reason, string(features), a.WindowID, micros(a.EventTime),
		clock.Micros(a.OpenedAt), clock.Micros(a.LastAt), micros(a.AcknowledgedAt), a.AcknowledgedBy, a.Note, micros(a.ResolvedAt), a.ResolvedBy, a.ResolvedReason,
		a.Count, a.lastSeq, retraining)
	return err
}

type store struct{ db *db.DB }

func (s store) get(ctx context.Context, id string) (Alert, error) {
	a, err := scan(s.db.QueryRow(ctx, "SELECT "+columns+" FROM alert WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, noAlert(id)
	}
	return a, err
}

// list gives alerts, newest first. state "active" means not resolved; before is the id to go on behind.
func (s store) list(ctx context.Context, q Query, before string) ([]Alert, error) {
	stmt, args := "SELECT "+columns+" FROM alert WHERE 1 = 1", []any{}
	add := func(cond string, v ...any) { stmt += " AND " + cond; args = append(args, v...) }
	switch q.State {
	case "":
	case "active":
		add("state <> 'resolved'")
	default:
		add("state = ?", q.State)
	}
	if q.Endpoint != "" {
		add("endpoint = ?", q.Endpoint)
	}
	if q.Kind != "" {
		add("kind = ?", q.Kind)
	}
	if before != "" {
		add("id < ?", before)
	}
	rows, err := s.db.Query(ctx, stmt+" ORDER BY id DESC LIMIT ?", append(args, q.Limit)...)
	return db.All(rows, err, scan)
}

type countOf struct {
	kind     string
	severity string
	n        int64
}

func (s store) openCounts(ctx context.Context) ([]countOf, error) {
	rows, err := s.db.Query(ctx, "SELECT kind, severity, count(*) FROM alert WHERE state <> 'resolved' GROUP BY kind, severity")
	return db.All(rows, err, func(row db.Scanner) (c countOf, err error) {
		err = row.Scan(&c.kind, &c.severity, &c.n)
		return c, err
	})
}
