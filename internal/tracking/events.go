package tracking

// The events that tracking publishes.
const (
	EventExperimentCreated = "tracking.experiment.created"
	EventRunCreated        = "tracking.run.created"
	EventRunEnded          = "tracking.run.ended"
	EventInputsLogged      = "tracking.run.inputs_logged"
	EventModelLogged       = "tracking.model.logged"

	EventExperimentEdited    = "tracking.experiment.edited"
	EventExperimentConcluded = "tracking.experiment.concluded"
	EventRunEdited           = "tracking.run.edited"
	EventViewSaved           = "tracking.view.saved"
	EventViewDeleted         = "tracking.view.deleted"

	EventExperimentDeleted  = "tracking.experiment.deleted"
	EventExperimentRestored = "tracking.experiment.restored"
	EventExperimentPurged   = "tracking.experiment.purged"
	EventRunDeleted         = "tracking.run.deleted"
	EventRunRestored        = "tracking.run.restored"
	EventRunPurged          = "tracking.run.purged"
	EventModelDeleted       = "tracking.model.deleted"
	EventModelRestored      = "tracking.model.restored"
	EventModelPurged        = "tracking.model.purged"
	EventRunImported        = "tracking.run.imported"
	EventRunsMoved          = "tracking.run.moved"
	EventExperimentMerged   = "tracking.experiment.merged"
)

type experimentCreated struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Workspace    string `json:"workspace,omitempty"`
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

// experimentEdited names what was changed; the texts are in the experiment.
type experimentEdited struct {
	ExperimentID string   `json:"experiment_id"`
	Fields       []string `json:"fields"`
}

type experimentConcluded struct {
	ExperimentID string `json:"experiment_id"`
	Outcome      string `json:"outcome"`
	Previous     string `json:"previous,omitempty"`
	Summary      string `json:"summary,omitempty"`
}

type runEdited struct {
	RunID        string   `json:"run_id"`
	ExperimentID string   `json:"experiment_id"`
	Fields       []string `json:"fields"`
}

type viewChanged struct {
	ExperimentID string `json:"experiment_id"`
	ViewID       string `json:"view_id"`
	Name         string `json:"name"`
}

// runMarked tells that a run was deleted or restored.
type runMarked struct {
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
}

type runPurged struct {
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
	Files        int64  `json:"files"`
	Bytes        int64  `json:"bytes"`
}

type modelPurged struct {
	ModelID      string `json:"model_id"`
	RunID        string `json:"run_id"`
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Files        int64  `json:"files"`
	Bytes        int64  `json:"bytes"`
}

// experimentPurged counts what went since the purge was begun or taken up again.
type experimentPurged struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Runs         int64  `json:"runs"`
	Models       int64  `json:"models"`
	Files        int64  `json:"files"`
	Bytes        int64  `json:"bytes"`
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
