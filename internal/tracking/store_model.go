package tracking

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func noModel(modelID string) error {
	return errs.NotFoundf("tracking.model", "Logged model with ID '%s' not found.", clip(modelID))
}

func (st *store) insertModel(tx *db.Tx, m LoggedModel) error {
	_, err := tx.Exec(`INSERT INTO logged_model (id, exp, name, type, status, status_message, run_id, user_name, created_at, updated_at, deleted_at) VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, 0)`,
		m.ID, m.exp, m.Name, m.Type, string(m.Status), m.RunID, m.User, clock.Micros(m.CreatedAt), clock.Micros(m.UpdatedAt))
	if err != nil {
		return err
	}
	if err := st.insertModelParams(tx, m.ID, m.Params); err != nil {
		return err
	}
	return st.setModelTags(tx, m.ID, m.Tags)
}

func (st *store) insertModelParams(tx *db.Tx, modelID string, params []Param) error {
	for _, p := range params {
		n, err := tx.Exec("INSERT INTO logged_model_param (model_id, key, value) VALUES (?, ?, ?) ON CONFLICT (model_id, key) DO NOTHING", modelID, p.Key, p.Value)
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		var have string
		if err := tx.QueryRow("SELECT value FROM logged_model_param WHERE model_id = ? AND key = ?", modelID, p.Key).Scan(&have); err != nil {
			return err
		}
		if have != p.Value {
			return errs.Invalidf("tracking.model_params", "Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for model '%s'.", clip(p.Key), clip(have), modelID)
		}
	}
	return nil
}

func (st *store) setModelTags(tx *db.Tx, modelID string, tags []Tag) error {
	for _, t := range tags {
		_, err := tx.Exec("INSERT INTO logged_model_tag (model_id, key, value) VALUES (?, ?, ?) ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value", modelID, t.Key, t.Value)
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *store) deleteModelTag(tx *db.Tx, modelID, key string) error {
	n, err := tx.Exec("DELETE FROM logged_model_tag WHERE model_id = ? AND key = ?", modelID, key)
	if err == nil && n == 0 {
		return errs.NotFoundf("tracking.delete_tag", "No tag with key '%s' found for model with ID '%s'.", clip(key), modelID)
	}
	return err
}

func (st *store) setModelStatus(tx *db.Tx, modelID string, status ModelStatus, now time.Time) error {
	_, err := tx.Exec("UPDATE logged_model SET status = ?, updated_at = ? WHERE id = ?", string(status), clock.Micros(now), modelID)
	return err
}

func (st *store) deleteModel(tx *db.Tx, modelID string, now time.Time) error {
	_, err := tx.Exec("UPDATE logged_model SET deleted_at = ? WHERE id = ?", clock.Micros(now), modelID)
	return err
}

const modelColumns = "m.id, m.exp, m.name, m.type, m.status, m.status_message, m.run_id, m.user_name, m.created_at, m.updated_at"

func scanModel(row interface{ Scan(...any) error }) (LoggedModel, error) {
	var m LoggedModel
	var status string
	var created, updated int64
	err := row.Scan(&m.ID, &m.exp, &m.Name, &m.Type, &status, &m.StatusMessage, &m.RunID, &m.User, &created, &updated)
	m.ExperimentID, m.Status = strconv.FormatInt(m.exp, 10), ModelStatus(status)
	m.CreatedAt, m.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return m, err
}

const oneModel = "SELECT " + modelColumns + " FROM logged_model m WHERE m.id = ? AND m.deleted_at = 0"

func (st *store) findModel(tx *db.Tx, modelID string) (LoggedModel, error) {
	m, err := scanModel(tx.QueryRow(oneModel, modelID))
	if errors.Is(err, sql.ErrNoRows) {
		return m, noModel(modelID)
	}
	return m, err
}

func (st *store) modelInfo(ctx context.Context, modelID string) (LoggedModel, error) {
	m, err := scanModel(st.db.QueryRow(ctx, oneModel, modelID))
	if errors.Is(err, sql.ErrNoRows) {
		return m, noModel(modelID)
	}
	return m, err
}

func (st *store) model(ctx context.Context, modelID string) (LoggedModel, error) {
	all, err := st.models(ctx, "m.id = ? AND m.deleted_at = 0", modelID)
	if err == nil && len(all) == 0 {
		return LoggedModel{}, noModel(modelID)
	}
	if err != nil {
		return LoggedModel{}, err
	}
	return all[0], nil
}

// models reads the models of a condition with their values, newest first.
func (st *store) models(ctx context.Context, where string, arg any) ([]LoggedModel, error) {
	rows, err := st.db.Query(ctx, "SELECT "+modelColumns+" FROM logged_model m WHERE "+where+" ORDER BY m.created_at DESC, m.id", arg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []LoggedModel
	at := map[string]int{}
	for rows.Next() {
		m, err := scanModel(rows)
		if err != nil {
			return nil, err
		}
		at[m.ID] = len(out)
		out = append(out, m)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return out, err
	}
	for table, add := range map[string]func(m *LoggedModel, key, value string){
		"logged_model_tag":   func(m *LoggedModel, k, v string) { m.Tags = append(m.Tags, Tag{k, v}) },
		"logged_model_param": func(m *LoggedModel, k, v string) { m.Params = append(m.Params, Param{k, v}) },
	} {
		values, err := st.db.Query(ctx, "SELECT v.model_id, v.key, v.value FROM "+table+" v JOIN logged_model m ON m.id = v.model_id WHERE "+where+" ORDER BY v.model_id, v.key", arg)
		if err != nil {
			return nil, err
		}
		err = scanModelValues(values, func(id, k, v string) {
			if i, ok := at[id]; ok {
				add(&out[i], k, v)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, st.fillModelMetrics(ctx, where, arg, out, at)
}

func scanModelValues(rows *sql.Rows, add func(id, key, value string)) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, k, v string
		if err := rows.Scan(&id, &k, &v); err != nil {
			return err
		}
		add(id, k, v)
	}
	return rows.Err()
}

func (st *store) fillModelMetrics(ctx context.Context, where string, arg any, out []LoggedModel, at map[string]int) error {
	rows, err := st.db.Query(ctx, `SELECT v.model_id, v.key, v.dataset_name, v.dataset_digest, v.run_id, v.step, v.ts, v.value
		FROM logged_model_metric v JOIN logged_model m ON m.id = v.model_id WHERE `+where+" ORDER BY v.model_id, v.key, v.ts", arg)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var x Metric
		var v sql.NullFloat64
		if err := rows.Scan(&x.ModelID, &x.Key, &x.DatasetName, &x.DatasetDigest, &x.RunID, &x.Step, &x.Time, &v); err != nil {
			return err
		}
		x.Value = orNaN(v)
		if i, ok := at[x.ModelID]; ok {
			out[i].Metrics = append(out[i].Metrics, x)
		}
	}
	return rows.Err()
}

func (st *store) modelNames(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	for some := range slices.Chunk(ids, fillBatch) {
		err := st.scan(ctx, func(rows *sql.Rows) error {
			var id, name string
			err := rows.Scan(&id, &name)
			out[id] = name
			return err
		}, "SELECT m.id, m.name FROM "+st.listed("TEXT")+" w CROSS JOIN logged_model m WHERE m.id = w.value", st.list(quoted(some)))
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
