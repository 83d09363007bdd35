package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/modelyard/modelyard/internal/evalset"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

const (
	evalsetRead  httpx.Action = "evaluation-dataset:read"
	evalsetWrite httpx.Action = "evaluation-dataset:write"
)

func (e *Edge) evalsetRoutes(at registrar) {
	const p = "/3.0/mlflow/datasets/"
	at("POST", p+"create", evalsetWrite, call(e, e.createEvalset))
	at("POST", p+"search", evalsetRead, call(e, e.searchEvalsets))
	at("GET", p+"search", evalsetRead, call(e, e.searchEvalsets))
	at("GET", p+"{dataset_id}", evalsetRead, call(e, e.getEvalset))
	at("DELETE", p+"{dataset_id}", evalsetWrite, call(e, e.deleteEvalset))
	at("PATCH", p+"{dataset_id}/tags", evalsetWrite, call(e, e.setEvalsetTags))
	at("DELETE", p+"{dataset_id}/tags/{key}", evalsetWrite, call(e, e.deleteEvalsetTag))
	at("POST", p+"{dataset_id}/records", evalsetWrite, call(e, e.upsertRecords))
	at("GET", p+"{dataset_id}/records", evalsetRead, call(e, e.getRecords))
	at("DELETE", p+"{dataset_id}/records", evalsetWrite, call(e, e.deleteRecords))
	at("GET", p+"{dataset_id}/experiment-ids", evalsetRead, call(e, e.getEvalsetExperiments))
	at("POST", p+"{dataset_id}/add-experiments", evalsetWrite, call(e, e.addEvalsetExperiments))
	at("POST", p+"{dataset_id}/remove-experiments", evalsetWrite, call(e, e.removeEvalsetExperiments))
}

// evalsetOut is a dataset on the wire; tags, schema and profile are JSON in a text.
type evalsetOut struct {
	ID          string   `json:"dataset_id"`
	Name        string   `json:"name"`
	Tags        string   `json:"tags"`
	Schema      string   `json:"schema,omitempty"`
	Profile     string   `json:"profile,omitempty"`
	Digest      string   `json:"digest"`
	Created     integer  `json:"created_time"`
	Updated     integer  `json:"last_update_time"`
	CreatedBy   string   `json:"created_by,omitempty"`
	UpdatedBy   string   `json:"last_updated_by,omitempty"`
	Experiments []string `json:"experiment_ids,omitempty"`
}

func fromEvalset(d evalset.Dataset) evalsetOut {
	tags, _ := json.Marshal(d.Tags) // a map of strings
	out := evalsetOut{ID: d.ID, Name: d.Name, Tags: string(tags), Schema: string(d.Schema), Digest: d.Digest, Created: millis(d.CreatedAt), Updated: millis(d.UpdatedAt),
		CreatedBy: d.CreatedBy, UpdatedBy: d.UpdatedBy, Experiments: d.Experiments}
	if d.Records > 0 {
		out.Profile = `{"num_records": ` + string(jsonInt(d.Records)) + `}`
	}
	return out
}

func jsonInt(n int64) []byte { b, _ := json.Marshal(n); return b } // an integer always encodes

type evalsetReply struct {
	Dataset evalsetOut `json:"dataset"`
}

// tagText reads tags that come as JSON in a text. Values that are no texts become JSON; null is left out.
func tagText(text string) (map[string]string, error) {
	if text == "" {
		return map[string]string{}, nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, errs.E(errs.Invalid, "mlflow.dataset_tags", "the tags are not a JSON object in a text", err).WithField("tags", `expected a text such as {"key": "value"}`)
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		if string(v) != "null" {
			out[k] = valueText(v)
		}
	}
	return out, nil
}

func (e *Edge) createEvalset(ctx context.Context, in *struct {
	Name        string   `json:"name"`
	Tags        string   `json:"tags"`
	Experiments []string `json:"experiment_ids"`
}) (evalsetReply, error) {
	if in.Name == "" {
		return evalsetReply{}, missing("name")
	}
	tags, err := tagText(in.Tags)
	if err != nil {
		return evalsetReply{}, err
	}
	d, err := e.d.EvalSets.Create(ctx, in.Name, tags, in.Experiments)
	return evalsetReply{fromEvalset(d)}, err
}

