package lifecycle

import (
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// RolloutState is where a rollout is.
type RolloutState string

// The states of a rollout. Halted waits for somebody to resume, promote or abort it; the traffic stays as it is.
const (
	Running    RolloutState = "running"
	Promoted   RolloutState = "promoted"
	RolledBack RolloutState = "rolled_back"
	Halted     RolloutState = "halted"
	Aborted    RolloutState = "aborted"
)

// Ended reports whether nothing more comes.
func (s RolloutState) Ended() bool { return s == Promoted || s == RolledBack || s == Aborted }

// StepState is where a step is.
type StepState string

// The states of a step.
const (
	StepWaiting      StepState = "waiting"
	StepRunning      StepState = "running"
	StepPassed       StepState = "passed"
	StepFailed       StepState = "failed"
	StepInconclusive StepState = "inconclusive"
)

// What to do when a step stays inconclusive.
const (
	Hold     = "hold"
	RollBack = "rollback"
)

// Spec is the user's wish.
type Spec struct {
	Steps          []int  `json:"steps,omitempty" doc:"Shares of the traffic in percent, rising; 10, 50, 100 when left out"`
	MinSamples     int64  `json:"min_samples,omitempty" doc:"Rows that both versions must have scored at each step; 50 when left out"`
	MinLabelled    int64  `json:"min_labelled,omitempty" doc:"Rows with a label before the labelled error is judged; 30 when left out"`
	Checks         Checks `json:"checks" doc:"Limits that the new version must keep; at least one"`
	OnInconclusive string `json:"on_inconclusive,omitempty" doc:"hold (default) or rollback, when a step neither passes nor fails within its bounds"`
	MaxWaitMinutes int64  `json:"max_wait_minutes,omitempty" doc:"Longest time a step may wait; 0: no limit"`
	MaxSamples     int64  `json:"max_samples,omitempty" doc:"Rows after which a step that is still inconclusive is given up; 100 times min_samples when left out"`
}

// The bounds of a spec.
const (
	maxSteps       = 10
	maxMinSamples  = 1_000_000
	defaultSamples = 50
	defaultLabels  = 30
)

// withDefaults fills in what was left out.
func (s Spec) withDefaults() Spec {
	if len(s.Steps) == 0 {
		s.Steps = []int{10, 50, 100}
	}
	if s.MinSamples == 0 {
		s.MinSamples = defaultSamples
	}
	if s.MinLabelled == 0 {
		s.MinLabelled = defaultLabels
	}
	if s.OnInconclusive == "" {
		s.OnInconclusive = Hold
	}
	if s.MaxSamples == 0 {
		s.MaxSamples = 100 * s.MinSamples
	}
	return s
}

func (s Spec) validate(c *errs.Collector, prefix string) {
	if len(s.Steps) > maxSteps {
		c.Add(prefix+"steps", "expected at most %d steps", maxSteps)
	}
	for i, w := range s.Steps {
		if w < 1 || w > 100 || (i > 0 && w <= s.Steps[i-1]) {
			c.Add(prefix+"steps["+strconv.Itoa(i)+"]", "expected rising shares of 1 to 100 percent, it is %d", w)
			break
		}
	}
	if s.MinSamples < 1 || s.MinSamples > maxMinSamples {
		c.Add(prefix+"min_samples", "expected 1 to %d", maxMinSamples)
	}
	if s.MinLabelled < 2 || s.MinLabelled > maxMinSamples {
		c.Add(prefix+"min_labelled", "expected 2 to %d", maxMinSamples)
	}
	if s.MaxSamples < s.MinSamples {
		c.Add(prefix+"max_samples", "expected at least min_samples (%d)", s.MinSamples)
	}
	if s.MaxWaitMinutes < 0 || s.MaxWaitMinutes > 60*24*90 {
		c.Add(prefix+"max_wait_minutes", "expected 0 to %d", 60*24*90)
	}
	if s.OnInconclusive != Hold && s.OnInconclusive != RollBack {
		c.Add(prefix+"on_inconclusive", "expected hold or rollback")
	}
	s.Checks.validate(c, prefix+"checks")
}

func (k Checks) validate(c *errs.Collector, prefix string) {
	if k.MaxErrorRate == nil && k.MaxLatencyRatio == nil && k.MaxMetricIncrease == nil {
		c.Add(prefix, "expected at least one of max_error_rate, max_latency_ratio, max_metric_increase: a rollout without checks would promote anything")
	}
	between := func(name string, v *float64, low, high float64) {
		if v != nil && !(*v >= low && *v <= high) {
			c.Add(prefix+"."+name, "expected %g to %g", low, high)
		}
	}
	between("max_error_rate", k.MaxErrorRate, 0, 1)
	between("max_latency_ratio", k.MaxLatencyRatio, 1, 1000)
	between("max_metric_increase", k.MaxMetricIncrease, 0, 10)
}

// Step is one share of the traffic and how it went.
type Step struct {
	Weight    int        `json:"weight"`
	State     StepState  `json:"state" enum:"waiting,running,passed,failed,inconclusive"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
	Samples   int64      `json:"samples"` // rows that both versions scored
	Labelled  int64      `json:"labelled"`
	Checks    []Check    `json:"checks"`
	Verdict   Verdict    `json:"verdict,omitempty"`

	Looks   int   `json:"looks,omitempty"` // tests of errors so far, and the rows of the last
	LooksAt int64 `json:"looks_at,omitempty"`
}

// Condition is a standing remark about a rollout.
type Condition struct {
	Type    string    `json:"type"` // Progressing, Reconciled
	Status  bool      `json:"status"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// decision is what has to be carried out.
type decision string

const (
	decidePromote  decision = "promote"
	decideRollBack decision = "roll_back"
	decideAbort    decision = "abort"
	decideLeave    decision = "leave" // abort, leaving the traffic to whoever changed it
)

// Rollout takes a version to production step by step.
type Rollout struct {
	ID                 string       `json:"id"`
	Endpoint           string       `json:"endpoint"`
	Model              string       `json:"model"`
	Version            string       `json:"version"`
	Champion           string       `json:"champion"`
	Spec               Spec         `json:"spec"`
	Generation         int64        `json:"generation"` // of the wish: it grows with resume, promote and abort
	ObservedGeneration int64        `json:"observed_generation"`
	State              RolloutState `json:"state" enum:"running,promoted,rolled_back,halted,aborted"`
	Steps              []Step       `json:"steps"`
	Conditions         []Condition  `json:"conditions"`
	Reason             string       `json:"reason"`
	RetrainingID       string       `json:"retraining_id,omitempty"`
	StartedBy          string       `json:"started_by"`
	StartedAt          time.Time    `json:"started_at"`
	EndedAt            *time.Time   `json:"ended_at,omitempty"`

	decision decision
}

// current is the index of the first step that has not passed, or the number of steps.
func (r *Rollout) current() int {
	for i, s := range r.Steps {
		if s.State != StepPassed {
			return i
		}
	}
	return len(r.Steps)
}

// targets is the traffic of a step: the champion keeps the rest.
func (r *Rollout) targets(weight int) []Target {
	return []Target{{r.Champion, 100 - weight, "champion"}, {r.Version, weight, "canary"}}
}

// condition sets a remark; its time moves only when it changes.
func (r *Rollout) condition(now time.Time, typ string, status bool, message string) {
	for i, c := range r.Conditions {
		if c.Type == typ {
			if c.Status != status || c.Message != message {
				r.Conditions[i] = Condition{typ, status, message, now}
			}
			return
		}
	}
	r.Conditions = append(r.Conditions, Condition{typ, status, message, now})
}
