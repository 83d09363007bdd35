package lifecycle

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

// reader reads from the pool or inside a transaction.
type reader func(query string, args ...any) (*sql.Rows, error)

func (s *Service) read(ctx context.Context) reader {
	return func(query string, args ...any) (*sql.Rows, error) { return s.d.DB.Query(ctx, query, args...) }
}

func micros(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return clock.Micros(*t)
}

func moment(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := clock.FromMicros(us)
	return &t
}

const rolloutColumns = `id, endpoint, model, version, champion, spec, generation, observed_generation, state, decision, status, reason, retraining_id,
	started_by, started_at, ended_at`

// status is the JSON of what came of a rollout.
type status struct {
	Steps      []Step      `json:"steps"`
	Conditions []Condition `json:"conditions"`
}

func scanRollout(row db.Scanner) (Rollout, error) {
	var r Rollout
	var spec, st string
	var started, ended int64
	err := row.Scan(&r.ID, &r.Endpoint, &r.Model, &r.Version, &r.Champion, &spec, &r.Generation, &r.ObservedGeneration, &r.State, &r.decision, &st, &r.Reason,
		&r.RetrainingID, &r.StartedBy, &started, &ended)
	if err != nil {
		return r, err
	}
	r.StartedAt, r.EndedAt = clock.FromMicros(started), moment(ended)
	var s status
	if err := errors.Join(json.Unmarshal([]byte(spec), &r.Spec), json.Unmarshal([]byte(st), &s)); err != nil {
		return r, err
	}
	r.Steps, r.Conditions = s.Steps, s.Conditions
	return r, nil
}

