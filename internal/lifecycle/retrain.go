package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// begin writes a retraining down; its job does the rest. Kinds: Conflict while one runs on the endpoint.
func (s *Service) begin(ctx context.Context, p Policy, a asked) (Retraining, error) {
	now := s.d.Clock.Now()
	p.Params = a.fill(p.Params, now)
	r := Retraining{ID: id.New(), Endpoint: a.endpoint, AlertID: a.alertID, State: Starting, Pipeline: p.Pipeline, Reason: clip(a.reason),
		StartedBy: actor.From(ctx).String(), StartedAt: now, policy: p}
	if !a.eventTime.IsZero() {
		r.EventTime = &a.eventTime
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		running, err := retrainings(tx.Query, "WHERE endpoint = ? AND ended_at = 0", a.endpoint)
		if err != nil {
			return err
		}
		if len(running) > 0 {
			return errs.E(errs.Conflict, "lifecycle.retrain", fmt.Sprintf("a retraining of %s is %s", a.endpoint, running[0].State), nil).WithHint("wait until it has ended")
		}
		if err := putRetraining(tx, r); err != nil {
			return err
		}
		if err := dropWait(tx, a.endpoint, ""); err != nil {
			return err
		}
		if err := s.tellRetraining(ctx, tx, "started", r); err != nil {
			return err
		}
		return s.wakeRetraining(tx, r.ID)
	})
	return r, err
}

// onRetrainingJob does what is next for a retraining, until it waits for an event or has ended.
func (s *Service) onRetrainingJob(ctx context.Context, j jobs.Job) error {
	var retrainingID string
	if err := json.Unmarshal(j.Payload, &retrainingID); err != nil {
		return errs.E(errs.Invalid, "lifecycle.retraining", "payload", err)
	}
	for {
		r, err := retrainingByID(s.read(ctx), retrainingID)
		if err != nil || r.State == Ended {
			return err
		}
		before := r.State
		err = s.advance(ctx, &r)
		switch kind := errs.KindOf(err); {
		case err == nil:
		case ctx.Err() != nil:
			return err
		case kind == errs.Invalid || kind == errs.NotFound || kind == errs.Precondition || kind == errs.Conflict:
			err = s.end(ctx, &r, OutcomeFailed, fmt.Sprintf("it could not go on while %s: %v", stateText(before), err))
		default:
			s.d.Log.Warn("a retraining cannot go on", "retraining", r.ID, "state", string(before), "error", err)
			return jobs.Again{After: retryEvery}
		}
		if err != nil {
			return err
		}
		if r.State == before { // it waits; events wake it, and now and then it looks by itself
			return jobs.Again{After: glance}
		}
	}
}

func stateText(st RetrainingState) string {
	switch st {
	case Starting:
		return "starting the pipeline"
	case Gating:
		return "checking the new version"
	case RollingOut:
		return "rolling out"
	}
	return string(st)
}

// advance does one step of a retraining; a state that stays the same means that it waits.
func (s *Service) advance(ctx context.Context, r *Retraining) error {
	switch r.State {
	case Starting:
		run, err := s.d.Pipelines.Start(ctx, r.policy.Pipeline, r.policy.Params, r.ID)
		if err != nil {
			return err
		}
		r.PipelineRunID, r.State = run.ID, Training
		return s.save(ctx, r)
	case Training:
		return s.trained(ctx, r)
	case Gating:
		return s.gate(ctx, r)
	case RollingOut:
		return s.rolledOut(ctx, r)
	}
	return nil
}

func (s *Service) save(ctx context.Context, r *Retraining) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return putRetraining(tx, *r) })
}

// trained takes what the pipeline made.
func (s *Service) trained(ctx context.Context, r *Retraining) error {
	run, err := s.d.Pipelines.Run(ctx, r.PipelineRunID)
	if err != nil {
		return err
	}
	switch run.State {
	case "succeeded":
	case "failed", "cancelled":
		reason := "the pipeline " + run.State
		if run.State == "cancelled" {
			reason = "the pipeline was cancelled"
		}
		if run.Error != "" {
			reason += ": " + run.Error
		}
		return s.end(ctx, r, OutcomePipelineFailed, reason)
	default:
		return nil
	}
	route, err := s.d.Routes.Route(ctx, r.Endpoint)
	if err != nil {
		return err
	}
	r.Model, r.Challenger = run.Outputs["model"], run.Outputs["version"]
	if r.Model == "" {
		r.Model = route.Model
	}
	switch {
	case r.Challenger == "":
		return s.end(ctx, r, OutcomeNoVersion, "the pipeline gave no output named version")
	case r.Model != route.Model:
		return s.end(ctx, r, OutcomeNoVersion, fmt.Sprintf("the pipeline made a version of %s, but the endpoint serves %s", r.Model, route.Model))
	case r.Challenger == championOf(route):
		return s.end(ctx, r, OutcomeNoVersion, fmt.Sprintf("version %s is the champion already", r.Challenger))
	}
	r.State = Gating
	return s.save(ctx, r)
}

