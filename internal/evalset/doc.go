// Package evalset keeps evaluation datasets of GenAI applications: records of inputs, what was expected and what came out, taken from people,
// from documents or from traces.
//
// Tables: evalset, evalset_tag, evalset_record, evalset_experiment. Events: evalset.created, evalset.changed, evalset.deleted. It
// hears tracking.experiment.purged.
//
// Invariants: a record is told by its inputs, so that the same inputs are kept once and a second upsert merges into the first; the digest
// changes with every change of the records.
package evalset
