package transfer

import (
	"bytes"
	"fmt"
	"strconv"
)

// integer is an int64 that MLflow's servers send as a number and protobuf's own JSON as a text.
type integer int64

func (n *integer) UnmarshalJSON(b []byte) error {
	s := string(bytes.Trim(b, `"`))
	if s == "null" || s == "" {
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != float64(int64(f)) {
			return fmt.Errorf("expected a whole number, got %.40s", s)
		}
		v = int64(f)
	}
	*n = integer(v)
	return nil
}

// double is a float64; NaN and the infinities are texts.
type double float64

func (d *double) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil {
		return fmt.Errorf("expected a number, got %.40s", b)
	}
	*d = double(v)
	return nil
}

func (d double) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(float64(d), 'g', -1, 64)
	switch s {
	case "NaN":
		return []byte(`"NaN"`), nil
	case "+Inf":
		return []byte(`"Infinity"`), nil
	case "-Inf":
		return []byte(`"-Infinity"`), nil
	}
	return []byte(s), nil
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func toMap(in []keyValue) map[string]string {
	out := make(map[string]string, len(in))
	for _, t := range in {
		out[t.Key] = t.Value
	}
	return out
}

type wireExperiment struct {
	ID        string     `json:"experiment_id"`
	Name      string     `json:"name"`
	Lifecycle string     `json:"lifecycle_stage"`
	Created   integer    `json:"creation_time"`
	Updated   integer    `json:"last_update_time"`
	Tags      []keyValue `json:"tags"`
}

const deleted = "deleted"

func (w wireExperiment) plain() Experiment {
	return Experiment{ID: w.ID, Name: w.Name, Deleted: w.Lifecycle == deleted, Created: int64(w.Created), Updated: int64(w.Updated), Tags: toMap(w.Tags)}
}

type wireMetric struct {
	Key           string  `json:"key"`
	Value         double  `json:"value"`
	Time          integer `json:"timestamp"`
	Step          integer `json:"step"`
	ModelID       string  `json:"model_id,omitempty"`
	Dataset       string  `json:"dataset_name,omitempty"`
	DatasetDigest string  `json:"dataset_digest,omitempty"`
	RunID         string  `json:"run_id,omitempty"`
}

func (w wireMetric) point() Point {
	return Point{Step: int64(w.Step), Time: int64(w.Time), Value: float64(w.Value)}
}

type wireRef struct {
	ModelID string  `json:"model_id"`
	Step    integer `json:"step"`
}

func toRefs(in []wireRef) []Ref {
	var out []Ref
	for _, m := range in {
		out = append(out, Ref{m.ModelID, int64(m.Step)})
	}
	return out
}

type wireInput struct {
	Tags    []keyValue  `json:"tags,omitempty"`
	Dataset wireDataset `json:"dataset"`
}

type wireDataset struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

type wireRun struct {
	Info struct {
		RunID      string  `json:"run_id"`
		RunUUID    string  `json:"run_uuid"`
		Experiment string  `json:"experiment_id"`
		Name       string  `json:"run_name"`
		User       string  `json:"user_id"`
		Status     string  `json:"status"`
		Start      integer `json:"start_time"`
		End        integer `json:"end_time"`
		URI        string  `json:"artifact_uri"`
		Lifecycle  string  `json:"lifecycle_stage"`
	} `json:"info"`
	Data struct {
		Metrics []wireMetric `json:"metrics"`
		Params  []keyValue   `json:"params"`
		Tags    []keyValue   `json:"tags"`
	} `json:"data"`
	Inputs struct {
		Datasets []wireInput `json:"dataset_inputs"`
		Models   []wireRef   `json:"model_inputs"`
	} `json:"inputs"`
	Outputs struct {
		Models []wireRef `json:"model_outputs"`
	} `json:"outputs"`
}

func (w wireRun) plain() Run {
	i := w.Info
	r := Run{ID: i.RunID, Experiment: i.Experiment, Name: i.Name, User: i.User, Status: i.Status, Deleted: i.Lifecycle == deleted, Start: int64(i.Start), End: int64(i.End),
		ArtifactURI: i.URI, Params: toMap(w.Data.Params), Tags: toMap(w.Data.Tags), Latest: map[string]Point{}, ModelInputs: toRefs(w.Inputs.Models), ModelOutputs: toRefs(w.Outputs.Models)}
	if r.ID == "" {
		r.ID = i.RunUUID
	}
	for _, m := range w.Data.Metrics {
		r.Latest[m.Key] = m.point()
	}
	for _, d := range w.Inputs.Datasets {
		x := d.Dataset
		r.Inputs = append(r.Inputs, Input{x.Name, x.Digest, x.SourceType, x.Source, x.Schema, x.Profile, toMap(d.Tags)})
	}
	return r.named()
}

