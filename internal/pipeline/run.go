package pipeline

import "time"

// State is where a run or a step is.
type State string

// The states. A run is queued, running, succeeded, failed or cancelled; a step can also wait or be skipped.
const (
	Queued    State = "queued"
	Waiting   State = "waiting"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Skipped   State = "skipped"
	Cancelled State = "cancelled"
)

// Ended reports whether nothing more comes.
func (s State) Ended() bool {
	switch s {
	case Succeeded, Failed, Skipped, Cancelled:
		return true
	}
	return false
}

// Pipeline is a definition in force.
type Pipeline struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Spec        string            `json:"spec" doc:"the definition as it was written, YAML"`
	Steps       []StepSpec        `json:"steps"`
	Params      map[string]Param  `json:"params,omitempty"`
	Files       map[string]string `json:"files,omitempty" doc:"digest of each file"`
	Digest      string            `json:"digest" doc:"of the definition with its files: the version of the code"`
	Schedule    string            `json:"schedule,omitempty"`
	NextFire    *time.Time        `json:"next_fire,omitempty"`
	LastRun     *RunSummary       `json:"last_run,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
	UpdatedBy   string            `json:"updated_by"`
}

// RunSummary is a run in a list of pipelines.
type RunSummary struct {
	ID        string     `json:"id"`
	State     State      `json:"state"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// Trigger is what started a run: manual, cron, alert or api, and what it refers to (the alert, the retraining).
type Trigger struct {
	Kind string `json:"kind" enum:"manual,cron,alert,api"`
	Ref  string `json:"ref,omitempty"`
}

// Run is one run of a pipeline.
type Run struct {
	ID        string            `json:"id"`
	Pipeline  string            `json:"pipeline"`
	State     State             `json:"state"`
	Trigger   Trigger           `json:"trigger"`
	Params    map[string]string `json:"params"`
	Steps     []Step            `json:"steps"`
	Outputs   map[string]string `json:"outputs"`
	Digest    string            `json:"digest"`
	Message   string            `json:"message,omitempty" doc:"what it does now, such as making the environment"`
	Error     string            `json:"error,omitempty"`
	CreatedBy string            `json:"created_by"`
	CreatedAt time.Time         `json:"created_at"`
	StartedAt *time.Time        `json:"started_at,omitempty"`
	EndedAt   *time.Time        `json:"ended_at,omitempty"`

	spec   Spec
	files  map[string]string
	cancel bool
}

// Step is a step of a run.
type Step struct {
	Name        string     `json:"name"`
	Needs       []string   `json:"needs"`
	Command     []string   `json:"command,omitempty"`
	Script      string     `json:"script,omitempty"`
	State       State      `json:"state"`
	Attempt     int        `json:"attempt" doc:"1 for the first"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
	ExitCode    int        `json:"exit_code"`
	Error       string     `json:"error,omitempty"`
	RunID       string     `json:"run_id,omitempty" doc:"the tracked run of this step"`
	MaxRSSBytes int64      `json:"max_rss_bytes,omitempty"`
	CPUSeconds  float64    `json:"cpu_s,omitempty"`

	failures int
}

func (r *Run) step(name string) *Step {
	for i := range r.Steps {
		if r.Steps[i].Name == name {
			return &r.Steps[i]
		}
	}
	return nil
}
