package lifecycle

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/page"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "lifecycle", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB        *db.DB
	Events    *events.Log
	Jobs      *jobs.Queue
	Clock     clock.Clock
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Routes    Routes
	Models    Models
	Gates     Gates
	Pipelines Pipelines
	Evidence  Evidence
}

// Service keeps rollouts, retrainings and the policies that start them.
type Service struct {
	d Deps
	m metrics
}

// New makes the service.
func New(d Deps) *Service { return &Service{d: d, m: newMetrics(d.Metrics)} }

// The kinds of job. Both reconcile: they look at what is and do what is next.
const (
	jobRollout    = "lifecycle.rollout"
	jobRetraining = "lifecycle.retraining"
)

// Start wakes what was unfinished when the server stopped.
func (s *Service) Start(ctx context.Context) error {
	rs, err := rollouts(s.read(ctx), "WHERE ended_at = 0")
	if err != nil {
		return err
	}
	ts, err := retrainings(s.read(ctx), "WHERE ended_at = 0")
	if err != nil || len(rs)+len(ts) == 0 {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, r := range rs {
			if err := s.wakeRollout(tx, r.ID); err != nil {
				return err
			}
		}
		for _, r := range ts {
			if err := s.wakeRetraining(tx, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) wakeRollout(tx *db.Tx, rolloutID string) error {
	return s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobRollout, Group: jobRollout + ":" + rolloutID, Key: rolloutID, Payload: rolloutID})
}

func (s *Service) wakeRetraining(tx *db.Tx, retrainingID string) error {
	return s.d.Jobs.Enqueue(tx, jobs.New{Kind: jobRetraining, Group: jobRetraining + ":" + retrainingID, Key: retrainingID, Payload: retrainingID})
}

// NewRollout asks for a rollout.
type NewRollout struct {
	Endpoint     string
	Version      string
	Reason       string
	RetrainingID string
	Spec         Spec
}

// StartRollout begins to take a version of the endpoint's model to production. Kinds: Invalid (no checks, weights that do not rise, the
// version is the champion already), NotFound (endpoint, version), Precondition (the version is not ready, the traffic is split
// already), Conflict (another rollout runs there).
func (s *Service) StartRollout(ctx context.Context, n NewRollout) (Rollout, error) {
	const op = "lifecycle.start_rollout"
	n.Spec = n.Spec.withDefaults()
	var c errs.Collector
	n.Spec.validate(&c, "")
	if n.Endpoint == "" {
		c.Add("endpoint", "expected the name of an endpoint")
	}
	if n.Version == "" {
		c.Add("version", "expected a version of the endpoint's model, such as \"4\"")
	}
	if len(n.Reason) > maxReason {
		c.Add("reason", "expected at most %d characters", maxReason)
	}
	if err := c.Err(op, "the rollout cannot start"); err != nil {
		return Rollout{}, err
	}
	if s.d.Evidence == nil {
		return Rollout{}, errs.E(errs.Unavailable, op, "nothing compares versions on this server, so a rollout could not be judged", nil).WithHint("run it with monitoring")
	}
	route, err := s.d.Routes.Route(ctx, n.Endpoint)
	if err != nil {
		return Rollout{}, err
	}
	champion := championOf(route)
	if champion == n.Version {
		return Rollout{}, errs.Invalidf(op, "the rollout cannot start").WithField("version", "%s is the champion of %s already", n.Version, n.Endpoint)
	}
	if err := s.d.Models.CheckVersion(ctx, route.Model, n.Version); err != nil {
		return Rollout{}, err
	}
	now := s.d.Clock.Now()
	r := Rollout{ID: id.New(), Endpoint: n.Endpoint, Model: route.Model, Version: n.Version, Champion: champion, Spec: n.Spec, Generation: 1, State: Running,
		Reason: n.Reason, RetrainingID: n.RetrainingID, StartedBy: actor.From(ctx).String(), StartedAt: now, Conditions: []Condition{}}
	for _, w := range n.Spec.Steps {
		r.Steps = append(r.Steps, Step{Weight: w, State: StepWaiting, Checks: []Check{}})
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		other, err := rollouts(tx.Query, "WHERE endpoint = ? AND ended_at = 0", n.Endpoint)
		if err != nil {
			return err
		}
		if len(other) > 0 {
			return errs.E(errs.Conflict, op, fmt.Sprintf("a rollout of version %s is %s on %s", other[0].Version, other[0].State, n.Endpoint), nil).
				WithHint("wait for it, or abort it with POST /api/v1/rollouts/%s/abort", other[0].ID)
		}
		if len(route.Targets) > 1 {
			return errs.E(errs.Precondition, op, "the traffic of "+n.Endpoint+" is split already", nil).WithHint("give all traffic to one version first")
		}
		if err := putRollout(tx, r); err != nil {
			return err
		}
		if err := s.tellRollout(ctx, tx, "started", r, nil); err != nil {
			return err
		}
		return s.wakeRollout(tx, r.ID)
	})
	return r, err
}

const maxReason = 2000

func championOf(r Route) string {
	for _, t := range r.Targets {
		if t.Role == "champion" {
			return t.Version
		}
	}
	return ""
}

// Rollout reads one rollout. Kinds: NotFound.
func (s *Service) Rollout(ctx context.Context, rolloutID string) (Rollout, error) {
	return rolloutByID(s.read(ctx), rolloutID)
}

