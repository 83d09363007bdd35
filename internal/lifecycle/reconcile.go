package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// retryEvery is how soon it is tried again after something did not answer.
const retryEvery = 10 * time.Second

// lookAfter is how soon a step is looked at again: often while it is young, seldom when it waits for days.
func lookAfter(r Rollout, now time.Time) time.Duration {
	i := r.current()
	if i == len(r.Steps) || r.Steps[i].StartedAt == nil {
		return 0
	}
	return min(max(now.Sub(*r.Steps[i].StartedAt)/50, 100*time.Millisecond), 30*time.Second)
}

// onRolloutJob reconciles a rollout. What cannot be mended by trying again halts it, with the reason, for somebody to decide; anything
// else is tried again until it works.
func (s *Service) onRolloutJob(ctx context.Context, j jobs.Job) error {
	var rolloutID string
	if err := json.Unmarshal(j.Payload, &rolloutID); err != nil {
		return errs.E(errs.Invalid, "lifecycle.rollout", "payload", err)
	}
	more, err := s.reconcile(ctx, rolloutID)
	switch {
	case err == nil && more:
		r, err := rolloutByID(s.read(ctx), rolloutID)
		if err != nil {
			return err
		}
		return jobs.Again{After: lookAfter(r, s.d.Clock.Now())}
	case err == nil || ctx.Err() != nil:
		return err
	}
	s.d.Log.Warn("a rollout cannot go on", "rollout", rolloutID, "error", err)
	if e := s.stuck(ctx, rolloutID, err); e != nil {
		return e
	}
	return jobs.Again{After: retryEvery}
}

// stuck notes why a rollout does not go on. A running one whose trouble is not passing is halted.
func (s *Service) stuck(ctx context.Context, rolloutID string, cause error) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := rolloutByID(tx.Query, rolloutID)
		if err != nil || r.State.Ended() {
			return err
		}
		r.condition(s.d.Clock.Now(), "Reconciled", false, clip(cause.Error()))
		kind := errs.KindOf(cause)
		lasting := kind == errs.Invalid || kind == errs.NotFound || kind == errs.Precondition
		if lasting && (r.decision == decidePromote || (r.State == Running && r.decision == "")) {
			r.State, r.decision, r.Reason = Halted, "", clip("it cannot go on: "+cause.Error())
			if err := s.tellRollout(ctx, tx, "halted", r, nil); err != nil {
				return err
			}
		}
		return putRollout(tx, r)
	})
}

// reconcile does what is next for a rollout, and says whether to look again. Every action on another domain is idempotent and follows
// from what is written down, so this can stop and start anywhere.
func (s *Service) reconcile(ctx context.Context, rolloutID string) (more bool, err error) {
	r, err := rolloutByID(s.read(ctx), rolloutID)
	if err != nil || r.State.Ended() {
		return false, err
	}
	if r.decision != "" {
		return false, s.carryOut(ctx, r)
	}
	if r.State == Halted {
		return false, s.observe(ctx, r)
	}
	i := r.current()
	if i == len(r.Steps) {
		return true, s.decide(ctx, r, decidePromote, "every step passed", nil)
	}
	route, err := s.d.Routes.Route(ctx, r.Endpoint)
	if errs.Is(err, errs.NotFound) {
		return true, s.decide(ctx, r, decideLeave, "the endpoint was deleted", nil)
	}
	if err != nil {
		return false, err
	}
	if changed := s.changedByHand(r, i, route); changed != "" {
		return true, s.decide(ctx, r, decideLeave, changed, nil)
	}
	if r.Steps[i].State == StepWaiting {
		return true, s.beginStep(ctx, r, i, route)
	}
	return true, s.judgeStep(ctx, r, i)
}

// changedByHand says what somebody else did to the traffic, or nothing. Before a step begins the traffic of the step before, or already
// that of the step (a restart came between), is in order.
func (s *Service) changedByHand(r Rollout, i int, route Route) string {
	allowed := [][]Target{r.targets(r.Steps[i].Weight)}
	if r.Steps[i].State == StepWaiting {
		if i == 0 {
			allowed = append(allowed, only(r.Champion))
		} else {
			allowed = append(allowed, r.targets(r.Steps[i-1].Weight))
		}
	}
	for _, a := range allowed {
		if same(a, route.Targets) {
			return ""
		}
	}
	return "the traffic was changed by hand to " + describe(route.Targets) + "; it stays so"
}

