package trace

// EventDeleted tells that traces of an experiment were deleted for good.
const EventDeleted = "trace.deleted"

type deleted struct {
	ExperimentID string `json:"experiment_id"`
	Traces       int    `json:"traces"`
}
