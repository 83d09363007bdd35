-- Times are unix microseconds, truncated to milliseconds as MLflow has them. duration_us is -1 while the trace runs. shapes lists the
-- distinct names, types and states of the spans, so that a search need not read them.
CREATE TABLE trace (
	id TEXT PRIMARY KEY,
	experiment_id TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	duration_us BIGINT NOT NULL,
	state TEXT NOT NULL,
	name TEXT NOT NULL,
	client_request_id TEXT NOT NULL,
	run_id TEXT NOT NULL,
	request_preview TEXT,
	response_preview TEXT,
	tags TEXT NOT NULL,
	metadata TEXT NOT NULL,
	shapes TEXT NOT NULL,
	span_count BIGINT NOT NULL,
	span_bytes BIGINT NOT NULL,
	finalized BOOLEAN NOT NULL
);
CREATE INDEX trace_time ON trace (experiment_id, started_at, id);
CREATE TABLE trace_spans (
	trace_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	n BIGINT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (trace_id, seq)
);
CREATE TABLE trace_assessment (
	id TEXT PRIMARY KEY,
	trace_id TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	error TEXT NOT NULL,
	source_type TEXT NOT NULL,
	source_id TEXT NOT NULL,
	span_id TEXT NOT NULL,
	rationale TEXT NOT NULL,
	metadata TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	overrides TEXT NOT NULL,
	valid BOOLEAN NOT NULL
);
CREATE INDEX trace_assessment_trace ON trace_assessment (trace_id, created_at, id);
-- kind is run or prompt; target a run id or <prompt>/<version>.
CREATE TABLE trace_link (
	trace_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	target TEXT NOT NULL,
	PRIMARY KEY (trace_id, kind, target)
);
CREATE INDEX trace_link_target ON trace_link (kind, target);