// gate checks the new version, and starts its rollout if it passes.
func (s *Service) gate(ctx context.Context, r *Retraining) error {
	if len(r.policy.Gate) > 0 {
		g, err := s.gateOutcome(ctx, r)
		if err != nil || g.Verdict == "pending" {
			return err
		}
		if g.Verdict != "pass" {
			return s.end(ctx, r, OutcomeGateFailed, fmt.Sprintf("version %s did not pass the gate (%s): %s", r.Challenger, g.Verdict, g.Reason))
		}
	}
	mine, err := rollouts(s.read(ctx), "WHERE retraining_id = ?", r.ID)
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		ro, err := s.StartRollout(ctx, NewRollout{Endpoint: r.Endpoint, Version: r.Challenger, RetrainingID: r.ID, Spec: r.policy.Rollout,
			Reason: clip("retraining: " + r.Reason)})
		if k := errs.KindOf(err); err != nil && (k == errs.Conflict || k == errs.Precondition || k == errs.Invalid || k == errs.NotFound) {
			return s.end(ctx, r, OutcomeRefused, "the rollout could not start: "+err.Error())
		}
		if err != nil {
			return err
		}
		mine = []Rollout{ro}
	}
	r.RolloutID, r.State = mine[0].ID, RollingOut
	return s.save(ctx, r)
}

// gateOutcome asks the gate once, and for the outcome after that.
func (s *Service) gateOutcome(ctx context.Context, r *Retraining) (GateOutcome, error) {
	if r.GateResultID != "" {
		return s.d.Gates.Result(ctx, r.GateResultID)
	}
	g, err := s.d.Gates.Check(ctx, r.policy.Gate, r.Model, r.Challenger)
	if err != nil {
		return g, err
	}
	r.GateResultID = g.ResultID
	return g, s.save(ctx, r)
}

func (s *Service) rolledOut(ctx context.Context, r *Retraining) error {
	ro, err := rolloutByID(s.read(ctx), r.RolloutID)
	if err != nil || !ro.State.Ended() {
		return err
	}
	return s.end(ctx, r, Outcome(ro.State), ro.Reason)
}

// glance is how often a waiting retraining looks by itself, should an event not have come.
const glance = 20 * time.Second

// leastPause is the event time between a retraining and the next for the same alert when the policy has no cool-down.
const leastPause = time.Hour

// end closes a retraining with how and why. An alert that is still open then is looked at again after the cool-down.
func (s *Service) end(ctx context.Context, r *Retraining, o Outcome, reason string) error {
	open := false
	if r.AlertID != "" {
		resolved, err := s.d.Events.List(ctx, events.Filter{TypePrefix: "alert.resolved", Resource: events.Resource{Kind: "alert", ID: r.AlertID}, Limit: 1})
		if err != nil {
			return err
		}
		open = len(resolved) == 0
	}
	now := s.d.Clock.Now()
	r.State, r.Outcome, r.Reason, r.EndedAt = Ended, o, clip(reason), &now
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := putRetraining(tx, *r); err != nil {
			return err
		}
		if open && r.EventTime != nil {
			if err := addWait(tx, r.Endpoint, wait{r.AlertID, r.EventTime.Add(max(r.policy.cooldown(), leastPause))}); err != nil {
				return err
			}
		}
		return s.tellRetraining(ctx, tx, "ended", *r)
	})
	if err == nil {
		s.m.retrainings.WithLabelValues(string(o)).Inc()
	}
	return err
}

func (s *Service) tellRetraining(ctx context.Context, tx *db.Tx, what string, r Retraining) error {
	return s.d.Events.Append(ctx, tx, "lifecycle.retraining."+what, events.Resource{Kind: "retraining", ID: r.ID}, map[string]any{
		"retraining_id": r.ID, "endpoint": r.Endpoint, "alert_id": r.AlertID, "pipeline": r.Pipeline, "pipeline_run_id": r.PipelineRunID, "model": r.Model,
		"challenger": r.Challenger, "gate_result_id": r.GateResultID, "rollout_id": r.RolloutID, "outcome": r.Outcome, "reason": r.Reason, "event_time": r.EventTime,
	})
}
