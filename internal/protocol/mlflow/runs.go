package mlflow

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

func (e *Edge) runRoutes(at registrar) {
	const p = "/2.0/mlflow/runs/"
	at("POST", p+"create", runWrite, call(e, e.createRun))
	at("GET", p+"get", runRead, call(e, e.getRun))
	at("POST", p+"update", runWrite, call(e, e.updateRun))
	at("POST", p+"delete", runWrite, call(e, e.deleteRun))
	at("POST", p+"restore", runWrite, call(e, e.restoreRun))
	at("POST", p+"search", runRead, call(e, e.searchRuns))
	at("POST", p+"log-metric", runWrite, call(e, e.logMetric))
	at("POST", p+"log-parameter", runWrite, call(e, e.logParam))
	at("POST", p+"set-tag", runWrite, call(e, e.setTag))
	at("POST", p+"delete-tag", runWrite, call(e, e.deleteTag))
	at("POST", p+"log-batch", runWrite, e.logBatch)
	at("POST", p+"log-inputs", runWrite, call(e, e.logInputs))
	at("POST", p+"outputs", runWrite, call(e, e.logOutputs))
	at("POST", p+"log-model", runWrite, call(e, e.logModel))
	at("GET", "/2.0/mlflow/metrics/get-history", runRead, e.metricHistory)
	at("GET", "/2.0/mlflow/metrics/get-history-bulk-interval", runRead, call(e, e.historyInterval))
	at("GET", "/2.0/mlflow/metrics/get-history-bulk", runRead, call(e, e.historyBulk))
}

type runInfo struct {
	RunUUID      string  `json:"run_uuid"`
	ExperimentID string  `json:"experiment_id"`
	Name         string  `json:"run_name"`
	User         string  `json:"user_id"`
	Status       string  `json:"status"`
	Start        integer `json:"start_time"`
	End          integer `json:"end_time,omitempty"`
	ArtifactURI  string  `json:"artifact_uri"`
	Lifecycle    string  `json:"lifecycle_stage"`
	RunID        string  `json:"run_id"`
}

type metric struct {
	Key           string  `json:"key"`
	Value         double  `json:"value"`
	Timestamp     integer `json:"timestamp"`
	Step          integer `json:"step"`
	ModelID       string  `json:"model_id,omitempty"`
	DatasetName   string  `json:"dataset_name,omitempty"`
	DatasetDigest string  `json:"dataset_digest,omitempty"`
	RunID         string  `json:"run_id,omitempty"`
}

type datasetInput struct {
	Tags    []keyValue `json:"tags,omitempty"`
	Dataset dataset    `json:"dataset"`
}

type dataset struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

type modelRef struct {
	ModelID string  `json:"model_id"`
	Step    integer `json:"step"`
}

func fromRunInfo(r tracking.Run) runInfo {
	return runInfo{r.ID, r.ExperimentID, r.Name, r.User, string(r.Status), millis(r.StartTime), millis(r.EndTime), r.ArtifactURI(), string(r.Lifecycle), r.ID}
}

func fromMetrics(in []tracking.Metric) []metric {
	out := make([]metric, len(in))
	for i, m := range in {
		out[i] = metric{m.Key, double(m.Value), integer(m.Time), integer(m.Step), m.ModelID, m.DatasetName, m.DatasetDigest, m.RunID}
	}
	return out
}

func refsOf(in []modelRef) []tracking.ModelRef {
	out := make([]tracking.ModelRef, len(in))
	for i, m := range in {
		out[i] = tracking.ModelRef{ModelID: m.ModelID, Step: int64(m.Step)}
	}
	return out
}

// runID is how every call names its run; run_uuid is the name of old clients.
type runID struct {
	ID   string `json:"run_id"`
	UUID string `json:"run_uuid"`
}

func (r runID) get() (string, error) {
	switch {
	case r.ID != "":
		return r.ID, nil
	case r.UUID != "":
		return r.UUID, nil
	}
	return "", missing("run_id")
}

type createRunIn struct {
	ExperimentID string     `json:"experiment_id"`
	User         string     `json:"user_id"`
	Name         string     `json:"run_name"`
	Start        integer    `json:"start_time"`
	Tags         []keyValue `json:"tags"`
}

