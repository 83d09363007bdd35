// Package governance tells what happened and what came from what. It owns the routes of the event log and of the job queue, and the
// lineage graph: tables lineage_node, lineage_edge and lineage_digest, filled by a listener from the events of all domains.
//
// It publishes nothing. It hears the events of tracking, registry, dataset, evaluation, routing, alert, pipeline and lifecycle.
//
// Invariants: an edge is told by exactly one event and carries its time and actor; hearing an event twice changes nothing; an edge
// runs from cause to product, evidence about a thing (gate, alias, rollout) counting as a cause of it. Nothing is deleted from the graph.
package governance
