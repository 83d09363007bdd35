package registry

import (
	"sort"
	"strconv"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Status says whether a version can be used.
type Status string

// The states of a version.
const (
	Pending Status = "PENDING"
	Ready   Status = "READY"
	Failed  Status = "FAILED"
)

// Valid reports whether s is known.
func (s Status) Valid() bool { return s == Pending || s == Ready || s == Failed }

// Stage is what MLflow clients before 2.9 use where others use aliases.
type Stage string

// The stages.
const (
	StageNone       Stage = "None"
	StageStaging    Stage = "Staging"
	StageProduction Stage = "Production"
	StageArchived   Stage = "Archived"
)

// Valid reports whether s is known.
func (s Stage) Valid() bool {
	return s == StageNone || s == StageStaging || s == StageProduction || s == StageArchived
}

// Signature is the schema of a model's inputs and outputs.
type Signature struct {
	Inputs  []infer.Spec  `json:"inputs"`
	Outputs []infer.Spec  `json:"outputs"`
	Params  []infer.Param `json:"params,omitempty"`
}

// Version is one version of a model.
type Version struct {
	Model         string             `json:"model"`
	Version       string             `json:"version"` // a decimal number, from 1
	Status        Status             `json:"status"`
	StatusMessage string             `json:"status_message,omitempty"`
	Stage         Stage              `json:"stage"`
	RunID         string             `json:"run_id,omitempty"`
	LoggedModelID string             `json:"model_id,omitempty"` // MLflow 3: m-<32 hex>
	RunLink       string             `json:"run_link,omitempty" doc:"where the run that made it is shown, when it is not of this server; any text, as the client gave it"`
	Source        string             `json:"source"` // the URI that was registered, as the client gave it
	Description   string             `json:"description"`
	Tags          map[string]string  `json:"tags"`
	Aliases       []string           `json:"aliases"`
	Flavor        string             `json:"flavor"`  // the most telling one: lightgbm, sklearn...
	Flavors       []string           `json:"flavors"` // all, sorted
	Runtime       string             `json:"runtime"` // native, onnxruntime or python: what is expected to run it; "" without a model
	Signature     *Signature         `json:"signature,omitempty"`
	Requirements  []string           `json:"requirements,omitempty"` // lines of requirements.txt
	PythonVersion string             `json:"python_version,omitempty"`
	MLflowVersion string             `json:"mlflow_version,omitempty"`
	InputExample  string             `json:"input_example,omitempty"` // path of the example's serving form below the model
	SizeBytes     int64              `json:"size_bytes"`
	FilesCount    int64              `json:"files_count"`
	Digest        string             `json:"digest"` // SHA-256 over the sorted "path NUL digest LF" of the files
	Metrics       map[string]float64 `json:"metrics"`
	Gates         []GateOutcome      `json:"gates"`
	CreatedAt     time.Time          `json:"created_at"`
	UpdatedAt     time.Time          `json:"updated_at"`
	CreatedBy     string             `json:"created_by"`

	modelID string
	number  int64
}

// URI is models:/name/version.
func (v Version) URI() string { return "models:/" + v.Model + "/" + v.Version }

// FilesRoot is the blob.Files root of the version's own copy of the files: MLmodel lies at its top.
func (v Version) FilesRoot() string { return VersionRoot(v.modelID, v.number) }

// VersionRoot is the blob.Files root of a version, by the model's internal id, which survives renaming. Use Version.FilesRoot.
func VersionRoot(modelID string, number int64) string {
	return "version/" + modelID + "/" + strconv.FormatInt(number, 10)
}

// GateOutcome is the newest verdict of one gate about a version.
type GateOutcome struct {
	Gate     string    `json:"gate"`
	Verdict  string    `json:"verdict"` // pass, fail or insufficient_data
	ResultID string    `json:"result_id"`
	At       time.Time `json:"at"`
}

// NewVersion describes a version to create. The files below FilesDir of FilesRoot are copied, by reference, into the version.
type NewVersion struct {
	Model         string
	Source        string // as the client gave it
	RunID         string
	LoggedModelID string
	RunLink       string // at most 500 characters
	FilesRoot     string // a blob.Files root, e.g. tracking.RunRoot(id)
	FilesDir      string // the folder of the model below it; "" for the root itself
	AllowNoFiles  bool   // MLflow prompts and versions of foreign sources have none
	Description   string
	Tags          map[string]string
	Metrics       map[string]float64 // of the run that made it
}

// VersionChange changes a version; nil leaves a field as it is. Tags are merged: a null value removes the tag.
type VersionChange struct {
	Description *string            `json:"description,omitempty"`
	Tags        map[string]*string `json:"tags,omitempty"`
}

// HistoryEntry is one thing that happened to a model.
type HistoryEntry struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"`
	What     string    `json:"what"` // model_created, model_renamed, version_created, version_deleted, alias_set, alias_deleted, stage_changed
	Alias    string    `json:"alias,omitempty"`
	Version  string    `json:"version,omitempty"`
	Previous string    `json:"previous,omitempty"` // the version before, the name before or the stage before
	Reason   string    `json:"reason,omitempty"`
}

// parseNumber reads a version number.
func parseNumber(version string) (int64, error) {
	n, err := strconv.ParseInt(version, 10, 64)
	if err == nil && n < 1 {
		return 0, errs.NotFoundf("registry.version", "there is no version %d, they count from 1", n)
	}
	if err != nil || strconv.FormatInt(n, 10) != version {
		return 0, errs.Invalidf("registry.version", "%.40q is not a version", version).WithField("version", "expected a whole number from 1")
	}
	return n, nil
}

// pyfunc is the flavour that nearly every model has beside its own.
const pyfunc = "python_function"

// mainFlavor is the flavour that says most about a model, and the sorted list of all.
func mainFlavor(flavors map[string]map[string]any) (string, []string) {
	all := make([]string, 0, len(flavors))
	for f := range flavors {
		all = append(all, f)
	}
	sort.Strings(all)
	for _, f := range all {
		if f != pyfunc {
			return f, all
		}
	}
	if len(all) > 0 {
		return pyfunc, all
	}
	return "", all
}

// runtimeHint is what is expected to run a model; loading it decides.
func runtimeHint(flavors map[string]map[string]any) string {
	switch {
	case flavors["xgboost"] != nil, flavors["lightgbm"] != nil:
		return infer.RuntimeNative
	case flavors["onnx"] != nil:
		return infer.RuntimeONNX
	case flavors[pyfunc] != nil:
		return infer.RuntimePython
	}
	return ""
}