func (e *Edge) createRun(ctx context.Context, in *createRunIn) (runReply, error) {
	if in.ExperimentID == "" {
		in.ExperimentID = tracking.DefaultExperiment
	}
	if err := checkExperimentID(in.ExperimentID); err != nil {
		return runReply{}, err
	}
	r, err := e.d.Tracking.CreateRun(ctx, tracking.NewRun{ExperimentID: in.ExperimentID, Name: in.Name, User: in.User, StartTime: fromMillis(in.Start), Tags: runTags(in.Tags)})
	return runReply{r}, err
}

func (e *Edge) getRun(ctx context.Context, in *struct {
	ID   string `json:"run_id"`
	UUID string `json:"run_uuid"`
}) (runReply, error) {
	id, err := runID(*in).get()
	if err != nil {
		return runReply{}, err
	}
	r, err := e.d.Tracking.Run(ctx, id)
	return runReply{r}, err
}

type updateRunIn struct {
	ID     string  `json:"run_id"`
	UUID   string  `json:"run_uuid"`
	Status status  `json:"status"`
	End    integer `json:"end_time"`
	Name   *string `json:"run_name"`
}

// status is MLflow's RunStatus.
type status string

// UnmarshalJSON accepts the name or protobuf's number.
func (s *status) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if name, ok := map[string]string{"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED", "null": ""}[text]; ok {
		text = name
	}
	*s = status(text)
	return nil
}

type runInfoReply struct {
	Info runInfo `json:"run_info"`
}

func (e *Edge) updateRun(ctx context.Context, in *updateRunIn) (runInfoReply, error) {
	id, err := runID{in.ID, in.UUID}.get()
	if err != nil {
		return runInfoReply{}, err
	}
	ch := tracking.RunChange{Name: in.Name}
	if in.Status != "" {
		s := tracking.Status(in.Status)
		ch.Status = &s
	}
	if in.End != 0 {
		t := fromMillis(in.End)
		ch.EndTime = &t
	}
	r, err := e.d.Tracking.UpdateRun(ctx, id, ch)
	return runInfoReply{fromRunInfo(r)}, err
}

func (e *Edge) deleteRun(ctx context.Context, in *runID) (none, error) {
	id, err := in.get()
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.DeleteRun(ctx, id)
}

func (e *Edge) restoreRun(ctx context.Context, in *runID) (none, error) {
	id, err := in.get()
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.RestoreRun(ctx, id)
}

type searchRunsIn struct {
	ExperimentIDs []string `json:"experiment_ids"`
	Filter        string   `json:"filter"`
	View          view     `json:"run_view_type"`
	Max           *integer `json:"max_results"`
	OrderBy       []string `json:"order_by"`
	PageToken     string   `json:"page_token"`
}

func (e *Edge) searchRuns(ctx context.Context, in *searchRunsIn) (runsReply, error) {
	v, err := in.View.of()
	if err != nil {
		return runsReply{}, err
	}
	most, err := pageSize(in.Max, tracking.MaxRunsPerPage)
	if err != nil {
		return runsReply{}, err
	}
	for _, id := range in.ExperimentIDs {
		if err := checkExperimentID(id); err != nil {
			return runsReply{}, err
		}
	}
	page, err := e.d.Tracking.SearchRuns(ctx, tracking.RunQuery{ExperimentIDs: in.ExperimentIDs, Filter: in.Filter, OrderBy: in.OrderBy, View: v, Limit: most, PageToken: in.PageToken})
	return runsReply{page.Runs, page.Next}, err
}

type logMetricIn struct {
	ID            string   `json:"run_id"`
	UUID          string   `json:"run_uuid"`
	Key           string   `json:"key"`
	Value         *double  `json:"value"`
	Timestamp     *integer `json:"timestamp"`
	Step          integer  `json:"step"`
	ModelID       string   `json:"model_id"`
	DatasetName   string   `json:"dataset_name"`
	DatasetDigest string   `json:"dataset_digest"`
}

func (e *Edge) logMetric(ctx context.Context, in *logMetricIn) (none, error) {
	id, err := runID{in.ID, in.UUID}.get()
	switch {
	case err != nil:
		return none{}, err
	case in.Key == "":
		return none{}, missing("key")
	case in.Value == nil:
		return none{}, missing("value")
	case in.Timestamp == nil:
		return none{}, missing("timestamp")
	}
	m := tracking.Metric{Key: in.Key, Point: tracking.Point{Step: int64(in.Step), Time: int64(*in.Timestamp), Value: float64(*in.Value)},
		ModelID: in.ModelID, DatasetName: in.DatasetName, DatasetDigest: in.DatasetDigest}
	return none{}, e.d.Tracking.LogBatch(ctx, id, tracking.Batch{Metrics: []tracking.Metric{m}})
}

