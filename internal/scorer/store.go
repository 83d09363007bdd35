package scorer

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// add gives v its number, and the id of the scorer when there is one of that name.
func add(tx *db.Tx, v *Version) error {
	_, err := tx.Exec("INSERT INTO scorer (id, experiment_id, name, last_version) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING", v.ScorerID, v.ExperimentID, v.Name)
	if err != nil {
		return err
	}
	err = tx.QueryRow("UPDATE scorer SET last_version = last_version + 1 WHERE experiment_id = ? AND name = ? RETURNING id, last_version", v.ExperimentID, v.Name).
		Scan(&v.ScorerID, &v.Number)
	if err != nil {
		return err
	}
	if v.Number > maxVersions {
		return errs.E(errs.Exhausted, "scorer.register", "the scorer has too many versions", nil).WithHint("register it under another name")
	}
	_, err = tx.Exec("INSERT INTO scorer_version (scorer_id, version, body, created_at) VALUES (?, ?, ?, ?)", v.ScorerID, v.Number, v.Body, clock.Micros(v.CreatedAt))
	return err
}

const selectVersions = "SELECT s.id, s.experiment_id, s.name, v.version, v.body, v.created_at FROM scorer s JOIN scorer_version v ON v.scorer_id = s.id "

func (s *Service) query(ctx context.Context, query string, args ...any) ([]Version, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Version{}
	for rows.Next() {
		var v Version
		var at int64
		if err := rows.Scan(&v.ScorerID, &v.ExperimentID, &v.Name, &v.Number, &v.Body, &at); err != nil {
			return nil, err
		}
		v.CreatedAt = clock.FromMicros(at)
		out = append(out, v)
	}
	return out, rows.Err()
}

func (s *Service) latest(ctx context.Context, experiments []string) ([]Version, error) {
	out := []Version{}
	for part := range slices.Chunk(experiments, 500) {
		args := make([]any, len(part))
		for i, e := range part {
			args[i] = e
		}
		some, err := s.query(ctx, selectVersions+"WHERE s.experiment_id IN (?"+strings.Repeat(", ?", len(part)-1)+`)
			AND v.version = (SELECT max(x.version) FROM scorer_version x WHERE x.scorer_id = s.id) ORDER BY s.experiment_id, s.name LIMIT ?`, append(args, maxListed)...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// versions reads one version of a scorer, or with 0 all of them. NotFound when there is none.
func (s *Service) versions(ctx context.Context, experiment, name string, number int64) ([]Version, error) {
	out, err := s.query(ctx, selectVersions+"WHERE s.experiment_id = ? AND s.name = ? AND (CAST(? AS BIGINT) = 0 OR v.version = ?) ORDER BY v.version DESC LIMIT ?",
		experiment, name, number, number, maxListed)
	if err == nil && len(out) == 0 {
		err = notFound(experiment, name, number)
	}
	slices.Reverse(out)
	return out, err
}

func remove(tx *db.Tx, experiment, name string, number int64) error {
	var id string
	err := tx.QueryRow("SELECT id FROM scorer WHERE experiment_id = ? AND name = ?", experiment, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(experiment, name, number)
	}
	if err != nil {
		return err
	}
	if number > 0 {
		_, err = tx.Exec("DELETE FROM scorer_version WHERE scorer_id = ? AND version = ?", id, number)
		return err
	}
	if _, err = tx.Exec("DELETE FROM scorer_version WHERE scorer_id = ?", id); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM scorer WHERE id = ?", id)
	return err
}
