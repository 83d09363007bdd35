CREATE TABLE evaluation_result (
	id TEXT PRIMARY KEY,
	gate TEXT NOT NULL,
	model TEXT NOT NULL,
	version TEXT NOT NULL,
	dataset TEXT NOT NULL,
	dataset_version BIGINT NOT NULL,
	verdict TEXT NOT NULL,
	note TEXT NOT NULL,
	rules_json TEXT NOT NULL,
	metrics_json TEXT NOT NULL,
	request_json TEXT NOT NULL,
	row_count BIGINT NOT NULL,
	seconds DOUBLE PRECISION NOT NULL,
	alias_on_pass TEXT NOT NULL,
	alias_done BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL
);
CREATE INDEX evaluation_result_model ON evaluation_result (model, version, id);