type evalsetID struct {
	ID string `json:"dataset_id" path:"dataset_id"`
}

func (e *Edge) getEvalset(ctx context.Context, in *evalsetID) (evalsetReply, error) {
	d, err := e.d.EvalSets.Get(ctx, in.ID)
	return evalsetReply{fromEvalset(d)}, err
}

func (e *Edge) deleteEvalset(ctx context.Context, in *evalsetID) (none, error) {
	return none{}, e.d.EvalSets.Delete(ctx, in.ID)
}

func (e *Edge) searchEvalsets(ctx context.Context, in *struct {
	Experiments []string `json:"experiment_ids"`
	Filter      string   `json:"filter_string"`
	Max         integer  `json:"max_results"`
	OrderBy     []string `json:"order_by"`
	PageToken   string   `json:"page_token"`
}) (any, error) {
	if err := checkMax(in.Max, 50_000); err != nil {
		return nil, err
	}
	ds, next, err := e.d.EvalSets.Search(ctx, evalset.Query{ExperimentIDs: in.Experiments, Filter: in.Filter, OrderBy: in.OrderBy, Limit: int(in.Max), PageToken: in.PageToken})
	out := struct {
		Datasets []evalsetOut `json:"datasets,omitempty"`
		Next     string       `json:"next_page_token,omitempty"`
	}{Next: next}
	for _, d := range ds {
		out.Datasets = append(out.Datasets, fromEvalset(d))
	}
	return out, err
}

func (e *Edge) setEvalsetTags(ctx context.Context, in *struct {
	ID   string `json:"-" path:"dataset_id"`
	Tags string `json:"tags"`
}) (none, error) {
	if in.Tags == "" {
		return none{}, missing("tags")
	}
	tags, err := tagText(in.Tags)
	if err != nil {
		return none{}, err
	}
	return none{}, e.d.EvalSets.SetTags(ctx, in.ID, tags)
}

func (e *Edge) deleteEvalsetTag(ctx context.Context, in *struct {
	ID  string `json:"-" path:"dataset_id"`
	Key string `json:"-" path:"key"`
}) (none, error) {
	return none{}, e.d.EvalSets.DeleteTag(ctx, in.ID, in.Key)
}

// recordIn is a record of an upsert; outputs may be null, which is something else than absent.
type recordIn struct {
	Inputs       json.RawMessage            `json:"inputs"`
	Outputs      json.RawMessage            `json:"outputs"`
	Expectations json.RawMessage            `json:"expectations"`
	Tags         map[string]json.RawMessage `json:"tags"`
	Source       json.RawMessage            `json:"source"`
}

func (in *recordIn) record() (evalset.NewRecord, error) {
	out := evalset.NewRecord{Inputs: in.Inputs, Expectations: in.Expectations, Tags: map[string]string{}}
	if out.HasOutputs = len(in.Outputs) > 0; string(in.Outputs) != "null" {
		out.Outputs = in.Outputs
	}
	for k, v := range in.Tags {
		if string(v) != "null" {
			out.Tags[k] = valueText(v)
		}
	}
	if len(in.Source) > 0 && string(in.Source) != "null" {
		out.Source = &evalset.Source{}
		if err := json.Unmarshal(in.Source, out.Source); err != nil {
			return out, errs.E(errs.Invalid, "mlflow.records", "the source of a record cannot be read", err).WithField("records.source", "expected an object with source_type and source_data")
		}
	}
	return out, nil
}

