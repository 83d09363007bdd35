// Package tracking records experiments: runs with their parameters, tags, metrics, data inputs and logged models.
//
// Tables: experiment, experiment_tag, run, run_tag, run_param, run_input, run_model, metric_latest, metric_chunk, logged_model,
// logged_model_tag, logged_model_param, logged_model_metric, former_place, import_state, experiment_view. Files live in blob roots of
// their own (RunRoot, ModelRoot).
//
// Events: tracking.experiment.created, tracking.run.created, tracking.run.ended, tracking.run.inputs_logged, tracking.model.logged;
// tracking.run.imported, tracking.run.moved, tracking.experiment.merged; of each of experiment, run and model .deleted, .restored and
// .purged; tracking.experiment.edited and .concluded, tracking.run.edited, tracking.view.saved and .deleted tell of what people write.
// Metric points, parameters and tags come by the million and are no events. It hears none.
//
// Invariants: a parameter keeps its first value; a deleted run or experiment takes no writes but those of an import; experiment 0 ("Default") is always there;
// searches of runs are answered by a column index in memory (index.go) that holds what the store holds;
// a batch is stored whole or not at all, and is durable when the call returns.
package tracking
