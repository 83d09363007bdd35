package serving

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const selectRecords = "SELECT name, model, version, model_uri, created_at, created_by FROM serving_endpoint"

func scanRecord(row db.Scanner) (*record, error) {
	var r record
	var at int64
	err := row.Scan(&r.name, &r.model, &r.version, &r.modelURI, &at, &r.createdBy)
	r.createdAt = clock.FromMicros(at)
	return &r, err
}

func (s *Service) loadRecords(ctx context.Context) (map[string]*record, error) {
	rows, err := s.d.DB.Query(ctx, selectRecords)
	list, err := db.All(rows, err, scanRecord)
	out := make(map[string]*record, len(list))
	for _, r := range list {
		out[r.name] = r
	}
	return out, err
}

// loadRecord gives nil when there is no such endpoint.
func (s *Service) loadRecord(ctx context.Context, name string) (*record, error) {
	r, err := scanRecord(s.d.DB.QueryRow(ctx, selectRecords+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
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