// Rollouts lists rollouts of an endpoint ("": of all), newest first, and the token of the next page.
func (s *Service) Rollouts(ctx context.Context, endpoint, token string, limit int) ([]Rollout, string, error) {
	where, args, limit, err := newest(endpoint, token, limit)
	if err != nil {
		return nil, "", err
	}
	rs, err := rollouts(s.read(ctx), where, args...)
	if err != nil || len(rs) <= limit {
		return rs, "", err
	}
	return rs[:limit], page.Encode(rs[limit-1].ID), nil
}

func newest(endpoint, token string, limit int) (where string, args []any, most int, err error) {
	before := ""
	if err := page.Decode(token, &before); err != nil {
		return "", nil, 0, err
	}
	most = page.Limit(limit, 50, 200)
	return "WHERE (? = '' OR endpoint = ?) AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?", []any{endpoint, endpoint, before, before, most + 1}, most, nil
}

// Abort ends a rollout and gives all traffic back to the champion.
func (s *Service) Abort(ctx context.Context, rolloutID, reason string) (Rollout, error) {
	return s.command(ctx, rolloutID, func(r *Rollout) { r.decision, r.Reason = decideAbort, byHand(ctx, "aborted", reason) })
}

// Promote ends a rollout by hand in favour of the new version, whatever the checks say.
func (s *Service) Promote(ctx context.Context, rolloutID, reason string) (Rollout, error) {
	return s.command(ctx, rolloutID, func(r *Rollout) { r.decision, r.Reason = decidePromote, byHand(ctx, "promoted", reason) })
}

// Resume lets a halted rollout go on: its step begins anew.
func (s *Service) Resume(ctx context.Context, rolloutID, reason string) (Rollout, error) {
	return s.command(ctx, rolloutID, func(r *Rollout) {
		if r.State != Halted {
			return
		}
		r.State, r.Reason = Running, byHand(ctx, "resumed", reason)
		if i := r.current(); i < len(r.Steps) {
			r.Steps[i] = Step{Weight: r.Steps[i].Weight, State: StepWaiting, Checks: []Check{}}
		}
	})
}

func byHand(ctx context.Context, what, reason string) string {
	text := what + " by " + actor.From(ctx).ID
	if reason != "" {
		text += ": " + reason
	}
	return clip(text)
}

// command changes the wish and carries it out at once. Kinds: NotFound, Precondition when the rollout has ended or a decision is being
// carried out.
func (s *Service) command(ctx context.Context, rolloutID string, change func(*Rollout)) (Rollout, error) {
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := rolloutByID(tx.Query, rolloutID)
		if err != nil {
			return err
		}
		if r.State.Ended() || r.decision != "" {
			return errs.E(errs.Precondition, "lifecycle.command", fmt.Sprintf("the rollout is %s already", endedAs(r)), nil).WithHint("start a new one")
		}
		change(&r)
		r.Generation++
		if err := putRollout(tx, r); err != nil {
			return err
		}
		return s.wakeRollout(tx, rolloutID)
	})
	if err != nil {
		return Rollout{}, err
	}
	return rolloutByID(s.read(ctx), rolloutID)
}

func endedAs(r Rollout) string {
	if r.State.Ended() {
		return string(r.State)
	}
	return "being ended"
}

// SetPolicy stores the policy of an endpoint. Kinds: Invalid, NotFound (endpoint).
func (s *Service) SetPolicy(ctx context.Context, endpoint string, p Policy) (Policy, error) {
	p.Rollout = p.Rollout.withDefaults()
	if err := p.validate(s.d.Gates); err != nil {
		return p, err
	}
	if _, err := s.d.Routes.Route(ctx, endpoint); err != nil {
		return p, err
	}
	p.Endpoint, p.UpdatedAt, p.UpdatedBy = endpoint, s.d.Clock.Now(), actor.From(ctx).String()
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := putPolicy(tx, endpoint, p); err != nil {
			return err
		}
		return s.d.Events.Append(ctx, tx, "lifecycle.policy.set", events.Resource{Kind: "endpoint", ID: endpoint}, map[string]any{"endpoint": endpoint, "policy": p})
	})
	return p, err
}

// Policy reads the policy of an endpoint. Kinds: NotFound.
func (s *Service) Policy(ctx context.Context, endpoint string) (Policy, error) {
	return s.policy(ctx, endpoint)
}

// Retraining reads one retraining. Kinds: NotFound.
func (s *Service) Retraining(ctx context.Context, retrainingID string) (Retraining, error) {
	return retrainingByID(s.read(ctx), retrainingID)
}

// Retrainings lists retrainings of an endpoint ("": of all), newest first, and the token of the next page.
func (s *Service) Retrainings(ctx context.Context, endpoint, token string, limit int) ([]Retraining, string, error) {
	where, args, limit, err := newest(endpoint, token, limit)
	if err != nil {
		return nil, "", err
	}
	rs, err := retrainings(s.read(ctx), where, args...)
	if err != nil || len(rs) <= limit {
		return rs, "", err
	}
	return rs[:limit], page.Encode(rs[limit-1].ID), nil
}

// Retrain starts a retraining by hand; cool-downs do not hold it. eventTime is the present in the time of the data; without it later
// cool-downs do not count from this retraining.
// Kinds: NotFound without a policy, Conflict while one runs.
func (s *Service) Retrain(ctx context.Context, endpoint, reason string, eventTime time.Time) (Retraining, error) {
	p, err := s.policy(ctx, endpoint)
	if err != nil {
		return Retraining{}, err
	}
	return s.begin(ctx, p, asked{endpoint: endpoint, kind: "manual", reason: byHand(ctx, "asked for", reason), eventTime: eventTime})
}

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return s[:maxReason]
}
