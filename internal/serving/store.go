package serving

import (
	"context"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func (s *Service) loadRecords(ctx context.Context) (map[string]*record, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT name, model, version, model_uri, created_at, created_by FROM serving_endpoint")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]*record{}
	for rows.Next() {
		var r record
		var at int64
		if err := rows.Scan(&r.name, &r.model, &r.version, &r.modelURI, &at, &r.createdBy); err != nil {
			return nil, err
		}
		r.createdAt = clock.FromMicros(at)
		out[r.name] = &r
	}
	return out, rows.Err()
}

func insertRecord(tx *db.Tx, r *record) error {
	n, err := tx.Exec(`INSERT INTO serving_endpoint (name, model, version, model_uri, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO NOTHING`, r.name, r.model, r.version, r.modelURI, clock.Micros(r.createdAt), r.createdBy)
	if err == nil && n == 0 {
		return errs.E(errs.Conflict, "serving.create", "endpoint "+r.name+" exists already", nil).
			WithHint("change its traffic to put another version behind it, or choose another name")
	}
	return err
}

func deleteRecord(tx *db.Tx, name string) (bool, error) {
	n, err := tx.Exec("DELETE FROM serving_endpoint WHERE name = ?", name)
	return n > 0, err
}