// named fills the name from the tag that mirrors it, for stores older than the name.
func (r Run) named() Run {
	if r.Name == "" {
		r.Name = r.Tags["mlflow.runName"]
	}
	return r
}

type wireLoggedModel struct {
	Info struct {
		ID         string     `json:"model_id"`
		Experiment string     `json:"experiment_id"`
		Name       string     `json:"name"`
		Created    integer    `json:"creation_timestamp_ms"`
		Updated    integer    `json:"last_updated_timestamp_ms"`
		URI        string     `json:"artifact_uri"`
		Status     any        `json:"status"`
		Type       string     `json:"model_type"`
		RunID      string     `json:"source_run_id"`
		StatusText string     `json:"status_message"`
		Tags       []keyValue `json:"tags"`
	} `json:"info"`
	Data struct {
		Params  []keyValue   `json:"params"`
		Metrics []wireMetric `json:"metrics"`
	} `json:"data"`
}

func (w wireLoggedModel) plain() LoggedModel {
	i := w.Info
	m := LoggedModel{ID: i.ID, Experiment: i.Experiment, Name: i.Name, Type: i.Type, RunID: i.RunID, Status: modelStatus(fmt.Sprint(i.Status)), StatusMessage: i.StatusText,
		Created: int64(i.Created), Updated: int64(i.Updated), ArtifactURI: i.URI, Params: toMap(w.Data.Params), Tags: toMap(i.Tags)}
	for _, x := range w.Data.Metrics {
		m.Metrics = append(m.Metrics, ModelMetric{x.Key, x.Dataset, x.DatasetDigest, x.RunID, x.point()})
	}
	m.Metrics = newestMetrics(m.Metrics)
	return m
}

// modelStatus reads the names and the numbers of LoggedModelStatus.
func modelStatus(s string) string {
	switch s {
	case "1", "LOGGED_MODEL_PENDING", "PENDING":
		return "PENDING"
	case "3", "LOGGED_MODEL_UPLOAD_FAILED", "UPLOAD_FAILED":
		return "UPLOAD_FAILED"
	}
	return "READY"
}

type wireRegistered struct {
	Name        string     `json:"name"`
	Created     integer    `json:"creation_timestamp"`
	Updated     integer    `json:"last_updated_timestamp"`
	Description string     `json:"description"`
	Tags        []keyValue `json:"tags"`
	Aliases     []struct {
		Alias   string `json:"alias"`
		Version any    `json:"version"`
	} `json:"aliases"`
}

func (w wireRegistered) plain() RegisteredModel {
	m := RegisteredModel{Name: w.Name, Description: w.Description, Created: int64(w.Created), Updated: int64(w.Updated), Tags: toMap(w.Tags), Aliases: map[string]string{}}
	for _, a := range w.Aliases {
		m.Aliases[a.Alias] = fmt.Sprint(a.Version)
	}
	return m
}

type wireVersion struct {
	Name        string     `json:"name"`
	Version     any        `json:"version"`
	Created     integer    `json:"creation_timestamp"`
	Updated     integer    `json:"last_updated_timestamp"`
	User        string     `json:"user_id"`
	Stage       string     `json:"current_stage"`
	Description string     `json:"description"`
	Source      string     `json:"source"`
	RunID       string     `json:"run_id"`
	Status      string     `json:"status"`
	StatusText  string     `json:"status_message"`
	Tags        []keyValue `json:"tags"`
	ModelID     string     `json:"model_id"`
	RunLink     string     `json:"run_link"`
}

func (w wireVersion) plain() Version {
	return Version{Model: w.Name, Version: fmt.Sprint(w.Version), Source: w.Source, RunID: w.RunID, ModelID: w.ModelID, RunLink: w.RunLink, Description: w.Description, User: w.User,
		Stage: stageName(w.Stage), Status: versionStatus(w.Status), StatusMessage: w.StatusText, Created: int64(w.Created), Updated: int64(w.Updated), Tags: toMap(w.Tags)}
}

func stageName(s string) string {
	switch s {
	case "Staging", "Production", "Archived":
		return s
	}
	return "None"
}

func versionStatus(s string) string {
	switch s {
	case "PENDING_REGISTRATION":
		return "PENDING"
	case "FAILED_REGISTRATION":
		return "FAILED"
	}
	return "READY"
}
