package routing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

const routeColumns = "r.endpoint, r.model, g.generation, g.targets, g.reason, g.actor, g.created_at"

func scanRoute(row db.Scanner) (*Route, error) {
	var r Route
	var targets string
	var at int64
	if err := row.Scan(&r.Endpoint, &r.Model, &r.Generation, &targets, &r.Reason, &r.Actor, &at); err != nil {
		return nil, err
	}
	r.At = clock.FromMicros(at)
	err := json.Unmarshal([]byte(targets), &r.Targets)
	r.Mirror = len(r.Targets) > 1
	return &r, err
}

const inForce = "SELECT " + routeColumns + " FROM routing_route r JOIN routing_generation g ON g.endpoint = r.endpoint AND g.generation = r.generation"

func (s *Service) loadAll(ctx context.Context) (map[string]*Route, error) {
	rows, err := s.d.DB.Query(ctx, inForce)
	list, err := db.All(rows, err, scanRoute)
	out := make(map[string]*Route, len(list))
	for _, r := range list {
		out[r.Endpoint] = r
	}
	return out, err
}

// load reads the route in force, nil when there is none.
func load(tx *db.Tx, endpoint string) (*Route, error) {
	r, err := scanRoute(tx.QueryRow(inForce+" WHERE r.endpoint = ?", endpoint))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

// loadOne is load outside a transaction.
func (s *Service) loadOne(ctx context.Context, endpoint string) (*Route, error) {
	r, err := scanRoute(s.d.DB.QueryRow(ctx, inForce+" WHERE r.endpoint = ?", endpoint))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func insert(tx *db.Tx, r *Route) error {
	targets, err := json.Marshal(r.Targets)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO routing_generation (endpoint, generation, targets, reason, actor, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		r.Endpoint, r.Generation, string(targets), r.Reason, r.Actor, clock.Micros(r.At)); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO routing_route (endpoint, model, generation) VALUES (?, ?, ?)
		ON CONFLICT (endpoint) DO UPDATE SET generation = excluded.generation`, r.Endpoint, r.Model, r.Generation)
	return err
}

func deleteRoute(tx *db.Tx, endpoint string) error {
	if _, err := tx.Exec("DELETE FROM routing_generation WHERE endpoint = ?", endpoint); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM routing_route WHERE endpoint = ?", endpoint)
	return err
}

// generations lists an endpoint's generations before a number (0 for all), newest first.
const generations = "SELECT " + routeColumns + " FROM routing_route r JOIN routing_generation g ON g.endpoint = r.endpoint WHERE r.endpoint = ? AND (? = 0 OR g.generation < ?) ORDER BY g.generation DESC LIMIT ?"

// previousChampion is the newest champion before the present one.
func previousChampion(tx *db.Tx, endpoint string, cur *Route) (string, error) {
	rows, err := tx.Query(generations, endpoint, cur.Generation, cur.Generation, 1000)
	list, err := db.All(rows, err, scanRoute)
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if v := r.Champion().Version; v != cur.Champion().Version {
			return v, nil
		}
	}
	return "", errs.E(errs.Precondition, "routing.rollback", "there is nothing to go back to: version "+cur.Champion().Version+" is the only champion that the endpoint had", nil).
		WithHint("set the traffic to another version instead")
}

// History lists the generations of a route, newest first; before 0 begins with the newest. It returns NotFound.
func (s *Service) History(ctx context.Context, endpoint string, before int64, limit int) ([]*Route, error) {
	if s.Route(endpoint) == nil {
		return nil, notFound(endpoint)
	}
	rows, err := s.d.DB.Query(ctx, generations, endpoint, before, before, limit)
	return db.All(rows, err, scanRoute)
}
