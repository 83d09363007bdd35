CREATE TABLE dataset (
	name TEXT PRIMARY KEY,
	name_fold TEXT NOT NULL UNIQUE,
	description TEXT NOT NULL,
	contract TEXT NOT NULL,
	contract_by TEXT NOT NULL,
	contract_at BIGINT NOT NULL,
	last_version BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE dataset_version (
	dataset TEXT NOT NULL,
	number BIGINT NOT NULL,
	digest TEXT NOT NULL,
	format TEXT NOT NULL,
	size_bytes BIGINT NOT NULL,
	row_count BIGINT NOT NULL,
	schema_json TEXT NOT NULL,
	profile_json TEXT NOT NULL,
	contract_json TEXT NOT NULL,
	source TEXT NOT NULL,
	target TEXT NOT NULL,
	time_column TEXT NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	PRIMARY KEY (dataset, number)
);
CREATE UNIQUE INDEX dataset_version_digest ON dataset_version (dataset, digest);