func (e *Edge) upsertRecords(ctx context.Context, in *struct {
	ID        string `json:"-" path:"dataset_id"`
	Records   string `json:"records"`
	UpdatedBy string `json:"updated_by"`
}) (any, error) {
	if in.Records == "" {
		return nil, missing("records")
	}
	if tooDeep([]byte(in.Records)) {
		return nil, errs.Invalidf("mlflow.records", "the records are nested deeper than %d levels", maxNesting)
	}
	var list []recordIn
	if err := json.Unmarshal([]byte(in.Records), &list); err != nil {
		return nil, errs.E(errs.Invalid, "mlflow.records", "the records are not a JSON list in a text", err).WithField("records", "expected a text such as [{\"inputs\": {}}]")
	}
	records := make([]evalset.NewRecord, len(list))
	for i := range list {
		var err error
		if records[i], err = list[i].record(); err != nil {
			return nil, err
		}
	}
	n, err := e.d.EvalSets.Upsert(ctx, in.ID, records)
	return struct {
		Inserted int `json:"inserted_count"`
		Updated  int `json:"updated_count"`
	}{n.Inserted, n.Updated}, err
}

type recordOut struct {
	ID           string            `json:"dataset_record_id"`
	DatasetID    string            `json:"dataset_id"`
	Inputs       json.RawMessage   `json:"inputs"`
	Created      integer           `json:"created_time"`
	Updated      integer           `json:"last_update_time"`
	Outputs      json.RawMessage   `json:"outputs,omitempty"`
	Expectations json.RawMessage   `json:"expectations,omitempty"`
	Tags         map[string]string `json:"tags"`
	Source       *evalset.Source   `json:"source,omitempty"`
	SourceID     string            `json:"source_id,omitempty"`
	SourceType   string            `json:"source_type,omitempty"`
	CreatedBy    string            `json:"created_by,omitempty"`
	UpdatedBy    string            `json:"last_updated_by,omitempty"`
}

func (e *Edge) getRecords(ctx context.Context, in *struct {
	ID        string  `json:"-" path:"dataset_id"`
	Max       integer `json:"max_results"`
	PageToken string  `json:"page_token"`
}) (any, error) {
	if err := checkMax(in.Max, 50_000); err != nil {
		return nil, err
	}
	rs, next, err := e.d.EvalSets.Records(ctx, in.ID, int(in.Max), in.PageToken)
	if err != nil {
		return nil, err
	}
	list := make([]recordOut, len(rs))
	for i, r := range rs {
		list[i] = recordOut{r.ID, r.DatasetID, r.Inputs, millis(r.CreatedAt), millis(r.UpdatedAt), r.Outputs, r.Expectations, r.Tags, r.Source, r.SourceID(), "", r.CreatedBy, r.UpdatedBy}
		if r.Source != nil {
			list[i].SourceType = r.Source.Type
		}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		return nil, errs.E(errs.Internal, "mlflow.records", "cannot encode the records", err)
	}
	return struct {
		Records string `json:"records"`
		Next    string `json:"next_page_token,omitempty"`
	}{strings.TrimSpace(text.String()), next}, nil
}

func (e *Edge) deleteRecords(ctx context.Context, in *struct {
	ID  string   `json:"-" path:"dataset_id"`
	IDs []string `json:"dataset_record_ids"`
}) (any, error) {
	n, err := e.d.EvalSets.DeleteRecords(ctx, in.ID, in.IDs)
	return struct {
		Deleted int64 `json:"deleted_count"`
	}{n}, err
}

func (e *Edge) getEvalsetExperiments(ctx context.Context, in *evalsetID) (any, error) {
	d, err := e.d.EvalSets.Get(ctx, in.ID)
	return struct {
		IDs []string `json:"experiment_ids,omitempty"`
	}{d.Experiments}, err
}

type evalsetExperiments struct {
	ID          string   `json:"-" path:"dataset_id"`
	Experiments []string `json:"experiment_ids"`
}

func (e *Edge) addEvalsetExperiments(ctx context.Context, in *evalsetExperiments) (evalsetReply, error) {
	d, err := e.d.EvalSets.AddExperiments(ctx, in.ID, in.Experiments)
	return evalsetReply{fromEvalset(d)}, err
}

func (e *Edge) removeEvalsetExperiments(ctx context.Context, in *evalsetExperiments) (evalsetReply, error) {
	d, err := e.d.EvalSets.RemoveExperiments(ctx, in.ID, in.Experiments)
	return evalsetReply{fromEvalset(d)}, err
}
