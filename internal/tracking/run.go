package tracking

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Status is how a run stands.
type Status string

// The statuses of a run.
const (
	StatusRunning   Status = "RUNNING"
	StatusScheduled Status = "SCHEDULED"
	StatusFinished  Status = "FINISHED"
	StatusFailed    Status = "FAILED"
	StatusKilled    Status = "KILLED"
)

// Valid reports whether s is a known status.
func (s Status) Valid() bool {
	return s == StatusRunning || s == StatusScheduled || s.Ended()
}

// Ended reports whether a run of this status is over.
func (s Status) Ended() bool {
	return s == StatusFinished || s == StatusFailed || s == StatusKilled
}

// Tags that MLflow's clients and user interfaces give a meaning.
const (
	TagRunName    = "mlflow.runName"
	TagUser       = "mlflow.user"
	TagSourceName = "mlflow.source.name"
	TagSourceType = "mlflow.source.type"
	TagParentRun  = "mlflow.parentRunId"
	TagCommit     = "mlflow.source.git.commit"
	tagContext    = "mlflow.data.context"
)

// Run is one execution that was tracked.
type Run struct {
	ID           string
	ExperimentID string
	Name         string
	User         string
	Status       Status
	Lifecycle    Lifecycle
	StartTime    time.Time
	EndTime      time.Time // zero while it runs
	Metrics      []Metric  // the latest point of each key
	Params       []Param
	Tags         []Tag
	Inputs       []DatasetInput
	ModelInputs  []ModelRef
	ModelOutputs []ModelRef

	num, exp int64
}

// ArtifactURI is where the official clients find the run's files.
func (r Run) ArtifactURI() string {
	return "mlflow-artifacts:/" + r.ExperimentID + "/" + r.ID + "/artifacts"
}

// RunRoot is the blob root of a run's files.
func RunRoot(runID string) string { return "run/" + runID }

// Param is an input of a run that never changes.
type Param struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Point is one value of a metric. Time is in milliseconds since 1970 UTC as the client gave it; Value may be NaN or infinite.
type Point struct {
	Step  int64
	Time  int64
	Value float64
}

// Metric is a point with its key. A metric about a logged model, measured on a dataset or not, names them.
type Metric struct {
	Key string
	Point
	ModelID       string
	DatasetName   string
	DatasetDigest string
	RunID         string // on metrics of logged models: the run that measured
}

// newer orders points as "latest" does: by step, then time, then value, NaN lowest.
func (p Point) newer(than Point) bool {
	switch {
	case p.Step != than.Step:
		return p.Step > than.Step
	case p.Time != than.Time:
		return p.Time > than.Time
	}
	return p.Value > than.Value || (math.IsNaN(than.Value) && !math.IsNaN(p.Value))
}

// Batch is what is logged to a run at once.
type Batch struct {
	Metrics []Metric
	Params  []Param
	Tags    []Tag
}

// maxMillis bounds times given by clients to the year 9999.
const maxMillis = 253_402_300_799_999

func (b Batch) validate() error {
	var c errs.Collector
	if n := len(b.Metrics) + len(b.Params) + len(b.Tags); n > MaxBatch {
		c.Add("batch", "A batch logging request can contain at most %d entities in total; got %d", MaxBatch, n)
	}
	if len(b.Metrics) > MaxBatchMetrics {
		c.Add("metrics", "expected at most %d metrics, got %d", MaxBatchMetrics, len(b.Metrics))
	}
	if len(b.Params) > MaxBatchParams {
		c.Add("params", "expected at most %d params, got %d", MaxBatchParams, len(b.Params))
	}
	if len(b.Tags) > MaxBatchTags {
		c.Add("tags", "expected at most %d tags, got %d", MaxBatchTags, len(b.Tags))
	}
	if err := c.Err("tracking.log", "the batch is too large"); err != nil {
		return err
	}
	checked := map[string]bool{}
	for i, m := range b.Metrics {
		if !checked[m.Key] { // a thousand points have a few keys
			checked[m.Key] = true
			checkKey(&c, fmt.Sprintf("metrics[%d].key", i), m.Key, MaxKey)
		}
		if m.Time < 0 || m.Time > maxMillis {
			c.Add(fmt.Sprintf("metrics[%d].timestamp", i), "expected milliseconds since 1970, got %d", m.Time)
		}
	}
	for i, p := range b.Params {
		checkKey(&c, fmt.Sprintf("params[%d].key", i), p.Key, MaxKey)
		checkText(&c, fmt.Sprintf("params[%d].value", i), p.Value, MaxParamValue)
	}
	validateTags(&c, b.Tags)
	return c.Err("tracking.log", "the batch is not valid")
}

