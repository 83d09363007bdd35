package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// others stands for the domains that lifecycle works with.
type others struct {
	route     Route
	gone      bool
	aliases   []string
	routeErr  error // of SetTargets
	versions  map[string]bool
	gate      string
	gateCalls int
	runs      map[string]*PipelineRun // by ref
	params    map[string]string
	evidence  func(since time.Time) Comparison
}

func (o *others) Route(context.Context, string) (Route, error) {
	if o.gone {
		return Route{}, errs.NotFoundf("test", "no endpoint")
	}
	return o.route, nil
}

func (o *others) SetTargets(_ context.Context, _ string, ts []Target, _ string) error {
	if o.routeErr != nil {
		return o.routeErr
	}
	o.route.Targets = ts
	return nil
}

func (o *others) CheckVersion(_ context.Context, _, version string) error {
	if !o.versions[version] {
		return errs.NotFoundf("test", "no version %s", version)
	}
	return nil
}

func (o *others) SetAlias(_ context.Context, model, alias, version, _ string) error {
	if a := model + "@" + alias + "=" + version; !slices.Contains(o.aliases, a) {
		o.aliases = append(o.aliases, a)
	}
	return nil
}

func (o *others) Validate(gate map[string]any) error {
	if gate["name"] == nil {
		return errors.New("the gate has no name")
	}
	return nil
}

func (o *others) Check(context.Context, map[string]any, string, string) (GateOutcome, error) {
	o.gateCalls++
	return GateOutcome{ResultID: "g1", Verdict: o.gate, Reason: "mae 40, required 50"}, nil
}

func (o *others) Result(context.Context, string) (GateOutcome, error) {
	return GateOutcome{ResultID: "g1", Verdict: o.gate, Reason: "mae 40, required 50"}, nil
}

type pipelines struct{ *others }

func (p pipelines) Start(_ context.Context, _ string, params map[string]string, ref string) (PipelineRun, error) {
	p.params = params
	if r := p.runs[ref]; r != nil {
		return *r, nil
	}
	r := &PipelineRun{ID: "p-" + ref, State: "running", Outputs: map[string]string{}}
	p.runs[ref] = r
	return *r, nil
}

func (p pipelines) Run(_ context.Context, runID string) (PipelineRun, error) {
	return *p.runs[strings.TrimPrefix(runID, "p-")], nil
}

func (o *others) Compare(_ context.Context, _, _, _ string, since time.Time) (Comparison, error) {
	return o.evidence(since), nil
}

type world struct {
	*others
	s     *Service
	clock *clock.Fake
	ch    <-chan events.Event
	seen  []events.Event
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)), others: &others{
		route:    Route{Model: "demand", Targets: only("1")},
		versions: map[string]bool{"1": true, "2": true, "3": true}, gate: "pass", runs: map[string]*PipelineRun{},
		evidence: func(time.Time) Comparison { return Comparison{} },
	}}
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: w.clock, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: w.clock, Log: log})
	w.s = New(Deps{DB: d, Events: ev, Jobs: q, Clock: w.clock, Log: log, Routes: w, Models: w, Gates: w, Pipelines: pipelines{w.others}, Evidence: w})
	ch, stop := ev.Watch()
	w.ch = ch
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ev.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; stop() })
	return w
}

// until waits for an event of a type.
func (w *world) until(t *testing.T, typ string) events.Event {
	t.Helper()
	for {
		select {
		case e := <-w.ch:
			w.seen = append(w.seen, e)
			if e.Type == typ {
				return e
			}
		case <-t.Context().Done():
			t.Fatalf("no event %s", typ)
		}
	}
}

