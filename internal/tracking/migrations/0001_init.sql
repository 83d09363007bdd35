CREATE TABLE experiment (
	id BIGINT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	lifecycle TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE TABLE experiment_tag (
	exp BIGINT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (exp, key)
);
-- num is the run inside the store (8 bytes at most), id the one that clients see
CREATE TABLE run (
	num BIGINT PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	exp BIGINT NOT NULL,
	name TEXT NOT NULL,
	user_name TEXT NOT NULL,
	status TEXT NOT NULL,
	lifecycle TEXT NOT NULL,
	start_at BIGINT NOT NULL,
	end_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE INDEX run_experiment ON run (exp, lifecycle, start_at);
CREATE INDEX run_status ON run (status, lifecycle);
CREATE TABLE run_input (
	run BIGINT NOT NULL,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	exp BIGINT NOT NULL,
	source_type TEXT NOT NULL,
	source TEXT NOT NULL,
	schema TEXT NOT NULL,
	profile TEXT NOT NULL,
	context TEXT NOT NULL,
	tags TEXT NOT NULL,
	PRIMARY KEY (run, name, digest)
);
CREATE INDEX run_input_experiment ON run_input (exp);
-- direction: input or output
CREATE TABLE run_model (
	run BIGINT NOT NULL,
	direction TEXT NOT NULL,
	model_id TEXT NOT NULL,
	step BIGINT NOT NULL,
	PRIMARY KEY (run, direction, model_id, step)
);
CREATE TABLE logged_model (
	id TEXT PRIMARY KEY,
	exp BIGINT NOT NULL,
	name TEXT NOT NULL,
	type TEXT NOT NULL,
	status TEXT NOT NULL,
	status_message TEXT NOT NULL,
	run_id TEXT NOT NULL,
	user_name TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE INDEX logged_model_experiment ON logged_model (exp, created_at);
CREATE INDEX logged_model_run ON logged_model (run_id);
CREATE TABLE logged_model_tag (
	model_id TEXT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (model_id, key)
);
CREATE TABLE logged_model_param (
	model_id TEXT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (model_id, key)
);
-- a NULL value is NaN, which SQLite cannot hold
CREATE TABLE logged_model_metric (
	model_id TEXT NOT NULL,
	key TEXT NOT NULL,
	dataset_name TEXT NOT NULL,
	dataset_digest TEXT NOT NULL,
	run_id TEXT NOT NULL,
	step BIGINT NOT NULL,
	ts BIGINT NOT NULL,
	value DOUBLE PRECISION,
	PRIMARY KEY (model_id, key, dataset_name, dataset_digest, run_id)
);
