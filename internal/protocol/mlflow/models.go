package mlflow

import (
	"bytes"
	"context"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

func (e *Edge) modelRoutes(at registrar) {
	const p = "/2.0/mlflow/logged-models"
	at("POST", p, runWrite, call(e, e.createModel))
	at("POST", p+"/search", runRead, call(e, e.searchModels))
	at("GET", p+"/{model_id}", runRead, call(e, e.getModel))
	at("PATCH", p+"/{model_id}", runWrite, call(e, e.finalizeModel))
	at("DELETE", p+"/{model_id}", runWrite, call(e, e.deleteModel))
	at("PATCH", p+"/{model_id}/tags", runWrite, call(e, e.setModelTags))
	at("DELETE", p+"/{model_id}/tags/{tag_key}", runWrite, call(e, e.deleteModelTag))
	at("POST", p+"/{model_id}/params", runWrite, call(e, e.logModelParams))
	at("GET", p+"/{model_id}/artifacts/directories", runRead, call(e, e.listModelFiles))
}

type loggedModel struct {
	Info loggedModelInfo `json:"info"`
	Data struct {
		Params  []keyValue `json:"params,omitempty"`
		Metrics []metric   `json:"metrics,omitempty"`
	} `json:"data"`
}

type loggedModelInfo struct {
	ID           string     `json:"model_id"`
	ExperimentID string     `json:"experiment_id"`
	Name         string     `json:"name"`
	Created      integer    `json:"creation_timestamp_ms"`
	Updated      integer    `json:"last_updated_timestamp_ms"`
	ArtifactURI  string     `json:"artifact_uri"`
	Status       string     `json:"status"`
	Type         string     `json:"model_type"`
	RunID        string     `json:"source_run_id"`
	StatusText   string     `json:"status_message,omitempty"`
	Tags         []keyValue `json:"tags,omitempty"`
}

const statusPrefix = "LOGGED_MODEL_"

func fromModel(m tracking.LoggedModel) loggedModel {
	var out loggedModel
	out.Info = loggedModelInfo{m.ID, m.ExperimentID, m.Name, millis(m.CreatedAt), millis(m.UpdatedAt), m.ArtifactURI(), statusPrefix + string(m.Status),
		m.Type, m.RunID, m.StatusMessage, fromTags(m.Tags)}
	out.Data.Params, out.Data.Metrics = fromParams(m.Params), fromMetrics(m.Metrics)
	return out
}

type modelReply struct {
	Model loggedModel `json:"model"`
}

func (e *Edge) createModel(ctx context.Context, in *struct {
	ExperimentID string     `json:"experiment_id"`
	Name         string     `json:"name"`
	Type         string     `json:"model_type"`
	RunID        string     `json:"source_run_id"`
	Params       []keyValue `json:"params"`
	Tags         []keyValue `json:"tags"`
}) (modelReply, error) {
	if in.ExperimentID == "" {
		return modelReply{}, missing("experiment_id")
	}
	m, err := e.d.Tracking.CreateModel(ctx, tracking.NewModel{ExperimentID: in.ExperimentID, Name: in.Name, Type: in.Type, RunID: in.RunID, Tags: tagsOf(in.Tags), Params: paramsOf(in.Params)})
	return modelReply{fromModel(m)}, err
}

type modelID struct {
	ID string `json:"-" path:"model_id"`
}

func (e *Edge) getModel(ctx context.Context, in *modelID) (modelReply, error) {
	m, err := e.d.Tracking.Model(ctx, in.ID)
	return modelReply{fromModel(m)}, err
}

// modelStatus is MLflow's LoggedModelStatus.
type modelStatus string

// UnmarshalJSON accepts the name or protobuf's number.
func (s *modelStatus) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if name, ok := map[string]string{"1": "PENDING", "2": "READY", "3": "UPLOAD_FAILED"}[text]; ok {
		text = name
	}
	*s = modelStatus(strings.TrimPrefix(text, statusPrefix))
	return nil
}