// tell appends an event and lets h hear it twice, as an at-least-once queue may.
func (w *world) tell(t *testing.T, typ, kind, id, data string, h func(context.Context, events.Event) error) {
	t.Helper()
	err := w.s.d.DB.Write(t.Context(), func(tx *db.Tx) error {
		return w.s.d.Events.Append(t.Context(), tx, typ, events.Resource{Kind: kind, ID: id}, json.RawMessage(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	e := w.until(t, typ)
	for range 2 {
		if err := h(t.Context(), e); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
}

// look runs the reconciler once, as its job does.
func (w *world) look(t *testing.T, r Rollout) Rollout {
	t.Helper()
	payload, _ := json.Marshal(r.ID)
	err := w.s.onRolloutJob(t.Context(), jobs.Job{Payload: payload})
	var again jobs.Again
	if err != nil && !errors.As(err, &again) {
		t.Fatal(err)
	}
	w.clock.Advance(time.Second)
	r, err = w.s.Rollout(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// turn runs the job of a retraining once.
func (w *world) turn(t *testing.T, r Retraining) Retraining {
	t.Helper()
	payload, _ := json.Marshal(r.ID)
	err := w.s.onRetrainingJob(t.Context(), jobs.Job{Payload: payload})
	var again jobs.Again
	if err != nil && !errors.As(err, &again) {
		t.Fatal(err)
	}
	r, err = w.s.Retraining(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func spec() Spec {
	return Spec{Steps: []int{10, 50, 100}, MinSamples: 50, Checks: Checks{MaxErrorRate: ptr(0.02), MaxLatencyRatio: ptr(3), MaxMetricIncrease: ptr(0.05)}}
}

func (w *world) start(t *testing.T, s Spec) Rollout {
	t.Helper()
	ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ada"})
	r, err := w.s.StartRollout(ctx, NewRollout{Endpoint: "bike", Version: "2", Spec: s})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rows(n, errors, labelled int64, diff float64) Comparison {
	return Comparison{Champion: Side{Count: n, P95: 10}, Challenger: Side{Count: n, Errors: errors, P95: 10}, Paired: n, Labelled: labelled, Metric: "mae",
		ChampionLoss: 80, ChallengerLoss: 80 + diff, DifferenceMean: diff, DifferenceStd: 40}
}

func TestAGoodVersionIsPromotedStepByStep(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		r := w.start(t, spec())
		for i, weight := range []int{10, 50, 100} {
			r = w.look(t, r)
			if !same(w.route.Targets, []Target{{"1", 100 - weight, "champion"}, {"2", weight, "canary"}}) || r.Steps[i].State != StepRunning {
				t.Fatalf("step %d: %+v %+v", i, w.route.Targets, r.Steps[i])
			}
			w.evidence = func(time.Time) Comparison { return rows(20, 0, 20, -40) }
			if r = w.look(t, r); r.Steps[i].State != StepRunning || r.Steps[i].Verdict != NotEnoughData || r.Steps[i].Samples != 20 {
				t.Fatalf("few rows wait: %+v", r.Steps[i])
			}
			w.evidence = func(time.Time) Comparison { return rows(80, 0, 80, -40) }
			if r = w.look(t, r); r.Steps[i].State != StepPassed || len(r.Steps[i].Checks) != 3 {
				t.Fatalf("step %d should pass: %+v", i, r.Steps[i])
			}
			w.evidence = func(time.Time) Comparison { return Comparison{} }
		}
		r = w.look(t, r)
		if r.State != Promoted || r.EndedAt == nil || !same(w.route.Targets, only("2")) || !slices.Equal(w.aliases, []string{"demand@champion=2"}) {
			t.Fatalf("%s %+v %v", r.State, w.route.Targets, w.aliases)
		}
		if r = w.look(t, r); r.State != Promoted {
			t.Error("an ended rollout stays so")
		}
		w.until(t, "lifecycle.rollout.promoted")
		types := []string{}
		for _, e := range w.seen {
			types = append(types, strings.TrimPrefix(e.Type, "lifecycle.rollout."))
		}
		if !slices.Equal(types, []string{"started", "step_judged", "step_judged", "step_judged", "promoted"}) {
			t.Errorf("events %v", types)
		}
	})
}

func TestABadVersionIsRolledBackAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		evidence Comparison
		reason   string
	}{
		"errors":         {rows(15, 15, 0, 0), "error rate: 15 of 15 failed"},
		"labelled error": {rows(60, 0, 60, 70), "labelled error: mae 150, 80 of the champion"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.SQLite(t))
			r := w.look(t, w.start(t, spec()))
			w.evidence = func(time.Time) Comparison { return c.evidence }
			r = w.look(t, r)
			if r.State != RolledBack || !strings.Contains(r.Reason, c.reason) || r.Steps[0].State != StepFailed || !same(w.route.Targets, only("1")) || len(w.aliases) != 0 {
				t.Fatalf("%s %q %+v", r.State, r.Reason, w.route.Targets)
			}
			e := w.until(t, "lifecycle.rollout.rolled_back")
			if !strings.Contains(string(e.Data), c.reason[:20]) {
				t.Errorf("the event does not say why: %s", e.Data)
			}
		})
	}
}

func TestDecisionsSurviveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	r := w.look(t, w.start(t, spec()))
	w.evidence = func(time.Time) Comparison { return rows(15, 15, 0, 0) }
	w.routeErr = errs.E(errs.Unavailable, "test", "the store is away", nil)
	if r = w.look(t, r); r.State != Running || r.decision != decideRollBack {
		t.Fatalf("the decision is written before it is carried out: %s %q", r.State, r.decision)
	}
	w.routeErr = nil
	w.evidence = func(time.Time) Comparison { return rows(80, 0, 80, -40) } // what comes later changes nothing
	if err := w.s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := w.s.d.Jobs.List(t.Context(), jobs.Ready, 10)
	if err != nil || !slices.ContainsFunc(list, func(j jobs.Job) bool { return j.Kind == jobRollout && j.Key == r.ID }) {
		t.Fatalf("a start wakes it: %+v %v", list, err)
	}
	if r = w.look(t, r); r.State != RolledBack || !same(w.route.Targets, only("1")) {
		t.Fatalf("%s %+v", r.State, w.route.Targets)
	}
}

func TestAStepThatWasSetBeforeACrashGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	r := w.start(t, spec())
	w.route.Targets = r.targets(10) // the traffic was set, but not yet written down
	if r = w.look(t, r); r.State != Running || r.Steps[0].State != StepRunning {
		t.Fatalf("%s %+v", r.State, r.Steps[0])
	}
}

func TestWaitingHasItsBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	s := spec()
	s.MaxWaitMinutes = 5
	r := w.look(t, w.start(t, s))
	w.clock.Advance(10 * time.Minute)
	if r = w.look(t, r); r.State != Halted || r.Steps[0].State != StepInconclusive || !strings.Contains(r.Reason, "0 of 50 rows") || len(w.route.Targets) != 2 {
		t.Fatalf("%s %q", r.State, r.Reason)
	}
	if _, err := w.s.Resume(t.Context(), r.ID, "more traffic now"); err != nil {
		t.Fatal(err)
	}
	if r = w.look(t, r); r.State != Running || r.Steps[0].State != StepRunning || r.Generation != 2 || r.ObservedGeneration != 2 {
		t.Fatalf("%s %+v generation %d/%d", r.State, r.Steps[0], r.ObservedGeneration, r.Generation)
	}
	s.OnInconclusive = RollBack
	w = newWorld(t, dbtest.SQLite(t))
	r = w.look(t, w.start(t, s))
	w.clock.Advance(10 * time.Minute)
	if r = w.look(t, r); r.State != RolledBack {
		t.Errorf("%s", r.State)
	}
}

func TestByHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do      func(w *world, ctx context.Context, r Rollout) error
		state   RolloutState
		traffic []Target
	}{
		"abort": {func(w *world, ctx context.Context, r Rollout) error { _, err := w.s.Abort(ctx, r.ID, "no"); return err }, Aborted, only("1")},
		"promote": {func(w *world, ctx context.Context, r Rollout) error {
			_, err := w.s.Promote(ctx, r.ID, "yes")
			return err
		}, Promoted, only("2")},
		"traffic changed":  {func(w *world, _ context.Context, _ Rollout) error { w.route.Targets = only("3"); return nil }, Aborted, only("3")},
		"endpoint deleted": {func(w *world, _ context.Context, _ Rollout) error { w.gone = true; return nil }, Aborted, []Target{{"1", 90, "champion"}, {"2", 10, "canary"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.SQLite(t))
			r := w.look(t, w.start(t, spec()))
			if err := c.do(w, t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if r = w.look(t, r); r.State != c.state || !same(w.route.Targets, c.traffic) {
				t.Fatalf("%s %+v (%s)", r.State, w.route.Targets, r.Reason)
			}
			if _, err := w.s.Abort(t.Context(), r.ID, ""); !errs.Is(err, errs.Precondition) {
				t.Errorf("an ended rollout takes no orders: %v", err)
			}
		})
	}
}