type runKeyValue struct {
	ID    string `json:"run_id"`
	UUID  string `json:"run_uuid"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (in *runKeyValue) check() (string, error) {
	if in.Key == "" {
		return "", missing("key")
	}
	return runID{in.ID, in.UUID}.get()
}

func (e *Edge) logParam(ctx context.Context, in *runKeyValue) (none, error) {
	id, err := in.check()
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.LogBatch(ctx, id, tracking.Batch{Params: runParams([]keyValue{{in.Key, in.Value}})})
}

func (e *Edge) setTag(ctx context.Context, in *runKeyValue) (none, error) {
	id, err := in.check()
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.LogBatch(ctx, id, tracking.Batch{Tags: runTags([]keyValue{{in.Key, in.Value}})})
}

func (e *Edge) deleteTag(ctx context.Context, in *runKeyValue) (none, error) {
	id, err := in.check()
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.DeleteTag(ctx, id, in.Key)
}

type logBatchIn struct {
	ID      string        `json:"run_id"`
	Metrics []batchMetric `json:"metrics"`
	Params  []keyValue    `json:"params"`
	Tags    []keyValue    `json:"tags"`
}

type batchMetric struct {
	Key           string   `json:"key"`
	Value         *double  `json:"value"`
	Timestamp     *integer `json:"timestamp"`
	Step          integer  `json:"step"`
	ModelID       string   `json:"model_id"`
	DatasetName   string   `json:"dataset_name"`
	DatasetDigest string   `json:"dataset_digest"`
}

func (e *Edge) logInputs(ctx context.Context, in *struct {
	ID       string         `json:"run_id"`
	Datasets []datasetInput `json:"datasets"`
	Models   []modelRef     `json:"models"`
}) (none, error) {
	if in.ID == "" {
		return none{}, missing("run_id")
	}
	inputs := make([]tracking.DatasetInput, len(in.Datasets))
	for i, d := range in.Datasets {
		x := d.Dataset
		inputs[i] = tracking.DatasetInput{Name: x.Name, Digest: x.Digest, SourceType: x.SourceType, Source: x.Source, Schema: x.Schema, Profile: x.Profile, Tags: tagsOf(d.Tags)}
	}
	return none{}, e.d.Tracking.LogInputs(ctx, in.ID, inputs, refsOf(in.Models))
}

func (e *Edge) logOutputs(ctx context.Context, in *struct {
	ID     string     `json:"run_id"`
	Models []modelRef `json:"models"`
}) (none, error) {
	switch {
	case in.ID == "":
		return none{}, missing("run_id")
	case in.Models == nil:
		return none{}, missing("models")
	}
	return none{}, e.d.Tracking.LogOutputs(ctx, in.ID, refsOf(in.Models))
}

// logModelHistory is the tag in which clients before MLflow 3 keep the models of a run, a JSON list.
const logModelHistory = "mlflow.log-model.history"

func (e *Edge) logModel(ctx context.Context, in *struct {
	ID    string `json:"run_id"`
	Model string `json:"model_json"`
}) (none, error) {
	if in.ID == "" {
		return none{}, missing("run_id")
	}
	var described struct {
		Path    string         `json:"artifact_path"`
		Flavors map[string]any `json:"flavors"`
	}
	if err := json.Unmarshal([]byte(in.Model), &described); err != nil {
		return none{}, errs.E(errs.Invalid, "mlflow.log_model", "Malformed model info: model_json is not JSON", err)
	}
	if described.Path == "" || described.Flavors == nil {
		return none{}, errs.Invalidf("mlflow.log_model", "model_json lacks artifact_path or flavors").WithField("model_json", "expected an MLmodel as JSON")
	}
	r, err := e.d.Tracking.Run(ctx, in.ID)
	if err != nil {
		return none{}, err
	}
	var history []json.RawMessage
	if have := r.Tag(logModelHistory); have != "" {
		if err := json.Unmarshal([]byte(have), &history); err != nil {
			return none{}, errs.E(errs.Invalid, "mlflow.log_model", "the tag "+logModelHistory+" of the run is not a JSON list", err)
		}
	}
	list, err := json.Marshal(append(history, json.RawMessage(in.Model)))
	if err != nil {
		return none{}, errs.E(errs.Invalid, "mlflow.log_model", "model_json is not JSON", err)
	}
	return none{}, e.d.Tracking.LogBatch(ctx, in.ID, tracking.Batch{Tags: []tracking.Tag{{Key: logModelHistory, Value: string(list)}}})
}