func validateTags(c *errs.Collector, tags []Tag) {
	for i, t := range tags {
		checkKey(c, fmt.Sprintf("tags[%d].key", i), t.Key, MaxKey)
		checkText(c, fmt.Sprintf("tags[%d].value", i), t.Value, MaxTagValue)
	}
}

// NewRun describes a run to start.
type NewRun struct {
	ExperimentID string
	Name         string
	User         string
	StartTime    time.Time // zero: now
	Tags         []Tag
}

func (n NewRun) validate() error {
	var c errs.Collector
	checkText(&c, "run_name", n.Name, MaxRunName)
	checkText(&c, "user_id", n.User, MaxKey)
	validateTags(&c, n.Tags)
	checkTime(&c, "start_time", n.StartTime)
	if have := tagValue(n.Tags, TagRunName); n.Name != "" && have != "" && have != n.Name {
		c.Add("run_name", "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='%s', mlflow.runName='%s').", clip(n.Name), clip(have))
	}
	return c.Err("tracking.create_run", "the run is not valid")
}

func checkTime(c *errs.Collector, field string, t time.Time) {
	if ms := t.UnixMilli(); !t.IsZero() && (ms < -maxMillis || ms > maxMillis) {
		c.Add(field, "expected milliseconds since 1970")
	}
}

// RunChange is what Update changes; nil leaves a field as it is.
type RunChange struct {
	Status  *Status
	EndTime *time.Time
	Name    *string
}

func (ch RunChange) validate() error {
	var c errs.Collector
	if ch.Status != nil && !ch.Status.Valid() {
		c.Add("status", "expected RUNNING, SCHEDULED, FINISHED, FAILED or KILLED, got %q", clip(string(*ch.Status)))
	}
	if ch.Name != nil {
		checkText(&c, "run_name", *ch.Name, MaxRunName)
	}
	if ch.EndTime != nil {
		checkTime(&c, "end_time", *ch.EndTime)
	}
	return c.Err("tracking.update_run", "the change is not valid")
}

func tagValue(tags []Tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// Tag gives the value of one tag, or "".
func (r Run) Tag(key string) string { return tagValue(r.Tags, key) }

// randomName is a run name for those that have none: easy to say, like "calm-otter-417".
func randomName() string {
	adjectives := [...]string{"amber", "bold", "brisk", "calm", "clear", "clever", "cosy", "crisp", "eager", "early", "fair", "fleet", "gentle", "glad",
		"golden", "grand", "happy", "hardy", "keen", "kind", "light", "lively", "loyal", "lucky", "merry", "mild", "neat", "nimble", "noble", "patient",
		"plain", "polite", "proud", "quick", "quiet", "rapid", "rare", "ready", "silent", "silver", "smart", "steady", "sunny", "swift", "tidy", "vivid", "warm", "wise"}
	nouns := [...]string{"badger", "bear", "beaver", "bison", "crane", "crow", "deer", "dolphin", "duck", "eagle", "falcon", "finch", "fox", "goose", "hare",
		"hawk", "heron", "horse", "jay", "kite", "lark", "lion", "lynx", "magpie", "marten", "mole", "moose", "newt", "otter", "owl", "pike", "puffin",
		"quail", "raven", "robin", "salmon", "seal", "shrew", "snipe", "sparrow", "stoat", "stork", "swan", "tern", "thrush", "trout", "turtle", "whale", "wolf", "wren"}
	return fmt.Sprintf("%s-%s-%d", adjectives[rand.IntN(len(adjectives))], nouns[rand.IntN(len(nouns))], rand.IntN(1000)) //nolint:gosec // a name, no secret
}