func TestAVersionThatDoesNotLoadIsRolledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	r := w.look(t, w.start(t, spec()))
	w.tell(t, "serving.version.failed", "endpoint", "bike", `{"endpoint":"bike","version":"2","error":"digest differs"}`, w.s.onLoadFailed)
	if r = w.look(t, r); r.State != RolledBack || !strings.Contains(r.Reason, "digest differs") || !same(w.route.Targets, only("1")) {
		t.Fatalf("%s %s", r.State, r.Reason)
	}
}

func TestRolloutsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	change := func(f func(*Spec)) Spec { s := spec(); f(&s); return s }
	for name, c := range map[string]struct {
		n    NewRollout
		want errs.Kind
		says string
	}{
		"no checks":         {NewRollout{Endpoint: "bike", Version: "2", Spec: change(func(s *Spec) { s.Checks = Checks{} })}, errs.Invalid, "without checks"},
		"weights fall":      {NewRollout{Endpoint: "bike", Version: "2", Spec: change(func(s *Spec) { s.Steps = []int{50, 10} })}, errs.Invalid, "rising"},
		"weight over 100":   {NewRollout{Endpoint: "bike", Version: "2", Spec: change(func(s *Spec) { s.Steps = []int{101} })}, errs.Invalid, "steps[0]"},
		"odd limit":         {NewRollout{Endpoint: "bike", Version: "2", Spec: change(func(s *Spec) { s.Checks.MaxErrorRate = ptr(2) })}, errs.Invalid, "max_error_rate"},
		"odd policy":        {NewRollout{Endpoint: "bike", Version: "2", Spec: change(func(s *Spec) { s.OnInconclusive = "guess" })}, errs.Invalid, "on_inconclusive"},
		"champion":          {NewRollout{Endpoint: "bike", Version: "1", Spec: spec()}, errs.Invalid, "champion"},
		"unknown version":   {NewRollout{Endpoint: "bike", Version: "9", Spec: spec()}, errs.NotFound, "9"},
		"nothing was named": {NewRollout{Spec: spec()}, errs.Invalid, "endpoint"},
	} {
		if _, err := w.s.StartRollout(t.Context(), c.n); !errs.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.start(t, spec())
	if _, err := w.s.StartRollout(t.Context(), NewRollout{Endpoint: "bike", Version: "3", Spec: spec()}); !errs.Is(err, errs.Conflict) {
		t.Errorf("one at a time: %v", err)
	}
}

