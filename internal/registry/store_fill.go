package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// fillModels adds what other tables know: tags, aliases, counts.
func (s *Service) fillModels(ctx context.Context, models []Model) error {
	at := map[string]*Model{}
	ids := make([]string, len(models))
	for i := range models {
		at[models[i].id], ids[i] = &models[i], models[i].id
	}
	err := s.each(ctx, "SELECT model_id, tag_key, value FROM registry_tag WHERE version = 0 AND model_id", ids, "", func(r *sql.Rows) error {
		var mid, k, v string
		err := r.Scan(&mid, &k, &v)
		at[mid].Tags[k] = v
		return err
	})
	if err != nil {
		return err
	}
	err = s.each(ctx, "SELECT model_id, alias, version FROM registry_alias WHERE model_id", ids, "", func(r *sql.Rows) error {
		var mid, a string
		var n int64
		err := r.Scan(&mid, &a, &n)
		at[mid].Aliases[a] = formatNumber(n)
		return err
	})
	if err != nil {
		return err
	}
	return s.each(ctx, "SELECT model_id, max(number), count(*) FROM registry_version WHERE deleted_at = 0 AND model_id", ids, " GROUP BY model_id", func(r *sql.Rows) error {
		var mid string
		var top int64
		var n int
		err := r.Scan(&mid, &top, &n)
		at[mid].LatestVersion, at[mid].VersionsCount = formatNumber(top), n
		return err
	})
}

type versionKey struct {
	model  string // id or name
	number int64
}

// fillVersions adds what other tables know: tags, aliases, gate verdicts.
func (s *Service) fillVersions(ctx context.Context, vs []Version) error {
	byID, byName := map[versionKey]*Version{}, map[versionKey]*Version{}
	var ids, names []string
	seen := map[string]bool{}
	for i := range vs {
		v := &vs[i]
		byID[versionKey{v.modelID, v.number}], byName[versionKey{v.Model, v.number}] = v, v
		if !seen[v.modelID] {
			seen[v.modelID] = true
			ids, names = append(ids, v.modelID), append(names, v.Model)
		}
	}
	tagFilter := "SELECT model_id, version, tag_key, value FROM registry_tag WHERE version > 0 AND model_id"
	if len(vs) == 1 {
		tagFilter = "SELECT model_id, version, tag_key, value FROM registry_tag WHERE version = " + formatNumber(vs[0].number) + " AND model_id"
	}
	err := s.each(ctx, tagFilter, ids, "", func(r *sql.Rows) error {
		var k versionKey
		var key, value string
		err := r.Scan(&k.model, &k.number, &key, &value)
		if v := byID[k]; v != nil {
			v.Tags[key] = value
		}
		return err
	})
	if err != nil {
		return err
	}
	err = s.each(ctx, "SELECT model_id, version, alias FROM registry_alias WHERE model_id", ids, " ORDER BY alias", func(r *sql.Rows) error {
		var k versionKey
		var alias string
		err := r.Scan(&k.model, &k.number, &alias)
		if v := byID[k]; v != nil {
			v.Aliases = append(v.Aliases, alias)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.each(ctx, "SELECT model, version, gate, verdict, result_id, at FROM registry_gate WHERE model", names, " ORDER BY at DESC", func(r *sql.Rows) error {
		var k versionKey
		var g GateOutcome
		var at int64
		err := r.Scan(&k.model, &k.number, &g.Gate, &g.Verdict, &g.ResultID, &at)
		g.At = clock.FromMicros(at)
		if v := byName[k]; v != nil {
			v.Gates = append(v.Gates, g)
		}
		return err
	})
}

// each runs a query that ends in "IN (ids)" in bounded pieces.
func (s *Service) each(ctx context.Context, query string, ids []string, tail string, fn func(*sql.Rows) error) error {
	for part := range slices.Chunk(ids, 500) {
		args := make([]any, len(part))
		for i, v := range part {
			args[i] = v
		}
		if err := s.eachOf(ctx, query+" IN (?"+strings.Repeat(", ?", len(part)-1)+")"+tail, args, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) eachOf(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	rows, err := s.d.DB.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// refuseServed is Precondition when an endpoint is known to serve that version; number 0 means any version of the model.
func refuseServed(tx *db.Tx, model string, number int64, verb string) error {
	rows, err := tx.Query("SELECT endpoint, versions FROM registry_served WHERE model = ? ORDER BY endpoint", model)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var endpoint, text string
		if err := rows.Scan(&endpoint, &text); err != nil {
			return err
		}
		var versions []string
		if err := json.Unmarshal([]byte(text), &versions); err != nil {
			return errs.E(errs.Internal, "registry.served", "what endpoint "+endpoint+" serves", err)
		}
		if number == 0 && len(versions) > 0 || number > 0 && slices.Contains(versions, formatNumber(number)) {
			what := "model " + strconv.Quote(model)
			if number > 0 {
				what = "version " + formatNumber(number) + " of " + what
			}
			return errs.E(errs.Precondition, "registry.served", what+" cannot be "+verb+": endpoint "+strconv.Quote(endpoint)+" serves it", nil).
				WithHint("move the endpoint to another version, or delete it, first")
		}
	}
	return rows.Err()
}

// putServed notes what an endpoint serves, unless something newer is known.
func putServed(tx *db.Tx, endpoint, model string, versions []string, seq int64) error {
	text, err := json.Marshal(versions)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO registry_served (endpoint, model, versions, seq) VALUES (?, ?, ?, ?) ON CONFLICT (endpoint) DO UPDATE
		SET model = excluded.model, versions = excluded.versions, seq = excluded.seq WHERE excluded.seq > registry_served.seq`,
		endpoint, model, string(text), seq)
	return err
}

// putGate notes the newest verdict of a gate about a version.
func putGate(tx *db.Tx, model string, number int64, g GateOutcome) error {
	at := clock.Micros(g.At)
	_, err := tx.Exec(`INSERT INTO registry_gate (model, version, gate, verdict, result_id, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (model, version, gate) DO UPDATE SET verdict = excluded.verdict, result_id = excluded.result_id, at = excluded.at
		WHERE excluded.at >= registry_gate.at`, model, number, g.Gate, g.Verdict, g.ResultID, at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
