// Package trace keeps traces of programs, GenAI ones above all: what was asked, what was answered, and the tree of spans between, with
// what people and judges thought of it (assessments).
//
// Tables: trace, trace_spans (blocks of encoded spans), trace_index (what is measured and searched of each block), trace_assessment, trace_link (to runs and prompt versions). Files that a client
// uploads beside a trace lie in the blob root FilesRoot.
//
// A deleted trace waits in the trash, in no experiment; whoever goes on writing to it brings it back.
//
// Events: trace.deleted, trace.restored. Traces, spans and assessments come by the million and are no events. It hears
// tracking.experiment.purged: the traces of an experiment go with it.
//
// Invariants: spans may come before their trace is told of, in any order and more than once: a span id counts once, the last one that
// ended wins; what the client told of the whole trace wins over what was worked out from its spans; everything is bounded.
package trace