func only(version string) []Target { return []Target{{version, 100, "champion"}} }

func same(a, b []Target) bool {
	order := func(x, y Target) int { return strings.Compare(x.Version, y.Version) }
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, order)
	slices.SortFunc(b, order)
	return slices.Equal(a, b)
}

func describe(ts []Target) string {
	parts := []string{}
	for _, t := range ts {
		parts = append(parts, fmt.Sprintf("version %s %d %%", t.Version, t.Weight))
	}
	return strings.Join(parts, ", ")
}

func (s *Service) beginStep(ctx context.Context, r Rollout, i int, route Route) error {
	want := r.targets(r.Steps[i].Weight)
	if !same(want, route.Targets) {
		reason := fmt.Sprintf("rollout of version %s, step %d of %d: %d %%", r.Version, i+1, len(r.Steps), r.Steps[i].Weight)
		if err := s.d.Routes.SetTargets(ctx, r.Endpoint, want, reason); err != nil {
			return err
		}
	}
	return s.update(ctx, r.ID, func(_ *db.Tx, cur *Rollout) error {
		if cur.current() != i || cur.Steps[i].State != StepWaiting {
			return nil
		}
		now := s.d.Clock.Now()
		cur.Steps[i].State, cur.Steps[i].StartedAt = StepRunning, &now
		cur.condition(now, "Progressing", true, fmt.Sprintf("step %d of %d: %d %% of the traffic", i+1, len(cur.Steps), cur.Steps[i].Weight))
		cur.condition(now, "Reconciled", true, "")
		return nil
	})
}

// update changes a rollout that is running without a decision; it writes only what differs.
func (s *Service) update(ctx context.Context, rolloutID string, change func(tx *db.Tx, r *Rollout) error) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := rolloutByID(tx.Query, rolloutID)
		if err != nil {
			return err
		}
		if r.State != Running || r.decision != "" { // somebody decided meanwhile
			return nil
		}
		before, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := change(tx, &r); err != nil {
			return err
		}
		r.ObservedGeneration = r.Generation
		after, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) && r.decision == "" {
			return nil
		}
		return putRollout(tx, r)
	})
}

func (s *Service) observe(ctx context.Context, r Rollout) error {
	if r.ObservedGeneration == r.Generation {
		return nil
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := rolloutByID(tx.Query, r.ID)
		if err != nil {
			return err
		}
		r.ObservedGeneration = r.Generation
		return putRollout(tx, r)
	})
}

func (s *Service) judgeStep(ctx context.Context, r Rollout, i int) error {
	st := r.Steps[i]
	step, err := s.d.Evidence.Compare(ctx, r.Endpoint, r.Champion, r.Version, *st.StartedAt)
	if err != nil {
		return err
	}
	whole := step
	if i > 0 && r.Spec.Checks.MaxMetricIncrease != nil {
		if whole, err = s.d.Evidence.Compare(ctx, r.Endpoint, r.Champion, r.Version, *r.Steps[0].StartedAt); err != nil {
			return err
		}
	}
	look := 0
	if n := min(step.Challenger.Count, step.Champion.Count); nextLook(st.Looks, st.LooksAt, n) {
		st.Looks, st.LooksAt = st.Looks+1, n
		look = st.Looks
	}
	checks, verdict, err := judge(evidence{checks: r.Spec.Checks, minSamples: r.Spec.MinSamples, minLabelled: r.Spec.MinLabelled, step: step, whole: whole, look: look})
	if err != nil {
		return errs.E(errs.Internal, "lifecycle.judge", "the evidence cannot be judged", err)
	}
	now := s.d.Clock.Now()
	st.Checks, st.Verdict, st.Samples, st.Labelled = checks, verdict, step.Paired, whole.Labelled
	switch verdict {
	case Fail:
		st.State, st.EndedAt = StepFailed, &now
		return s.decide(ctx, r, decideRollBack, failing(checks), &st)
	case OK:
		st.State, st.EndedAt = StepPassed, &now
		return s.endStep(ctx, r, i, st, "the step passed")
	}
	if reason := giveUp(r.Spec, st, now); reason != "" {
		st.State, st.EndedAt = StepInconclusive, &now
		if r.Spec.OnInconclusive == RollBack {
			return s.decide(ctx, r, decideRollBack, reason, &st)
		}
		return s.hold(ctx, r, i, st, reason)
	}
	return s.update(ctx, r.ID, func(_ *db.Tx, cur *Rollout) error {
		if cur.current() == i && cur.Steps[i].State == StepRunning {
			cur.Steps[i] = st
			cur.condition(now, "Progressing", true, fmt.Sprintf("step %d of %d: %s", i+1, len(cur.Steps), waitingFor(r.Spec, st)))
		}
		return nil
	})
}

