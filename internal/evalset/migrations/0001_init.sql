-- record_schema and profile are JSON. Times are unix microseconds, truncated to milliseconds.
CREATE TABLE evalset (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,
	record_schema TEXT NOT NULL,
	records BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	updated_by TEXT NOT NULL
);
CREATE INDEX evalset_time ON evalset (created_at, id);
CREATE TABLE evalset_tag (
	evalset_id TEXT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (evalset_id, key)
);
CREATE TABLE evalset_experiment (
	evalset_id TEXT NOT NULL,
	experiment_id TEXT NOT NULL,
	PRIMARY KEY (evalset_id, experiment_id)
);
CREATE INDEX evalset_of_experiment ON evalset_experiment (experiment_id);
-- hash is the SHA-256 of the inputs in canonical JSON.
CREATE TABLE evalset_record (
	id TEXT PRIMARY KEY,
	evalset_id TEXT NOT NULL,
	hash TEXT NOT NULL,
	inputs TEXT NOT NULL,
	outputs TEXT NOT NULL,
	expectations TEXT NOT NULL,
	tags TEXT NOT NULL,
	source TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	updated_by TEXT NOT NULL
);
CREATE UNIQUE INDEX evalset_record_hash ON evalset_record (evalset_id, hash);
CREATE INDEX evalset_record_order ON evalset_record (evalset_id, created_at, id);
