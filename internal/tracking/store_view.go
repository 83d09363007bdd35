package tracking

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

const viewColumns = "id, name, query, author, created_at, updated_at"

func scanView(row interface{ Scan(...any) error }) (SavedView, error) {
	var v SavedView
	var query string
	var created, updated int64
	err := row.Scan(&v.ID, &v.Name, &query, &v.By, &created, &updated)
	v.Query, v.CreatedAt, v.UpdatedAt = json.RawMessage(query), clock.FromMicros(created), clock.FromMicros(updated)
	return v, err
}

func (st *store) views(ctx context.Context, exp int64) ([]SavedView, error) {
	rows, err := st.db.Query(ctx, "SELECT "+viewColumns+" FROM experiment_view WHERE exp = ? ORDER BY name, id", exp)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []SavedView
	for rows.Next() {
		v, err := scanView(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func (st *store) findView(tx *db.Tx, exp int64, viewID string) (SavedView, error) {
	v, err := scanView(tx.QueryRow("SELECT "+viewColumns+" FROM experiment_view WHERE exp = ? AND id = ?", exp, viewID))
	if errors.Is(err, sql.ErrNoRows) {
		return v, errs.NotFoundf("tracking.view", "the experiment has no view %s", clip(viewID)).WithHint("GET /api/v1/experiments/{id}/views lists them")
	}
	return v, err
}

func (st *store) insertView(tx *db.Tx, exp int64, v SavedView) error {
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM experiment_view WHERE exp = ?", exp).Scan(&n); err != nil {
		return err
	}
	if n >= MaxViews {
		return errs.E(errs.Exhausted, "tracking.view", "an experiment keeps at most 200 views", nil).WithHint("delete one that nobody uses")
	}
	if err := st.viewNameFree(tx, exp, v); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO experiment_view (id, exp, name, query, author, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		v.ID, exp, v.Name, string(v.Query), v.By, clock.Micros(v.CreatedAt), clock.Micros(v.UpdatedAt))
	return err
}

func (st *store) updateView(tx *db.Tx, exp int64, v SavedView) error {
	if err := st.viewNameFree(tx, exp, v); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE experiment_view SET name = ?, query = ?, updated_at = ? WHERE id = ?", v.Name, string(v.Query), clock.Micros(v.UpdatedAt), v.ID)
	return err
}

func (st *store) viewNameFree(tx *db.Tx, exp int64, v SavedView) error {
	var other string
	err := tx.QueryRow("SELECT id FROM experiment_view WHERE exp = ? AND name = ? AND id <> ?", exp, v.Name, v.ID).Scan(&other)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return errs.E(errs.Conflict, "tracking.view", "a view of this name exists already", nil).WithField("name", "expected another name than %q", clip(v.Name))
}

func (st *store) deleteView(tx *db.Tx, exp int64, viewID string) error {
	_, err := tx.Exec("DELETE FROM experiment_view WHERE exp = ? AND id = ?", exp, viewID)
	return err
}

// writeNote sets a tag that holds a text, or removes it when the text is empty.
func (st *store) writeNote(tx *db.Tx, exp int64, key, text string) error {
	if text != "" {
		return st.setExperimentTag(tx, exp, Tag{key, text})
	}
	_, err := tx.Exec("DELETE FROM experiment_tag WHERE exp = ? AND key = ?", exp, key)
	return err
}

// writeVerdict replaces the verdict and gives the outcome that was there before.
func (st *store) writeVerdict(tx *db.Tx, exp int64, v Verdict) (previous Outcome, err error) {
	var had string
	err = tx.QueryRow("SELECT value FROM experiment_tag WHERE exp = ? AND key = ?", exp, TagVerdict).Scan(&had)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	outcome, by, at := string(v.Outcome), v.By, v.At.UTC().Format(time.RFC3339Nano)
	if v.Outcome == Open {
		outcome, v.Summary, by, at = "", "", "", ""
	}
	for _, t := range []Tag{{TagVerdict, outcome}, {TagVerdictSummary, v.Summary}, {TagVerdictBy, by}, {TagVerdictAt, at}} {
		if err := st.writeNote(tx, exp, t.Key, t.Value); err != nil {
			return "", err
		}
	}
	return Outcome(had), nil
}
