package evaluation

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/registry"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "evaluation", FS: migrations} }

// Loader makes a version's model ready to answer; the caller closes it. A model or environment at fault is an *infer.LoadError.
type Loader func(ctx context.Context, v registry.Version) (infer.Model, error)

// Deps of a Service.
type Deps struct {
	DB       *db.DB
	Events   *events.Log
	Jobs     *jobs.Queue
	Clock    clock.Clock
	Log      *slog.Logger
	Metrics  prometheus.Registerer // may be nil
	Registry *registry.Service
	Datasets *dataset.Service
	Loader   Loader
}

// Service judges versions.
type Service struct {
	d       Deps
	running chan struct{} // how many checks run at a time
	metrics *metrics

	mu      sync.Mutex
	waiting map[string][]chan struct{} // by result: closed when it is final
}

const (
	parallelChecks = 2
	inlineRows     = 50_000 // more rows, or a Python model, are scored by a job
	jobTimeout     = 30 * time.Minute
	longestWait    = 15 * time.Minute // for a job, without a deadline of the caller
	answerMargin   = time.Second      // kept of the caller's deadline to answer in
	aliasRetry     = 30 * time.Second
	jobCheck       = "evaluation.check"
	jobAlias       = "evaluation.alias"
)

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, running: make(chan struct{}, parallelChecks), metrics: newMetrics(d.Metrics), waiting: map[string][]chan struct{}{}}
}

// Check judges a version and stores the result. Small checks run in the call; the others run as a job that is waited for until the
// caller's deadline, after which the result comes back with verdict Pending and its id. It returns Invalid for a gate that makes no
// sense, NotFound for a model, version or dataset that is not there, and Precondition when this machine lacks what the model needs. A
// model that fails on the data is no error: it fails the gate.
func (s *Service) Check(ctx context.Context, r CheckRequest) (Result, error) {
	t, err := s.prepare(ctx, &r)
	if err != nil {
		return Result{}, err
	}
	res := Result{ID: id.New(), Gate: r.Gate.Name, Model: t.version.Model, Version: t.version.Version, Dataset: t.dataset.Dataset, DatasetVersion: t.dataset.Version,
		Verdict: Pending, AliasOnPass: r.AliasOnPass, CreatedAt: s.d.Clock.Now().Truncate(time.Microsecond), CreatedBy: actor.From(ctx).ID,
		Rules: []RuleResult{}, Metrics: map[string]float64{}}
	if t.dataset.Rows > inlineRows || t.version.Runtime == infer.RuntimePython {
		return s.checkLater(ctx, r, res)
	}
	if res, err = s.carryOut(ctx, r, res); err != nil {
		return Result{}, err
	}
	return s.finish(ctx, res, true)
}

// target is what a check is about.
type target struct {
	version registry.Version
	dataset dataset.Version
}

// prepare checks the request and finds what it names; "latest" becomes a number, so that a job judges what was asked for.
func (s *Service) prepare(ctx context.Context, r *CheckRequest) (target, error) {
	var t target
	if err := r.Gate.Validate(); err != nil {
		return t, err
	}
	if r.AliasOnPass != "" {
		if err := registry.CheckAlias(r.AliasOnPass); err != nil {
			return t, err
		}
	}
	name, number, err := dataset.ParseRef(r.Gate.Dataset)
	if err != nil {
		return t, err
	}
	if t.version, err = s.d.Registry.GetVersion(ctx, r.Model, r.Version); err != nil {
		return t, err
	}
	if t.dataset, err = s.d.Datasets.GetVersion(ctx, name, number); err != nil {
		return t, err
	}
	if t.version.Flavor == "" {
		return t, errs.E(errs.Precondition, "evaluation.check", t.version.URI()+" holds no model that could be judged", nil)
	}
	r.Gate.Dataset = t.dataset.Ref()
	if r.Gate.Target == "" {
		r.Gate.Target = t.dataset.Target
	}
	needsTruth := false
	for _, rule := range r.Gate.Rules {
		needsTruth = needsTruth || rule.Metric != ""
	}
	if needsTruth && r.Gate.Target == "" {
		return t, errs.Invalidf("evaluation.check", "the gate names no target and dataset %s has none", t.dataset.Ref()).
			WithField("gate.target", "expected the column that the model predicts")
	}
	for _, c := range t.dataset.Columns {
		if c.Name == r.Gate.Target {
			return t, nil
		}
	}
	if r.Gate.Target != "" {
		return t, errs.Invalidf("evaluation.check", "dataset %s has no column %.200q", t.dataset.Ref(), r.Gate.Target).
			WithField("gate.target", "expected a column of the dataset")
	}
	return t, nil
}

