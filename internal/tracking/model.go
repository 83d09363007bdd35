package tracking

import (
	"fmt"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// ModelStatus is how a logged model stands.
type ModelStatus string

// The statuses of a logged model.
const (
	ModelPending ModelStatus = "PENDING"
	ModelReady   ModelStatus = "READY"
	ModelFailed  ModelStatus = "UPLOAD_FAILED"
)

// Valid reports whether s is a known status.
func (s ModelStatus) Valid() bool {
	return s == ModelPending || s == ModelReady || s == ModelFailed
}

// LoggedModel is a model that was saved by a run (or by hand) and is not registered by that.
type LoggedModel struct {
	ID            string
	ExperimentID  string
	Name          string
	Type          string
	Status        ModelStatus
	StatusMessage string
	RunID         string
	User          string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Tags          []Tag
	Params        []Param
	Metrics       []Metric // the latest per key, dataset and run

	exp int64
}

// ArtifactURI is where the official clients find the model's files.
func (m LoggedModel) ArtifactURI() string {
	return "mlflow-artifacts:/" + m.ExperimentID + "/models/" + m.ID + "/artifacts"
}

// ModelRoot is the blob root of a logged model's files.
func ModelRoot(modelID string) string { return "logged-model/" + modelID }

// NewModel describes a logged model to create.
type NewModel struct {
	ExperimentID string
	Name         string // empty: a random one
	Type         string
	RunID        string
	Tags         []Tag
	Params       []Param
}

func (n NewModel) validate() error {
	var c errs.Collector
	checkText(&c, "name", n.Name, MaxExperimentName)
	for _, r := range n.Name {
		switch r {
		case '/', ':', '.', '%', '"', '\'':
			c.Add("name", "Invalid model name (%s) provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%%', '\"', \"'\")", clip(n.Name))
		default:
			continue
		}
		break
	}
	checkText(&c, "model_type", n.Type, MaxExperimentName)
	validateModelValues(&c, n.Tags, n.Params)
	return c.Err("tracking.create_model", "the logged model is not valid")
}

// validateModelValues takes any key: MLflow, which never stores those of logged models as files, does too.
func validateModelValues(c *errs.Collector, tags []Tag, params []Param) {
	for i, t := range tags {
		checkAnyKey(c, fmt.Sprintf("tags[%d].key", i), t.Key, MaxKey)
		checkText(c, fmt.Sprintf("tags[%d].value", i), t.Value, MaxModelTagValue)
	}
	for i, p := range params {
		checkAnyKey(c, fmt.Sprintf("params[%d].key", i), p.Key, MaxKey)
		checkText(c, fmt.Sprintf("params[%d].value", i), p.Value, MaxParamValue)
	}
}