func policy() Policy {
	return Policy{Pipeline: "train", On: []string{"drift", "performance"}, CooldownHours: 24 * 7, Params: map[string]string{"until": "{event_date}"},
		Gate: map[string]any{"name": "better", "dataset": "bike@latest"}, Rollout: spec()}
}

const opened = `{"alert_id":"a1","endpoint":"bike","kind":"drift","title":"bike: drift in temp","reason":"PSI 0.6","event_time":"2011-04-20T00:00:00Z"}`

func (w *world) theRetraining(t *testing.T) Retraining {
	t.Helper()
	rs, _, err := w.s.Retrainings(t.Context(), "bike", "", 0)
	if err != nil || len(rs) == 0 {
		t.Fatalf("no retraining (%v)", err)
	}
	return rs[0]
}

func TestAnAlertTurnsTheWholeLoop(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		if _, err := w.s.SetPolicy(t.Context(), "bike", policy()); err != nil {
			t.Fatal(err)
		}
		w.tell(t, "alert.opened", "alert", "a0", `{"alert_id":"a0","endpoint":"bike","kind":"service","event_time":"2011-04-19T00:00:00Z"}`, w.s.onAlert)
		if rs, _, _ := w.s.Retrainings(t.Context(), "", "", 0); len(rs) != 0 {
			t.Fatal("the policy does not hear of service")
		}
		w.tell(t, "alert.opened", "alert", "a1", opened, w.s.onAlert)
		r := w.turn(t, w.theRetraining(t))
		if r.State != Training || r.AlertID != "a1" || w.params["until"] != "2011-04-20" || !strings.Contains(r.Reason, "PSI 0.6") || len(w.runs) != 1 {
			t.Fatalf("%+v %v", r, w.params)
		}
		if r = w.turn(t, r); r.State != Training {
			t.Fatalf("it waits for the pipeline: %s", r.State)
		}
		*w.runs[r.ID] = PipelineRun{ID: r.PipelineRunID, State: "succeeded", Outputs: map[string]string{"model": "demand", "version": "2"}}
		w.tell(t, "pipeline.run.ended", "pipeline_run", r.PipelineRunID, `{"run_id":"`+r.PipelineRunID+`","state":"succeeded"}`, w.s.onPipeline)
		w.gate = "pending"
		if r = w.turn(t, r); r.State != Gating || r.GateResultID != "g1" {
			t.Fatalf("it waits for the gate: %+v", r)
		}
		w.gate = "pass"
		w.tell(t, "evaluation.gate.passed", "version", "demand/2", `{"result_id":"g1"}`, w.s.onPipeline)
		if r = w.turn(t, r); r.State != RollingOut || r.Challenger != "2" || r.GateResultID != "g1" || r.RolloutID == "" || w.gateCalls != 1 {
			t.Fatalf("%+v", r)
		}
		ro, err := w.s.Rollout(t.Context(), r.RolloutID)
		if err != nil || ro.RetrainingID != r.ID {
			t.Fatalf("%+v %v", ro, err)
		}
		w.evidence = func(time.Time) Comparison { return rows(80, 0, 80, -40) }
		for range 10 {
			ro = w.look(t, ro)
		}
		if ro.State != Promoted {
			t.Fatalf("%s %s", ro.State, ro.Reason)
		}
		if r = w.turn(t, r); r.State != Ended || r.Outcome != OutcomePromoted || r.Reason == "" || r.EndedAt == nil {
			t.Fatalf("%+v", r)
		}
		w.until(t, "lifecycle.retraining.ended")
	})
}

func TestCoolDownCountsEventTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	if _, err := w.s.SetPolicy(t.Context(), "bike", policy()); err != nil {
		t.Fatal(err)
	}
	w.tell(t, "alert.opened", "alert", "a1", opened, w.s.onAlert)
	r := w.turn(t, w.theRetraining(t))
	*w.runs[r.ID] = PipelineRun{ID: r.PipelineRunID, State: "failed", Error: "step train: exit code 1"}
	if r = w.turn(t, r); r.Outcome != OutcomePipelineFailed || !strings.Contains(r.Reason, "exit code 1") {
		t.Fatalf("%+v", r)
	}
	count := func() int { rs, _, _ := w.s.Retrainings(t.Context(), "bike", "", 0); return len(rs) }
	w.clock.Advance(30 * 24 * time.Hour) // server time does not count
	w.tell(t, "alert.opened", "alert", "a2", `{"alert_id":"a2","endpoint":"bike","kind":"performance","event_time":"2011-04-22T00:00:00Z"}`, w.s.onAlert)
	w.tell(t, "monitor.window.closed", "endpoint", "bike", `{"endpoint":"bike","to":"2011-04-26T00:00:00Z"}`, w.s.onWindow)
	if n := count(); n != 1 {
		t.Fatalf("%d retrainings within the cool-down", n)
	}
	w.tell(t, "monitor.window.closed", "endpoint", "bike", `{"endpoint":"bike","to":"2011-04-27T00:00:00Z"}`, w.s.onWindow)
	if n := count(); n != 2 {
		t.Fatalf("%d retrainings after the cool-down, want 2", n)
	}
	if r := w.theRetraining(t); r.AlertID != "a2" || r.EventTime == nil || r.EventTime.Day() != 27 {
		t.Errorf("%+v", r)
	}
	// A third alert while one runs waits, and is dropped once it is resolved.
	w.tell(t, "alert.opened", "alert", "a3", `{"alert_id":"a3","endpoint":"bike","kind":"drift","event_time":"2011-06-01T00:00:00Z"}`, w.s.onAlert)
	if wt, err := w.s.waiting(t.Context(), "bike"); err != nil || wt == nil || wt.alertID != "a3" {
		t.Fatalf("%+v %v", wt, err)
	}
	w.tell(t, "alert.resolved", "alert", "a3", `{"alert_id":"a3","endpoint":"bike","kind":"drift"}`, w.s.onAlert)
	if wt, err := w.s.waiting(t.Context(), "bike"); err != nil || wt != nil {
		t.Fatalf("%+v %v", wt, err)
	}
}

