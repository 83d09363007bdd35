package mlflow

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/tracking"
)

func (e *Edge) experimentRoutes(at registrar) {
	const p = "/2.0/mlflow/experiments/"
	at("POST", p+"create", experimentWrite, call(e, e.createExperiment))
	at("GET", p+"get", experimentRead, call(e, e.getExperiment))
	at("GET", p+"get-by-name", experimentRead, call(e, e.getExperimentByName))
	at("GET", p+"search", experimentRead, call(e, e.searchExperiments))
	at("POST", p+"search", experimentRead, call(e, e.searchExperiments))
	at("GET", p+"list", experimentRead, call(e, e.searchExperiments))
	at("POST", p+"update", experimentWrite, call(e, e.updateExperiment))
	at("POST", p+"delete", experimentWrite, call(e, e.deleteExperiment))
	at("POST", p+"restore", experimentWrite, call(e, e.restoreExperiment))
	at("POST", p+"set-experiment-tag", experimentWrite, call(e, e.setExperimentTag))
	at("POST", p+"delete-experiment-tag", experimentWrite, call(e, e.deleteExperimentTag))
	at("POST", p+"search-datasets", experimentRead, call(e, e.searchDatasets))
}

type experiment struct {
	ID        string     `json:"experiment_id"`
	Name      string     `json:"name"`
	Artifacts string     `json:"artifact_location"`
	Lifecycle string     `json:"lifecycle_stage"`
	Updated   integer    `json:"last_update_time"`
	Created   integer    `json:"creation_time"`
	Tags      []keyValue `json:"tags,omitempty"`
	Workspace string     `json:"workspace"`
}

func fromExperiment(x tracking.Experiment) experiment {
	return experiment{x.ID, x.Name, "mlflow-artifacts:/" + x.ID, string(x.Lifecycle), millis(x.UpdatedAt), millis(x.CreatedAt), fromTags(x.Tags), x.Workspace}
}

type experimentReply struct {
	Experiment experiment `json:"experiment"`
}

// checkLocation refuses artifact locations of the client's choosing: files are kept by this server, and a location that names another
// place would make it or its clients read and write there.
func checkLocation(location string) error {
	if location == "" || location == "mlflow-artifacts:/" || location == "mlflow-artifacts:" {
		return nil
	}
	return errs.Invalidf("mlflow.artifact_location", "this server keeps artifacts itself and takes no other artifact_location").
		WithField("artifact_location", "leave it empty").WithHint("files are reachable at mlflow-artifacts:/<experiment>/<run>/artifacts")
}

type createExperimentIn struct {
	Name     string     `json:"name"`
	Location string     `json:"artifact_location"`
	Tags     []keyValue `json:"tags"`
}

type experimentID struct {
	ID string `json:"experiment_id"`
}

func (e *Edge) createExperiment(ctx context.Context, in *createExperimentIn) (experimentID, error) {
	if in.Name == "" {
		return experimentID{}, missing("name")
	}
	if err := checkLocation(in.Location); err != nil {
		return experimentID{}, err
	}
	id, err := e.d.Tracking.CreateExperiment(ctx, tracking.NewExperiment{Name: in.Name, Tags: tagsOf(in.Tags)})
	return experimentID{id}, err
}

func (e *Edge) getExperiment(ctx context.Context, in *experimentID) (experimentReply, error) {
	if err := checkExperimentID(in.ID); err != nil {
		return experimentReply{}, err
	}
	x, err := e.d.Tracking.Experiment(ctx, in.ID)
	return experimentReply{fromExperiment(x)}, err
}

func (e *Edge) getExperimentByName(ctx context.Context, in *struct {
	Name string `json:"experiment_name"`
}) (experimentReply, error) {
	if in.Name == "" {
		return experimentReply{}, missing("experiment_name")
	}
	x, err := e.d.Tracking.ExperimentByName(ctx, in.Name)
	return experimentReply{fromExperiment(x)}, err
}

type searchExperimentsIn struct {
	View      view     `json:"view_type"`
	Max       *integer `json:"max_results"`
	Filter    string   `json:"filter"`
	OrderBy   []string `json:"order_by"`
	PageToken string   `json:"page_token"`
}

type experimentsReply struct {
	Experiments []experiment `json:"experiments,omitempty"`
	Next        string       `json:"next_page_token,omitempty"`
}

// checkMax bounds a page size that the client gave; 0 is as good as none.
func checkMax(n integer, most int) error {
	switch {
	case n < 0:
		return badMax(n, "a positive integer")
	case int64(n) > int64(most):
		return badMax(n, fmt.Sprint("at most ", most))
	}
	return nil
}

func badMax(n integer, want string) error {
	return errs.Invalidf("mlflow.max_results", "Invalid value %d for parameter 'max_results' supplied. It must be %s.", n, want)
}

