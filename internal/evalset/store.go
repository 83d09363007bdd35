package evalset

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

type store struct{ db *db.DB }

const columns = "id, name, workspace, digest, record_schema, records, created_at, updated_at, created_by, updated_by"

type scanner interface{ Scan(...any) error }

func scan(row scanner) (Dataset, error) {
	d := Dataset{Tags: map[string]string{}, Experiments: []string{}}
	var sc string
	var at, updated int64
	err := row.Scan(&d.ID, &d.Name, &d.Workspace, &d.Digest, &sc, &d.Records, &at, &updated, &d.CreatedBy, &d.UpdatedBy)
	d.CreatedAt, d.UpdatedAt = clock.FromMicros(at), clock.FromMicros(updated)
	if sc != "" {
		d.Schema = json.RawMessage(sc)
	}
	return d, err
}

func put(tx *db.Tx, d *Dataset) error {
	_, err := tx.Exec("INSERT INTO evalset ("+columns+") VALUES ("+db.Placeholders(10)+`) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest,
		record_schema = excluded.record_schema, records = excluded.records, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
		d.ID, d.Name, d.Workspace, d.Digest, string(d.Schema), d.Records, clock.Micros(d.CreatedAt), clock.Micros(d.UpdatedAt), d.CreatedBy, d.UpdatedBy)
	return err
}

func find(tx *db.Tx, id string) (*Dataset, error) {
	if !idPattern.MatchString(id) {
		return nil, noDataset(id)
	}
	d, err := scan(tx.QueryRow("SELECT "+columns+" FROM evalset WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noDataset(id)
	}
	return &d, err
}

// list reads datasets with their tags and experiments.
func (s store) list(ctx context.Context, where string, args ...any) ([]Dataset, error) {
	rows, err := s.db.Query(ctx, "SELECT "+columns+" FROM evalset "+where+" ORDER BY created_at DESC, id DESC", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Dataset{}
	at := map[string]int{}
	for rows.Next() {
		d, err := scan(rows)
		if err != nil {
			return nil, err
		}
		at[d.ID] = len(out)
		out = append(out, d)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return out, err
	}
	err = s.pairs(ctx, "SELECT evalset_id, key, value FROM evalset_tag WHERE evalset_id IN (SELECT id FROM evalset "+where+")", args, func(id, k, v string) {
		if i, ok := at[id]; ok {
			out[i].Tags[k] = v
		}
	})
	if err != nil {
		return nil, err
	}
	err = s.pairs(ctx, "SELECT evalset_id, experiment_id, '' FROM evalset_experiment WHERE evalset_id IN (SELECT id FROM evalset "+where+") ORDER BY experiment_id", args, func(id, e, _ string) {
		if i, ok := at[id]; ok {
			out[i].Experiments = append(out[i].Experiments, e)
		}
	})
	return out, err
}

func (s store) pairs(ctx context.Context, query string, args []any, visit func(id, k, v string)) error {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, k, v string
		if err := rows.Scan(&id, &k, &v); err != nil {
			return err
		}
		visit(id, k, v)
	}
	return rows.Err()
}

func putTag(tx *db.Tx, id, key, value string) error {
	_, err := tx.Exec("INSERT INTO evalset_tag (evalset_id, key, value) VALUES (?, ?, ?) ON CONFLICT (evalset_id, key) DO UPDATE SET value = excluded.value", id, key, value)
	return err
}

func deleteTag(tx *db.Tx, id, key string) error {
	_, err := tx.Exec("DELETE FROM evalset_tag WHERE evalset_id = ? AND key = ?", id, key)
	return err
}

func countTags(tx *db.Tx, id string) (n int, err error) {
	err = tx.QueryRow("SELECT count(*) FROM evalset_tag WHERE evalset_id = ?", id).Scan(&n)
	return n, err
}

func addExperiment(tx *db.Tx, id, experiment string) error {
	_, err := tx.Exec("INSERT INTO evalset_experiment (evalset_id, experiment_id) VALUES (?, ?) ON CONFLICT DO NOTHING", id, experiment)
	return err
}

func removeExperiment(tx *db.Tx, id, experiment string) error {
	_, err := tx.Exec("DELETE FROM evalset_experiment WHERE evalset_id = ? AND experiment_id = ?", id, experiment)
	return err
}

func leaveExperiment(tx *db.Tx, experiment string) error {
	_, err := tx.Exec("DELETE FROM evalset_experiment WHERE experiment_id = ?", experiment)
	return err
}

func countExperiments(tx *db.Tx, id string) (n int, err error) {
	err = tx.QueryRow("SELECT count(*) FROM evalset_experiment WHERE evalset_id = ?", id).Scan(&n)
	return n, err
}

func (s store) names(ctx context.Context, workspace string) ([]string, error) {
	rows, err := s.db.Query(ctx, "SELECT name FROM evalset WHERE workspace = ? ORDER BY name", workspace)
	return db.All(rows, err, db.Column[string])
}

func (s store) idsIn(ctx context.Context, workspace string) ([]string, error) {
	rows, err := s.db.Query(ctx, "SELECT id FROM evalset WHERE workspace = ? ORDER BY id", workspace)
	return db.All(rows, err, db.Column[string])
}

func moveWorkspace(tx *db.Tx, from, to string) error {
	_, err := tx.Exec("UPDATE evalset SET workspace = ? WHERE workspace = ?", to, from)
	return err
}

// remove deletes a dataset with all that is its own.
func remove(tx *db.Tx, id string) (int64, error) {
	for _, table := range []string{"evalset_tag", "evalset_experiment", "evalset_record"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE evalset_id = ?", id); err != nil {
			return 0, err
		}
	}
	return tx.Exec("DELETE FROM evalset WHERE id = ?", id)
}

const recordColumns = "id, evalset_id, inputs, outputs, expectations, tags, source, created_at, updated_at, created_by, updated_by"

func scanRecord(row scanner) (Record, error) {
	r := Record{Tags: map[string]string{}}
	var inputs, outputs, expectations, tags, source string
	var at, updated int64
	err := row.Scan(&r.ID, &r.DatasetID, &inputs, &outputs, &expectations, &tags, &source, &at, &updated, &r.CreatedBy, &r.UpdatedBy)
	if err != nil {
		return r, err
	}
	r.CreatedAt, r.UpdatedAt = clock.FromMicros(at), clock.FromMicros(updated)
	r.Inputs, r.Outputs, r.Expectations = raw(inputs), raw(outputs), raw(expectations)
	if err := json.Unmarshal([]byte(tags), &r.Tags); err != nil {
		return r, err
	}
	if source != "" {
		r.Source = &Source{}
		err = json.Unmarshal([]byte(source), r.Source)
	}
	return r, err
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func byHash(tx *db.Tx, id, hash string) (*Record, error) {
	r, err := scanRecord(tx.QueryRow("SELECT "+recordColumns+" FROM evalset_record WHERE evalset_id = ? AND hash = ?", id, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}

func putRecord(tx *db.Tx, r *Record, hash string) error {
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return err
	}
	source := ""
	if r.Source != nil {
		b, err := json.Marshal(r.Source)
		if err != nil {
			return err
		}
		source = string(b)
	}
	_, err = tx.Exec("INSERT INTO evalset_record ("+recordColumns+", hash) VALUES ("+db.Placeholders(12)+`) ON CONFLICT (id) DO UPDATE SET outputs = excluded.outputs,
		expectations = excluded.expectations, tags = excluded.tags, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
		r.ID, r.DatasetID, string(r.Inputs), string(r.Outputs), string(r.Expectations), string(tags), source, clock.Micros(r.CreatedAt), clock.Micros(r.UpdatedAt), r.CreatedBy, r.UpdatedBy, hash)
	return err
}

func deleteRecord(tx *db.Tx, dataset, id string) (int64, error) {
	return tx.Exec("DELETE FROM evalset_record WHERE evalset_id = ? AND id = ?", dataset, id)
}

func (s store) records(ctx context.Context, id string, from recordCursor, n int) ([]Record, error) {
	rows, err := s.db.Query(ctx, "SELECT "+recordColumns+` FROM evalset_record WHERE evalset_id = ? AND (created_at > ? OR (created_at = ? AND id > ?))
		ORDER BY created_at, id LIMIT ?`, id, from.At, from.At, from.ID, n)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Record{}
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
