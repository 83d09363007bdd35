package evaluation

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

const columns = `id, gate, model, version, dataset, dataset_version, verdict, note, rules_json, metrics_json, request_json, row_count, seconds,
	alias_on_pass, alias_done, created_at, created_by`

// bodies are the parts of a result that are kept as JSON.
func bodies(r Result) (rules, metrics string, err error) {
	b, err := json.Marshal(r.Rules)
	if err != nil {
		return "", "", errs.E(errs.Internal, "evaluation.store", "the rules", err)
	}
	m, err := json.Marshal(r.Metrics)
	if err != nil {
		return "", "", errs.E(errs.Internal, "evaluation.store", "the metrics", err)
	}
	return string(b), string(m), nil
}

func insertResult(tx *db.Tx, r Result, req CheckRequest) error {
	rules, metrics, err := bodies(r)
	if err != nil {
		return err
	}
	request, err := json.Marshal(req)
	if err != nil {
		return errs.E(errs.Internal, "evaluation.store", "the request", err)
	}
	_, err = tx.Exec("INSERT INTO evaluation_result ("+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.ID, r.Gate, r.Model, r.Version, r.Dataset, r.DatasetVersion, string(r.Verdict), r.Note, rules, metrics, string(request), r.Rows, r.Seconds,
		r.AliasOnPass, r.AliasSet, clock.Micros(r.CreatedAt), r.CreatedBy)
	return err
}

// finalizeResult writes the outcome of a pending result; changed is false when it was final already.
func finalizeResult(tx *db.Tx, r Result) (changed bool, err error) {
	rules, metrics, err := bodies(r)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec("UPDATE evaluation_result SET verdict = ?, note = ?, rules_json = ?, metrics_json = ?, row_count = ?, seconds = ? WHERE id = ? AND verdict = ?",
		string(r.Verdict), r.Note, rules, metrics, r.Rows, r.Seconds, r.ID, string(Pending))
	return n > 0, err
}

func markAliasSet(tx *db.Tx, resultID string) error {
	_, err := tx.Exec("UPDATE evaluation_result SET alias_done = ? WHERE id = ?", true, resultID)
	return err
}

func scan(row interface{ Scan(...any) error }) (Result, CheckRequest, error) {
	var r Result
	var req CheckRequest
	var verdict, rules, metrics, request string
	var created int64
	err := row.Scan(&r.ID, &r.Gate, &r.Model, &r.Version, &r.Dataset, &r.DatasetVersion, &verdict, &r.Note, &rules, &metrics, &request, &r.Rows, &r.Seconds,
		&r.AliasOnPass, &r.AliasSet, &created, &r.CreatedBy)
	if err != nil {
		return r, req, err
	}
	r.Verdict, r.CreatedAt = Verdict(verdict), clock.FromMicros(created)
	err = errors.Join(json.Unmarshal([]byte(rules), &r.Rules), json.Unmarshal([]byte(metrics), &r.Metrics), json.Unmarshal([]byte(request), &req))
	if err != nil {
		return r, req, errs.E(errs.Internal, "evaluation.store", "the stored result "+r.ID, err)
	}
	r.Best = bestEnds(r)
	return r, req, nil
}

func (s *Service) load(ctx context.Context, resultID string) (Result, CheckRequest, error) {
	r, req, err := scan(s.d.DB.QueryRow(ctx, "SELECT "+columns+" FROM evaluation_result WHERE id = ?", resultID))
	if errors.Is(err, sql.ErrNoRows) {
		return r, req, errs.NotFoundf("evaluation.result", "there is no gate result %.80q", resultID)
	}
	return r, req, err
}

// Result finds one result.
func (s *Service) Result(ctx context.Context, resultID string) (Result, error) {
	r, _, err := s.load(ctx, resultID)
	return r, err
}

// Results gives one page of results, newest first, and the token of the next page ("" at the end). Empty model and version mean all.
func (s *Service) Results(ctx context.Context, model, version string, size int, token string) ([]Result, string, error) {
	var before struct{ ID string }
	if err := page.Decode(token, &before); err != nil {
		return nil, "", err
	}
	limit := page.Limit(size, 50, 500)
	rows, err := s.d.DB.Query(ctx, "SELECT "+columns+` FROM evaluation_result WHERE (? = '' OR model = ?) AND (? = '' OR version = ?) AND (? = '' OR id < ?)
		ORDER BY id DESC LIMIT ?`, model, model, version, version, before.ID, before.ID, limit+1)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	out := []Result{}
	for rows.Next() {
		r, _, err := scan(rows)
		if err != nil {
			return nil, "", err
		}
		out = append(out, r)
	}
	next := ""
	if len(out) > limit {
		out = out[:limit]
		next = page.Encode(struct{ ID string }{out[limit-1].ID})
	}
	return out, next, rows.Err()
}
