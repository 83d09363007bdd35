package lifecycle

import (
	"strings"
	"time"
)

// RetrainingState is where a retraining is.
type RetrainingState string

// The states of a retraining.
const (
	Starting   RetrainingState = "starting"    // the pipeline is to be started
	Training   RetrainingState = "training"    // the pipeline runs
	Gating     RetrainingState = "gating"      // the new version is being checked
	RollingOut RetrainingState = "rolling_out" // the rollout runs
	Ended      RetrainingState = "ended"
)

// Outcome is how a retraining ended. A rollout's end is its own: promoted, rolled_back or aborted.
type Outcome string

// The outcomes.
const (
	OutcomePromoted       Outcome = "promoted"
	OutcomeRolledBack     Outcome = "rolled_back"
	OutcomeAborted        Outcome = "aborted"
	OutcomePipelineFailed Outcome = "pipeline_failed"
	OutcomeNoVersion      Outcome = "no_version"
	OutcomeGateFailed     Outcome = "gate_failed"
	OutcomeRefused        Outcome = "rollout_refused"
	OutcomeFailed         Outcome = "failed"
)

// Retraining is one turn of the loop: train, check, roll out.
type Retraining struct {
	ID            string          `json:"id"`
	Endpoint      string          `json:"endpoint"`
	AlertID       string          `json:"alert_id,omitempty"`
	State         RetrainingState `json:"state" enum:"starting,training,gating,rolling_out,ended"`
	Pipeline      string          `json:"pipeline"`
	PipelineRunID string          `json:"pipeline_run_id,omitempty"`
	Model         string          `json:"model,omitempty"`
	Challenger    string          `json:"challenger,omitempty"`
	GateResultID  string          `json:"gate_result_id,omitempty"`
	RolloutID     string          `json:"rollout_id,omitempty"`
	Outcome       Outcome         `json:"outcome,omitempty"`
	Reason        string          `json:"reason"`
	EventTime     *time.Time      `json:"event_time,omitempty"`
	StartedBy     string          `json:"started_by"`
	StartedAt     time.Time       `json:"started_at"`
	EndedAt       *time.Time      `json:"ended_at,omitempty"`

	policy Policy // as it was when the retraining began
}

// asked is what makes a retraining start.
type asked struct {
	endpoint  string
	alertID   string
	kind      string
	reason    string
	eventTime time.Time
}

// fill puts what is known into the parameters of a policy; now stands in for an event time that is not.
func (a asked) fill(params map[string]string, now time.Time) map[string]string {
	if !a.eventTime.IsZero() {
		now = a.eventTime
	}
	r := strings.NewReplacer("{endpoint}", a.endpoint, "{alert_id}", a.alertID, "{kind}", a.kind,
		"{event_time}", now.UTC().Format(time.RFC3339), "{event_date}", now.UTC().Format(time.DateOnly))
	out := make(map[string]string, len(params))
	for k, v := range params {
		out[k] = r.Replace(v)
	}
	return out
}
