CREATE TABLE pipeline (
	name TEXT PRIMARY KEY,
	spec TEXT NOT NULL,
	files TEXT NOT NULL,
	digest TEXT NOT NULL,
	next_fire BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by TEXT NOT NULL
);
CREATE TABLE pipeline_run (
	id TEXT PRIMARY KEY,
	pipeline TEXT NOT NULL,
	spec TEXT NOT NULL,
	files TEXT NOT NULL,
	digest TEXT NOT NULL,
	state TEXT NOT NULL,
	trigger_kind TEXT NOT NULL,
	trigger_ref TEXT NOT NULL,
	params TEXT NOT NULL,
	outputs TEXT NOT NULL,
	message TEXT NOT NULL,
	error TEXT NOT NULL,
	cancel BOOLEAN NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL
);
CREATE INDEX pipeline_run_by_pipeline ON pipeline_run (pipeline, id);
CREATE INDEX pipeline_run_by_state ON pipeline_run (state);
CREATE TABLE pipeline_step (
	run_id TEXT NOT NULL,
	name TEXT NOT NULL,
	pos BIGINT NOT NULL,
	state TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	exit_code BIGINT NOT NULL,
	error TEXT NOT NULL,
	tracked_run TEXT NOT NULL,
	max_rss BIGINT NOT NULL,
	cpu_us BIGINT NOT NULL,
	PRIMARY KEY (run_id, name)
);