// checkLater leaves the check to a job and waits for it.
func (s *Service) checkLater(ctx context.Context, r CheckRequest, res Result) (Result, error) {
	done := s.wait(res.ID)
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := insertResult(tx, res, r); err != nil {
			return err
		}
		return s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobCheck, Key: res.ID, Payload: jobPayload{ResultID: res.ID}})
	})
	if err != nil {
		s.release(res.ID)
		return Result{}, err
	}
	limit := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) - answerMargin
	}
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	select {
	case <-done:
		return s.Result(ctx, res.ID)
	case <-ctx.Done():
	case <-timer.C:
	}
	return res, nil
}

func (s *Service) wait(resultID string) <-chan struct{} {
	c := make(chan struct{})
	s.mu.Lock()
	s.waiting[resultID] = append(s.waiting[resultID], c)
	s.mu.Unlock()
	return c
}

func (s *Service) release(resultID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiting[resultID] {
		close(c)
	}
	delete(s.waiting, resultID)
}

// carryOut runs a check; what goes wrong with the model becomes a failed rule, what goes wrong with the server an error.
func (s *Service) carryOut(ctx context.Context, r CheckRequest, res Result) (Result, error) {
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	case <-ctx.Done():
		return res, ctx.Err()
	}
	start := time.Now()
	err := s.judge(ctx, r, &res)
	res.Seconds = time.Since(start).Seconds()
	if err == nil {
		return res, nil
	}
	if ctx.Err() != nil {
		return res, errs.E(errs.Unavailable, "evaluation.check", "the check was not done in time", ctx.Err()).WithHint("try again, or judge on fewer rows")
	}
	return res, err
}

// finish stores the outcome with its event and moves the alias.
func (s *Service) finish(ctx context.Context, res Result, fresh bool) (Result, error) {
	typ := "evaluation.gate.failed"
	if res.Verdict == Pass {
		typ = "evaluation.gate.passed"
	}
	wantsAlias := res.Verdict == Pass && res.AliasOnPass != ""
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if fresh {
			if err := insertResult(tx, res, CheckRequest{}); err != nil {
				return err
			}
		} else if changed, err := finalizeResult(tx, res); err != nil || !changed {
			return err // done by an earlier attempt of the job
		}
		if wantsAlias { // in case this process ends before it moves the alias itself
			err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobAlias, Key: res.ID, Payload: jobPayload{ResultID: res.ID}, RunAt: s.d.Clock.Now().Add(aliasRetry)})
			if err != nil {
				return err
			}
		}
		if res.Verdict == Error {
			return nil
		}
		return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "version", ID: res.Model + "/" + res.Version}, map[string]any{
			"result_id": res.ID, "model": res.Model, "version": res.Version, "gate": res.Gate, "verdict": res.Verdict,
			"dataset": res.Dataset, "dataset_version": res.DatasetVersion})
	})
	if err != nil {
		return Result{}, err
	}
	s.metrics.checks.WithLabelValues(string(res.Verdict)).Inc()
	s.metrics.seconds.Observe(res.Seconds)
	if wantsAlias {
		if err := s.moveAlias(ctx, res); err != nil {
			return Result{}, err
		}
	}
	return s.Result(ctx, res.ID)
}

// moveAlias sets the alias that a passed result asks for, unless that was done.
func (s *Service) moveAlias(ctx context.Context, res Result) error {
	err := s.d.Registry.SetAlias(ctx, res.Model, res.AliasOnPass, res.Version, "passed gate "+res.Gate+" (result "+res.ID+")")
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return markAliasSet(tx, res.ID) })
}

// loadFailed turns what a loader says into the failure of a rule, or into an error when this machine is at fault.
func loadFailed(v registry.Version, err error) (note string, fatal error) {
	var le *infer.LoadError
	if !errors.As(err, &le) {
		return "", err
	}
	if le.Missing {
		return "", errs.E(errs.Precondition, "evaluation.load", v.URI()+" cannot be loaded on this machine", le).WithHint("%s", le.Hint)
	}
	return v.URI() + " cannot be loaded: " + le.Error(), nil
}