// failing is the sentence of the checks that failed.
func failing(checks []Check) string {
	var parts []string
	for _, c := range checks {
		if c.Verdict == Fail {
			parts = append(parts, strings.ReplaceAll(c.Name, "_", " ")+": "+c.Note)
		}
	}
	return strings.Join(parts, "; ")
}

func waitingFor(spec Spec, st Step) string {
	if st.Samples < spec.MinSamples {
		return fmt.Sprintf("%d of %d rows", st.Samples, spec.MinSamples)
	}
	for _, c := range st.Checks {
		if c.Verdict != OK {
			return c.Name + ": " + c.Note
		}
	}
	return "judged"
}

// giveUp says why a step has waited long enough, or nothing.
func giveUp(spec Spec, st Step, now time.Time) string {
	if limit := time.Duration(spec.MaxWaitMinutes) * time.Minute; limit > 0 && now.Sub(*st.StartedAt) >= limit {
		return fmt.Sprintf("no verdict after %d minutes: %s", spec.MaxWaitMinutes, waitingFor(spec, st))
	}
	if st.Verdict == Inconclusive && st.Samples >= spec.MaxSamples {
		return fmt.Sprintf("no verdict after %d rows: %s", st.Samples, waitingFor(spec, st))
	}
	return ""
}

// endStep notes that a step passed; the next one begins at the next look.
func (s *Service) endStep(ctx context.Context, r Rollout, i int, st Step, reason string) error {
	return s.update(ctx, r.ID, func(tx *db.Tx, cur *Rollout) error {
		if cur.current() != i || cur.Steps[i].State != StepRunning {
			return nil
		}
		cur.Steps[i] = st
		return s.tellStep(ctx, tx, *cur, st, reason)
	})
}

// hold stops without changing the traffic, for somebody to decide.
func (s *Service) hold(ctx context.Context, r Rollout, i int, st Step, reason string) error {
	return s.update(ctx, r.ID, func(tx *db.Tx, cur *Rollout) error {
		if cur.current() != i {
			return nil
		}
		cur.Steps[i], cur.State, cur.Reason = st, Halted, clip(reason)
		cur.condition(s.d.Clock.Now(), "Progressing", false, clip(reason))
		if err := s.tellStep(ctx, tx, *cur, st, reason); err != nil {
			return err
		}
		return s.tellRollout(ctx, tx, "halted", *cur, &st)
	})
}

// decide writes down how the rollout ends, and then carries it out.
func (s *Service) decide(ctx context.Context, r Rollout, d decision, reason string, judged *Step) error {
	err := s.update(ctx, r.ID, func(tx *db.Tx, cur *Rollout) error {
		cur.decision, cur.Reason = d, clip(reason)
		if judged == nil {
			return nil
		}
		cur.Steps[cur.current()] = *judged
		return s.tellStep(ctx, tx, *cur, *judged, reason)
	})
	if err != nil {
		return err
	}
	r, err = rolloutByID(s.read(ctx), r.ID)
	if err != nil || r.State.Ended() || r.decision == "" {
		return err
	}
	return s.carryOut(ctx, r)
}