func putRollout(tx *db.Tx, r Rollout) error {
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return err
	}
	st, err := json.Marshal(status{r.Steps, r.Conditions})
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO rollout ("+rolloutColumns+") VALUES ("+db.Placeholders(16)+`) ON CONFLICT (id) DO UPDATE SET
		generation = excluded.generation, observed_generation = excluded.observed_generation, state = excluded.state, decision = excluded.decision,
		status = excluded.status, reason = excluded.reason, ended_at = excluded.ended_at`,
		r.ID, r.Endpoint, r.Model, r.Version, r.Champion, string(spec), r.Generation, r.ObservedGeneration, string(r.State), string(r.decision), string(st), r.Reason,
		r.RetrainingID, r.StartedBy, clock.Micros(r.StartedAt), micros(r.EndedAt))
	return err
}

func rollouts(read reader, where string, args ...any) ([]Rollout, error) {
	rows, err := read("SELECT "+rolloutColumns+" FROM rollout "+where, args...)
	return db.All(rows, err, scanRollout)
}

func rolloutByID(read reader, id string) (Rollout, error) {
	rs, err := rollouts(read, "WHERE id = ?", id)
	if err == nil && len(rs) == 0 {
		return Rollout{}, errs.NotFoundf("lifecycle.rollout", "no rollout %s", id).WithHint("list them with GET /api/v1/rollouts")
	}
	if err != nil {
		return Rollout{}, err
	}
	return rs[0], nil
}

const retrainingColumns = `id, endpoint, alert_id, policy, state, model, pipeline_run_id, challenger, gate_result_id, rollout_id, outcome, reason, event_time,
	started_by, started_at, ended_at`

func scanRetraining(row db.Scanner) (Retraining, error) {
	var r Retraining
	var policy string
	var eventTime, started, ended int64
	err := row.Scan(&r.ID, &r.Endpoint, &r.AlertID, &policy, &r.State, &r.Model, &r.PipelineRunID, &r.Challenger, &r.GateResultID, &r.RolloutID, &r.Outcome, &r.Reason,
		&eventTime, &r.StartedBy, &started, &ended)
	if err != nil {
		return r, err
	}
	r.EventTime, r.StartedAt, r.EndedAt = moment(eventTime), clock.FromMicros(started), moment(ended)
	err = json.Unmarshal([]byte(policy), &r.policy)
	r.Pipeline = r.policy.Pipeline
	return r, err
}

func putRetraining(tx *db.Tx, r Retraining) error {
	policy, err := json.Marshal(r.policy)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO retraining ("+retrainingColumns+") VALUES ("+db.Placeholders(16)+`) ON CONFLICT (id) DO UPDATE SET
		state = excluded.state, model = excluded.model, pipeline_run_id = excluded.pipeline_run_id, challenger = excluded.challenger,
		gate_result_id = excluded.gate_result_id, rollout_id = excluded.rollout_id, outcome = excluded.outcome, reason = excluded.reason, ended_at = excluded.ended_at`,
		r.ID, r.Endpoint, r.AlertID, string(policy), string(r.State), r.Model, r.PipelineRunID, r.Challenger, r.GateResultID, r.RolloutID, string(r.Outcome), r.Reason,
		micros(r.EventTime), r.StartedBy, clock.Micros(r.StartedAt), micros(r.EndedAt))
	return err
}

func retrainings(read reader, where string, args ...any) ([]Retraining, error) {
	rows, err := read("SELECT "+retrainingColumns+" FROM retraining "+where, args...)
	return db.All(rows, err, scanRetraining)
}

func retrainingByID(read reader, id string) (Retraining, error) {
	rs, err := retrainings(read, "WHERE id = ?", id)
	if err == nil && len(rs) == 0 {
		return Retraining{}, errs.NotFoundf("lifecycle.retraining", "no retraining %s", id).WithHint("list them with GET /api/v1/retrainings")
	}
	if err != nil {
		return Retraining{}, err
	}
	return rs[0], nil
}

// lastAsked is the event time of an endpoint's newest retraining that had one.
func lastAsked(read reader, endpoint string) (time.Time, error) {
	rs, err := retrainings(read, "WHERE endpoint = ? AND event_time > 0 ORDER BY event_time DESC LIMIT 1", endpoint)
	if err != nil || len(rs) == 0 {
		return time.Time{}, err
	}
	return *rs[0].EventTime, nil
}

func putPolicy(tx *db.Tx, endpoint string, p Policy) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO lifecycle_policy (endpoint, policy, updated_at, updated_by) VALUES (?, ?, ?, ?)
		ON CONFLICT (endpoint) DO UPDATE SET policy = excluded.policy, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
		endpoint, string(b), clock.Micros(p.UpdatedAt), p.UpdatedBy)
	return err
}

func (s *Service) policy(ctx context.Context, endpoint string) (Policy, error) {
	var p Policy
	var text string
	err := s.d.DB.QueryRow(ctx, "SELECT policy FROM lifecycle_policy WHERE endpoint = ?", endpoint).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return p, errs.NotFoundf("lifecycle.policy", "endpoint %q has no lifecycle policy", endpoint).
			WithHint("set one with PUT /api/v1/lifecycle/policies/%s", endpoint)
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(text), &p)
}

// wait is an alert that is looked at again once event time reaches due.
type wait struct {
	alertID string
	due     time.Time
}

func putWait(tx *db.Tx, endpoint string, w wait) error {
	_, err := tx.Exec(`INSERT INTO retraining_wait (endpoint, alert_id, due) VALUES (?, ?, ?)
		ON CONFLICT (endpoint) DO UPDATE SET alert_id = excluded.alert_id, due = excluded.due`, endpoint, w.alertID, clock.Micros(w.due))
	return err
}

// addWait is putWait, unless another alert waits already.
func addWait(tx *db.Tx, endpoint string, w wait) error {
	_, err := tx.Exec("INSERT INTO retraining_wait (endpoint, alert_id, due) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", endpoint, w.alertID, clock.Micros(w.due))
	return err
}

func dropWait(tx *db.Tx, endpoint, alertID string) error {
	_, err := tx.Exec("DELETE FROM retraining_wait WHERE endpoint = ? AND (? = '' OR alert_id = ?)", endpoint, alertID, alertID)
	return err
}

func (s *Service) waiting(ctx context.Context, endpoint string) (*wait, error) {
	var w wait
	var due int64
	err := s.d.DB.QueryRow(ctx, "SELECT alert_id, due FROM retraining_wait WHERE endpoint = ?", endpoint).Scan(&w.alertID, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	w.due = clock.FromMicros(due)
	return &w, err
}