// pageSize is a page size of which MLflow refuses 0; 0 when the client gave none.
func pageSize(n *integer, most int) (int, error) {
	if n == nil {
		return 0, nil
	}
	if *n == 0 {
		return 0, badMax(0, "a positive integer")
	}
	return int(*n), checkMax(*n, most)
}

// checkExperimentID refuses what cannot be the id of an experiment, as MLflow does before it looks.
func checkExperimentID(id string) error {
	if id == "" {
		return missing("experiment_id")
	}
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return errs.Invalidf("mlflow.experiment", "Invalid experiment ID '%.100s'. Experiment ID must be a valid integer.", id).WithField("experiment_id", "expected a number")
	}
	return nil
}

func (e *Edge) searchExperiments(ctx context.Context, in *searchExperimentsIn) (experimentsReply, error) {
	v, err := in.View.of()
	if err != nil {
		return experimentsReply{}, err
	}
	most, err := pageSize(in.Max, tracking.MaxRunsPerPage)
	if err != nil {
		return experimentsReply{}, err
	}
	xs, next, err := e.d.Tracking.SearchExperiments(ctx, tracking.Query{Filter: in.Filter, OrderBy: in.OrderBy, View: v, Limit: most, PageToken: in.PageToken})
	out := experimentsReply{Next: next}
	for _, x := range xs {
		out.Experiments = append(out.Experiments, fromExperiment(x))
	}
	return out, err
}

func (e *Edge) updateExperiment(ctx context.Context, in *struct {
	ID   string `json:"experiment_id"`
	Name string `json:"new_name"`
}) (none, error) {
	if err := checkExperimentID(in.ID); err != nil {
		return none{}, err
	}
	if in.Name == "" {
		return none{}, missing("new_name")
	}
	return none{}, e.d.Tracking.RenameExperiment(ctx, in.ID, in.Name)
}

func (e *Edge) deleteExperiment(ctx context.Context, in *experimentID) (none, error) {
	if err := e.experimentIn(ctx, in.ID, tracking.Active); err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.DeleteExperiment(ctx, in.ID)
}

func (e *Edge) restoreExperiment(ctx context.Context, in *experimentID) (none, error) {
	if err := e.experimentIn(ctx, in.ID, tracking.Deleted); err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.RestoreExperiment(ctx, in.ID)
}

// experimentIn looks for an experiment in a stage of its life; MLflow finds none in another.
func (e *Edge) experimentIn(ctx context.Context, id string, stage tracking.Lifecycle) error {
	if err := checkExperimentID(id); err != nil {
		return err
	}
	x, err := e.d.Tracking.Experiment(ctx, id)
	if err == nil && x.Lifecycle != stage {
		err = errs.NotFoundf("mlflow.experiment", "No Experiment with id=%s exists", id).WithHint("it is %s", x.Lifecycle)
	}
	return err
}

type experimentTagIn struct {
	ID    string `json:"experiment_id"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (in *experimentTagIn) check() error {
	switch {
	case strings.TrimSpace(in.Key) == "":
		return missing("key")
	}
	return checkExperimentID(in.ID)
}

func (e *Edge) setExperimentTag(ctx context.Context, in *experimentTagIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.SetExperimentTag(ctx, in.ID, tracking.Tag{Key: in.Key, Value: in.Value})
}

func (e *Edge) deleteExperimentTag(ctx context.Context, in *experimentTagIn) (none, error) {
	if err := in.check(); err != nil {
		return none{}, err
	}
	return none{}, e.d.Tracking.DeleteExperimentTag(ctx, in.ID, in.Key)
}

type datasetSummary struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Digest       string `json:"digest"`
	Context      string `json:"context,omitempty"`
}

type datasetsReply struct {
	Summaries []datasetSummary `json:"dataset_summaries,omitempty"`
}

// maxDatasetExperiments is MLflow's bound on the experiments of one search for datasets.
const maxDatasetExperiments = 20

// searchDatasets lists what the runs of experiments took as input.
func (e *Edge) searchDatasets(ctx context.Context, in *struct {
	IDs []string `json:"experiment_ids"`
}) (datasetsReply, error) {
	var out datasetsReply
	switch {
	case len(in.IDs) == 0:
		return out, errs.Invalidf("mlflow.datasets", "SearchDatasets request must specify at least one experiment_id.")
	case len(in.IDs) > maxDatasetExperiments:
		return out, errs.Invalidf("mlflow.datasets", "SearchDatasets request cannot specify more than %d experiment_ids. Received %d experiment_ids.", maxDatasetExperiments, len(in.IDs))
	}
	for _, id := range in.IDs {
		used, err := e.d.Tracking.DatasetsUsed(ctx, id)
		if err != nil {
			return out, err
		}
		for _, d := range used {
			out.Summaries = append(out.Summaries, datasetSummary{id, d.Name, d.Digest, d.Context})
		}
	}
	return out, nil
}
