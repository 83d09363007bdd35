package lifecycle

import (
	"context"
	"time"
)

// Target is a version with its share of an endpoint's traffic, in percent. Role is champion, canary or shadow.
type Target struct {
	Version string
	Weight  int
	Role    string
}

// Route is an endpoint's traffic as it is.
type Route struct {
	Model   string
	Targets []Target
}

// Routes changes the traffic of endpoints. While a route has more than one target, each scores every answered row (mirror).
type Routes interface {
	Route(ctx context.Context, endpoint string) (Route, error) // NotFound without such an endpoint
	SetTargets(ctx context.Context, endpoint string, targets []Target, reason string) error
}

// Models knows the versions of models.
type Models interface {
	CheckVersion(ctx context.Context, model, version string) error // NotFound, or Precondition when it is not ready
	SetAlias(ctx context.Context, model, alias, version, reason string) error
}

// GateOutcome is the verdict of a gate: pass, fail, insufficient_data, error, or pending while it is being checked.
type GateOutcome struct {
	ResultID string
	Verdict  string
	Reason   string
}

// Gates checks versions. The gate is the JSON object of the policy.
type Gates interface {
	Validate(gate map[string]any) error
	Check(ctx context.Context, gate map[string]any, model, version string) (GateOutcome, error)
	Result(ctx context.Context, resultID string) (GateOutcome, error)
}

// PipelineRun is what retraining needs to know of a run.
type PipelineRun struct {
	ID      string
	State   string // queued, running, succeeded, failed or cancelled
	Outputs map[string]string
	Error   string
}

// Pipelines starts training.
type Pipelines interface {
	// Start starts a run whose trigger refers to ref; when a run with this ref is there already, it is that one.
	Start(ctx context.Context, pipeline string, params map[string]string, ref string) (PipelineRun, error)
	Run(ctx context.Context, runID string) (PipelineRun, error)
}

// Evidence compares versions by what they did; the monitor gives it.
type Evidence interface {
	// Compare is about predictions recorded at or after since (server time).
	Compare(ctx context.Context, endpoint, champion, challenger string, since time.Time) (Comparison, error)
}
