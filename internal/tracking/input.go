package tracking

import (
	"fmt"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// DatasetInput is data that a run used.
type DatasetInput struct {
	Name       string
	Digest     string
	SourceType string
	Source     string // JSON, as the client describes it
	Schema     string
	Profile    string
	Context    string // training, evaluation..., from the tag mlflow.data.context
	Tags       []Tag
}

// ModelRef ties a run to a logged model that it used or made.
type ModelRef struct {
	ModelID string
	Step    int64
}

func validateInputs(inputs []DatasetInput, models []ModelRef) error {
	var c errs.Collector
	if n := len(inputs) + len(models); n > MaxInputsPerCall {
		c.Add("datasets", "expected at most %d inputs, got %d", MaxInputsPerCall, n)
		return c.Err("tracking.log_inputs", "too many inputs")
	}
	for i, in := range inputs {
		at := func(f string) string { return fmt.Sprintf("datasets[%d].%s", i, f) }
		if in.Name == "" {
			c.Add(at("dataset.name"), "expected a name")
		}
		if in.Digest == "" {
			c.Add(at("dataset.digest"), "expected a digest")
		}
		if in.SourceType == "" {
			c.Add(at("dataset.source_type"), "expected a source type")
		}
		checkText(&c, at("dataset.name"), in.Name, MaxDatasetName)
		checkText(&c, at("dataset.digest"), in.Digest, MaxDatasetDigest)
		checkText(&c, at("dataset.source_type"), in.SourceType, MaxKey)
		checkText(&c, at("dataset.source"), in.Source, MaxDatasetSource)
		checkText(&c, at("dataset.schema"), in.Schema, MaxDatasetSchema)
		checkText(&c, at("dataset.profile"), in.Profile, MaxDatasetProfile)
		for _, t := range in.Tags {
			checkText(&c, at("tags.key"), t.Key, MaxInputTagKey)
			checkText(&c, at("tags.value"), t.Value, MaxInputTagValue)
		}
	}
	checkModelRefs(&c, models)
	return c.Err("tracking.log_inputs", "the inputs are not valid")
}

func checkModelRefs(c *errs.Collector, models []ModelRef) {
	for i, m := range models {
		if m.ModelID == "" {
			c.Add(fmt.Sprintf("models[%d].model_id", i), "expected a model id")
		}
		checkText(c, fmt.Sprintf("models[%d].model_id", i), m.ModelID, MaxKey)
	}
}
