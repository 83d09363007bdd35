package tracking

// The events that tracking publishes.
const (
	EventExperimentCreated = "tracking.experiment.created"
	EventRunCreated        = "tracking.run.created"
	EventRunEnded          = "tracking.run.ended"
	EventInputsLogged      = "tracking.run.inputs_logged"
	EventModelLogged       = "tracking.model.logged"
	EventRunImported       = "tracking.run.imported"
	EventRunsMoved         = "tracking.run.moved"
	EventExperimentMerged  = "tracking.experiment.merged"
)

type experimentCreated struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
}

type runCreated struct {
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
}

type runEnded struct {
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
	Status       string `json:"status"`
}

type inputNote struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Context    string `json:"context"`
}

type inputsLogged struct {
	RunID        string      `json:"run_id"`
	ExperimentID string      `json:"experiment_id"`
	Inputs       []inputNote `json:"inputs"`
}

type modelLogged struct {
	ModelID      string `json:"model_id"`
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
}

type runsMoved struct {
	RunIDs []string `json:"run_ids"`
	From   []string `json:"from"`
	To     string   `json:"experiment_id"`
	Models int64    `json:"models"`
}

type experimentMerged struct {
	ExperimentID string `json:"experiment_id"`
	Into         string `json:"into"`
	Runs         int64  `json:"runs"`
	Models       int64  `json:"models"`
}