func TestEveryEndOfARetrainingHasItsReason(t *testing.T) {
	t.Parallel()
	succeeded := func(outputs map[string]string) PipelineRun { return PipelineRun{State: "succeeded", Outputs: outputs} }
	good := map[string]string{"model": "demand", "version": "2"}
	for name, c := range map[string]struct {
		run     PipelineRun
		prepare func(w *world)
		want    Outcome
		says    string
	}{
		"cancelled":     {PipelineRun{State: "cancelled"}, nil, OutcomePipelineFailed, "cancelled"},
		"no version":    {succeeded(map[string]string{"model": "demand"}), nil, OutcomeNoVersion, "no output named version"},
		"other model":   {succeeded(map[string]string{"model": "cats", "version": "2"}), nil, OutcomeNoVersion, "serves demand"},
		"same version":  {succeeded(map[string]string{"version": "1"}), nil, OutcomeNoVersion, "already"},
		"gate":          {succeeded(good), func(w *world) { w.gate = "fail" }, OutcomeGateFailed, "mae 40"},
		"gate, no data": {succeeded(good), func(w *world) { w.gate = "insufficient_data" }, OutcomeGateFailed, "insufficient_data"},
		"rollout there": {succeeded(good), func(w *world) { w.route.Targets = []Target{{"1", 90, "champion"}, {"3", 10, "canary"}} }, OutcomeRefused, "split already"},
		"endpoint gone": {succeeded(good), func(w *world) { w.gone = true }, OutcomeFailed, "no endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dbtest.SQLite(t))
			if _, err := w.s.SetPolicy(t.Context(), "bike", policy()); err != nil {
				t.Fatal(err)
			}
			r, err := w.s.Retrain(t.Context(), "bike", "", time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.s.Retrain(t.Context(), "bike", "", time.Time{}); !errs.Is(err, errs.Conflict) {
				t.Errorf("one at a time: %v", err)
			}
			r = w.turn(t, r)
			c.run.ID = r.PipelineRunID
			*w.runs[r.ID] = c.run
			if c.prepare != nil {
				c.prepare(w)
			}
			if r = w.turn(t, r); r.State != Ended || r.Outcome != c.want || !strings.Contains(r.Reason, c.says) {
				t.Fatalf("%s: %+v", name, r)
			}
		})
	}
}

func TestOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	r := httpx.New(httpx.Options{Version: "test", Log: w.s.d.Log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	w.s.Routes(r)
	srv := httptest.NewServer(r.Handler())
	t.Cleanup(srv.Close)
	good := `{"pipeline":"train","on":["drift","performance"],"cooldown_hours":168,"gate":{"name":"better","dataset":"bike@latest","rules":[{"better_than":"champion","metric":"mae"}]},
		"rollout":{"steps":[10,50,100],"min_samples":60,"checks":{"max_error_rate":0.02,"max_latency_ratio":3,"max_metric_increase":0.05},"on_inconclusive":"hold"}}`
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/lifecycle/policies/bike", "", 404, "no lifecycle policy"},
		{"POST", "/api/v1/endpoints/bike/retrain", `{}`, 404, "no lifecycle policy"},
		{"PUT", "/api/v1/lifecycle/policies/bike", good, 200, `"min_samples":60`},
		{"PUT", "/api/v1/lifecycle/policies/bike", strings.Replace(good, `"name":"better",`, "", 1), 400, "gate"},
		{"PUT", "/api/v1/lifecycle/policies/bike", strings.Replace(good, "drift", "weather", 1), 400, "weather"},
		{"GET", "/api/v1/lifecycle/policies/bike", "", 200, `"better_than":"champion"`},
		{"POST", "/api/v1/rollouts", `{"endpoint":"bike","version":"2","checks":{}}`, 400, "checks"},
		{"POST", "/api/v1/rollouts", `{"endpoint":"bike","version":"2","steps":[10,100],"min_samples":20,"checks":{"max_error_rate":0.1}}`, 201, `"state":"running"`},
		{"POST", "/api/v1/rollouts", `{"endpoint":"bike","version":"3","checks":{"max_error_rate":0.1}}`, 409, "abort"},
		{"GET", "/api/v1/rollouts?endpoint=bike", "", 200, `"weight":10`},
		{"GET", "/api/v1/rollouts/none", "", 404, "no rollout"},
		{"POST", "/api/v1/rollouts/none/abort", "", 404, "no rollout"},
		{"POST", "/api/v1/endpoints/bike/retrain", `{"reason":"try","event_time":"2011-05-01T00:00:00Z"}`, 201, `"state":"starting"`},
		{"GET", "/api/v1/retrainings?endpoint=bike", "", 200, `"event_time":"2011-05-01T00:00:00Z"`},
		{"GET", "/api/v1/retrainings/none", "", 404, "no retraining"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, srv.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(b), c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, b)
		}
	}
}