func (e *Edge) finalizeModel(ctx context.Context, in *struct {
	ID     string      `json:"-" path:"model_id"`
	Status modelStatus `json:"status"`
}) (modelReply, error) {
	m, err := e.d.Tracking.FinalizeModel(ctx, in.ID, tracking.ModelStatus(in.Status))
	return modelReply{fromModel(m)}, err
}

func (e *Edge) deleteModel(ctx context.Context, in *modelID) (none, error) {
	return none{}, e.d.Tracking.DeleteModel(ctx, in.ID)
}

func (e *Edge) setModelTags(ctx context.Context, in *struct {
	ID   string     `json:"-" path:"model_id"`
	Tags []keyValue `json:"tags"`
}) (modelReply, error) {
	m, err := e.d.Tracking.SetModelTags(ctx, in.ID, tagsOf(in.Tags))
	return modelReply{fromModel(m)}, err
}

func (e *Edge) deleteModelTag(ctx context.Context, in *struct {
	ID  string `json:"-" path:"model_id"`
	Key string `json:"-" path:"tag_key"`
}) (none, error) {
	return none{}, e.d.Tracking.DeleteModelTag(ctx, in.ID, in.Key)
}

func (e *Edge) logModelParams(ctx context.Context, in *struct {
	ID     string     `json:"-" path:"model_id"`
	Params []keyValue `json:"params"`
}) (none, error) {
	return none{}, e.d.Tracking.LogModelParams(ctx, in.ID, paramsOf(in.Params))
}

type searchModelsIn struct {
	ExperimentIDs []string `json:"experiment_ids"`
	Filter        string   `json:"filter"`
	Max           integer  `json:"max_results"`
	PageToken     string   `json:"page_token"`
	Datasets      []struct {
		Name   string `json:"dataset_name"`
		Digest string `json:"dataset_digest"`
	} `json:"datasets"`
	OrderBy []struct {
		Field     string `json:"field_name"`
		Ascending *bool  `json:"ascending"`
		Dataset   string `json:"dataset_name"`
		Digest    string `json:"dataset_digest"`
	} `json:"order_by"`
}

type modelsReply struct {
	Models []loggedModel `json:"models,omitempty"`
	Next   string        `json:"next_page_token,omitempty"`
}

func (e *Edge) searchModels(ctx context.Context, in *searchModelsIn) (modelsReply, error) {
	if len(in.ExperimentIDs) == 0 {
		return modelsReply{}, errs.Invalidf("mlflow.search_models", "Logged models search requires at least one experiment ID").WithField("experiment_ids", "expected one or more ids")
	}
	if err := checkMax(in.Max, tracking.DefaultRunsPerPage); err != nil {
		return modelsReply{}, err
	}
	q := tracking.Query{ExperimentIDs: in.ExperimentIDs, Filter: in.Filter, Limit: int(in.Max), PageToken: in.PageToken}
	for _, d := range in.Datasets {
		if d.Name == "" {
			return modelsReply{}, missing("datasets.dataset_name")
		}
		q.Datasets = append(q.Datasets, tracking.DatasetRef{Name: d.Name, Digest: d.Digest})
	}
	for _, o := range in.OrderBy {
		if o.Field == "" {
			return modelsReply{}, missing("order_by.field_name")
		}
		dir := " ASC"
		if o.Ascending != nil && !*o.Ascending {
			dir = " DESC"
		}
		q.OrderBy = append(q.OrderBy, o.Field+dir)
		if o.Dataset != "" && len(q.Datasets) == 0 {
			q.Datasets = append(q.Datasets, tracking.DatasetRef{Name: o.Dataset, Digest: o.Digest})
		}
	}
	ms, next, err := e.d.Tracking.SearchModels(ctx, q)
	out := modelsReply{Next: next}
	for _, m := range ms {
		out.Models = append(out.Models, fromModel(m))
	}
	return out, err
}