// carryOut ends a rollout as it was decided. Each part may be done twice.
func (s *Service) carryOut(ctx context.Context, r Rollout) error {
	state := map[decision]RolloutState{decidePromote: Promoted, decideRollBack: RolledBack, decideAbort: Aborted, decideLeave: Aborted}[r.decision]
	var err error
	switch r.decision {
	case decidePromote:
		reason := fmt.Sprintf("rollout %s of version %s: %s", r.ID, r.Version, r.Reason)
		if err = s.d.Routes.SetTargets(ctx, r.Endpoint, only(r.Version), clip(reason)); err == nil {
			err = s.d.Models.SetAlias(ctx, r.Model, "champion", r.Version, clip(reason))
		}
	case decideRollBack, decideAbort:
		what := map[decision]string{decideRollBack: "rolled back", decideAbort: "aborted"}[r.decision]
		err = s.d.Routes.SetTargets(ctx, r.Endpoint, only(r.Champion), clip(fmt.Sprintf("rollout of version %s %s: %s", r.Version, what, r.Reason)))
	}
	if errs.Is(err, errs.NotFound) && r.decision != decidePromote {
		err = nil // the endpoint is gone: there is no traffic to give back
	}
	if err != nil {
		return err
	}
	ended := false
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		ended = false
		cur, err := rolloutByID(tx.Query, r.ID)
		if err != nil || cur.State.Ended() {
			return err
		}
		now := s.d.Clock.Now()
		ended = true
		cur.State, cur.EndedAt, cur.ObservedGeneration = state, &now, cur.Generation
		cur.condition(now, "Progressing", false, string(state))
		cur.condition(now, "Reconciled", true, "")
		if err := putRollout(tx, cur); err != nil {
			return err
		}
		if err := s.tellRollout(ctx, tx, string(state), cur, nil); err != nil {
			return err
		}
		if cur.RetrainingID == "" {
			return nil
		}
		return s.wakeRetraining(tx, cur.RetrainingID)
	})
	if err == nil && ended {
		s.m.rollouts.WithLabelValues(string(state)).Inc()
	}
	return err
}

// rolloutTold is the data of lifecycle.rollout.* events.
type rolloutTold struct {
	RolloutID    string  `json:"rollout_id"`
	Endpoint     string  `json:"endpoint"`
	Model        string  `json:"model"`
	Version      string  `json:"version"`
	Champion     string  `json:"champion"`
	RetrainingID string  `json:"retraining_id,omitempty"`
	Step         int     `json:"step"` // from 1; 0: none yet
	Steps        []int   `json:"steps"`
	Weight       int     `json:"weight"`
	Samples      int64   `json:"samples"`
	Labelled     int64   `json:"labelled"`
	Verdict      Verdict `json:"verdict,omitempty"`
	Checks       []Check `json:"checks,omitempty"`
	Reason       string  `json:"reason"`
}

func (s *Service) tellRollout(ctx context.Context, tx *db.Tx, what string, r Rollout, st *Step) error {
	d := rolloutTold{RolloutID: r.ID, Endpoint: r.Endpoint, Model: r.Model, Version: r.Version, Champion: r.Champion, RetrainingID: r.RetrainingID, Steps: r.Spec.Steps, Reason: r.Reason}
	if st == nil { // the newest step that was begun
		for i := range r.Steps {
			if r.Steps[i].State != StepWaiting {
				st = &r.Steps[i]
			}
		}
	}
	if st != nil {
		d.Step, d.Weight, d.Samples, d.Labelled, d.Verdict, d.Checks = slices.Index(r.Spec.Steps, st.Weight)+1, st.Weight, st.Samples, st.Labelled, st.Verdict, st.Checks
	}
	return s.d.Events.Append(ctx, tx, "lifecycle.rollout."+what, events.Resource{Kind: "rollout", ID: r.ID}, d)
}

func (s *Service) tellStep(ctx context.Context, tx *db.Tx, r Rollout, st Step, reason string) error {
	r.Reason = reason
	return s.tellRollout(ctx, tx, "step_judged", r, &st)
}
