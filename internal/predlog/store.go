package predlog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

// storedLabel is the newest label of a prediction.
type storedLabel struct {
	value        any
	time         int64
	eventTime    int64
	eventTimeSet bool
	late         bool
}

// inList bounds a list of ids in one query.
const inList = 500

// labelsOf gives the newest label of each of the predictions that have one.
func (s *Service) labelsOf(ctx context.Context, ids []string) (map[string]storedLabel, error) {
	out := map[string]storedLabel{}
	for len(ids) > 0 {
		n := min(len(ids), inList)
		args := make([]any, inList) // always as many places: one prepared statement
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		ids = ids[n:]
		rows, err := s.d.DB.Query(ctx, "SELECT prediction_id, label, time, event_time, event_time_set, late FROM predlog_label WHERE prediction_id IN (?"+
			strings.Repeat(", ?", inList-1)+")", args...)
		if err != nil {
			return nil, err
		}
		if err := collectLabels(rows, func(id string, l storedLabel) { out[id] = l }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func collectLabels(rows *sql.Rows, add func(id string, l storedLabel)) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, raw string
		var l storedLabel
		if err := rows.Scan(&id, &raw, &l.time, &l.eventTime, &l.eventTimeSet, &l.late); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(raw), &l.value); err != nil {
			return err
		}
		add(id, l)
	}
	return rows.Err()
}

// labelledBefore lists the ids of labelled predictions of an endpoint, newest first, from before an id on ("" for the newest).
func (s *Service) labelledBefore(ctx context.Context, endpoint, before string, limit int) ([]string, error) {
	if before == "" {
		before = "g" // behind every hex digit
	}
	rows, err := s.d.DB.Query(ctx, "SELECT prediction_id FROM predlog_label WHERE endpoint = ? AND prediction_id < ? ORDER BY prediction_id DESC LIMIT ?", endpoint, before, limit)
	return db.All(rows, err, db.Column[string])
}

// upsertLabel keeps the label that stands later in the log.
const upsertLabel = `INSERT INTO predlog_label (prediction_id, endpoint, label, time, event_time, event_time_set, late, position)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (prediction_id) DO UPDATE SET label = excluded.label, time = excluded.time, event_time = excluded.event_time,
		event_time_set = excluded.event_time_set, late = excluded.late, position = excluded.position
	WHERE excluded.position >= predlog_label.position`

const labelState = "labels"

func (s *Service) putLabels(ctx context.Context, endpoint string, rows []labelRow, at int64, mine *position, end position) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, r := range rows {
			event := r.eventTime
			if event == 0 {
				event = at
			}
			if _, err := tx.Exec(upsertLabel, r.id.String(), endpoint, r.value, at, event, r.eventTime != 0, r.late, string(end.cursor())); err != nil {
				return err
			}
		}
		return setState(tx, s.labeling.floor(mine, end))
	})
}

func (s *Service) restoreLabels(ctx context.Context, ls []Label, at position) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, l := range ls {
			raw, err := json.Marshal(l.Value)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(upsertLabel, l.PredictionID, l.Endpoint, string(raw), clock.Micros(l.Time), clock.Micros(l.EventTime), l.EventTimeSet, l.Late, string(at.cursor())); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) setLabelCursor(ctx context.Context, p position) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return setState(tx, p) })
}

// setState moves the cursor on; it never goes back.
func setState(tx *db.Tx, p position) error {
	_, err := tx.Exec(`INSERT INTO predlog_state (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > predlog_state.value`, labelState, string(p.cursor()))
	return err
}

func (s *Service) labelCursor(ctx context.Context) (Cursor, error) {
	var c string
	err := s.d.DB.QueryRow(ctx, "SELECT value FROM predlog_state WHERE name = ?", labelState).Scan(&c)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return Cursor(c), err
}
