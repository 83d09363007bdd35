package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// Subscribe registers what lifecycle hears and its jobs.
func (s *Service) Subscribe() {
	listen := func(name string, h func(context.Context, events.Event) error, types ...string) {
		s.d.Events.Listen(events.Listener{Name: "lifecycle." + name, Types: types, Handle: h})
	}
	listen("alert", s.onAlert, "alert.opened", "alert.resolved")
	listen("window", s.onWindow, "monitor.window.closed")
	listen("pipeline", s.onPipeline, "pipeline.run.ended", "evaluation.gate.*")
	listen("traffic", s.onTraffic, "routing.route.changed", "serving.endpoint.deleted")
	listen("load", s.onLoadFailed, "serving.version.failed")
	s.d.Jobs.Handle(jobRollout, s.onRolloutJob, jobs.Options{Timeout: time.Minute})
	s.d.Jobs.Handle(jobRetraining, s.onRetrainingJob, jobs.Options{Timeout: 30 * time.Minute}) // a gate may take its time
}

type alertTold struct {
	AlertID   string    `json:"alert_id"`
	Endpoint  string    `json:"endpoint"`
	Kind      string    `json:"kind"`
	Title     string    `json:"title"`
	Reason    string    `json:"reason"`
	EventTime time.Time `json:"event_time"`
}

func (s *Service) onAlert(ctx context.Context, e events.Event) error {
	var d alertTold
	if err := e.Decode(&d); err != nil || d.Endpoint == "" {
		return err
	}
	if e.Type == "alert.resolved" {
		return s.d.DB.Write(ctx, func(tx *db.Tx) error { return dropWait(tx, d.Endpoint, d.AlertID) })
	}
	if d.EventTime.IsZero() {
		d.EventTime = e.At
	}
	had, err := retrainings(s.read(ctx), "WHERE alert_id = ?", d.AlertID)
	if err != nil || len(had) > 0 { // heard twice
		return err
	}
	return s.consider(ctx, d, d.EventTime)
}

// consider starts the retraining that an alert asks for, unless the policy does not hear it. While another runs, or the cool-down in
// event time lasts, the alert waits: windows that close later bring it up again. now is the present in event time.
func (s *Service) consider(ctx context.Context, d alertTold, now time.Time) error {
	p, err := s.policy(ctx, d.Endpoint)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil || !p.hears(d.Kind) {
		return err
	}
	last, err := lastAsked(s.read(ctx), d.Endpoint)
	if err != nil {
		return err
	}
	if due := last.Add(p.cooldown()); !last.IsZero() && now.Before(due) {
		return s.d.DB.Write(ctx, func(tx *db.Tx) error { return putWait(tx, d.Endpoint, wait{d.AlertID, due}) })
	}
	reason := d.Title
	if d.Reason != "" {
		reason += ": " + d.Reason
	}
	_, err = s.begin(ctx, p, asked{endpoint: d.Endpoint, alertID: d.AlertID, kind: d.Kind, reason: reason, eventTime: now})
	if errs.Is(err, errs.Conflict) {
		return s.d.DB.Write(ctx, func(tx *db.Tx) error { return putWait(tx, d.Endpoint, wait{d.AlertID, now}) })
	}
	return err
}

// onWindow lets the endpoint's rollout look at what is new, and brings up an alert that had to wait, once event time has come so far.
func (s *Service) onWindow(ctx context.Context, e events.Event) error {
	if err := s.onTraffic(ctx, e); err != nil {
		return err
	}
	var d struct {
		Endpoint  string    `json:"endpoint"`
		EventTime time.Time `json:"event_time"`
		To        time.Time `json:"to"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	now := d.EventTime
	if now.IsZero() {
		now = d.To
	}
	w, err := s.waiting(ctx, d.Endpoint)
	if err != nil || w == nil || now.Before(w.due) {
		return err
	}
	opened, err := s.alertOpened(ctx, w.alertID)
	if err != nil || opened == nil {
		return err
	}
	return s.consider(ctx, *opened, now)
}

// alertOpened finds the event that opened an alert.
func (s *Service) alertOpened(ctx context.Context, alertID string) (*alertTold, error) {
	es, err := s.d.Events.List(ctx, events.Filter{TypePrefix: "alert.opened", Resource: events.Resource{Kind: "alert", ID: alertID}, Limit: 1})
	if err != nil || len(es) == 0 {
		return nil, err
	}
	var d alertTold
	return &d, es[0].Decode(&d)
}

// onPipeline lets a retraining look at the run, or the gate, that it waits for.
func (s *Service) onPipeline(ctx context.Context, e events.Event) error {
	var d struct {
		RunID    string `json:"run_id"`
		ResultID string `json:"result_id"`
	}
	if err := e.Decode(&d); err != nil {
		return err
	}
	rs, err := retrainings(s.read(ctx), "WHERE ended_at = 0 AND ((pipeline_run_id <> '' AND pipeline_run_id = ?) OR (gate_result_id <> '' AND gate_result_id = ?))", d.RunID, d.ResultID)
	if err != nil || len(rs) == 0 {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return s.wakeRetraining(tx, rs[0].ID) })
}

// onTraffic lets the rollout of an endpoint look at its traffic now.
func (s *Service) onTraffic(ctx context.Context, e events.Event) error {
	r, err := s.unfinished(ctx, e)
	if err != nil || r == nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return s.wakeRollout(tx, r.ID) })
}

// onLoadFailed rolls back the rollout of a version that cannot be loaded.
func (s *Service) onLoadFailed(ctx context.Context, e events.Event) error {
	r, err := s.unfinished(ctx, e)
	if err != nil || r == nil {
		return err
	}
	var d struct {
		Version string `json:"version"`
		Error   string `json:"error"`
	}
	if err := e.Decode(&d); err != nil || d.Version != r.Version {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		cur, err := rolloutByID(tx.Query, r.ID)
		if err != nil || cur.State.Ended() || cur.decision != "" {
			return err
		}
		cur.decision, cur.Reason = decideRollBack, clip(fmt.Sprintf("version %s could not be loaded: %s", d.Version, d.Error))
		if i := cur.current(); i < len(cur.Steps) {
			now := s.d.Clock.Now()
			cur.Steps[i].State, cur.Steps[i].EndedAt, cur.Steps[i].Verdict = StepFailed, &now, Fail
		}
		if err := putRollout(tx, cur); err != nil {
			return err
		}
		return s.wakeRollout(tx, r.ID)
	})
}

func (s *Service) unfinished(ctx context.Context, e events.Event) (*Rollout, error) {
	var d struct {
		Endpoint string `json:"endpoint"`
	}
	if err := e.Decode(&d); err != nil {
		return nil, err
	}
	rs, err := rollouts(s.read(ctx), "WHERE endpoint = ? AND ended_at = 0", d.Endpoint)
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	return &rs[0], nil
}
