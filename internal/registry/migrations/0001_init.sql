CREATE TABLE registry_model (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	name_fold TEXT NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX registry_model_fold ON registry_model (name_fold) WHERE deleted_at = 0;
CREATE INDEX registry_model_name ON registry_model (name, deleted_at);

-- The last number given under a name; it outlives the model.
CREATE TABLE registry_number (
	name_fold TEXT PRIMARY KEY,
	last BIGINT NOT NULL
);

CREATE TABLE registry_version (
	model_id TEXT NOT NULL,
	number BIGINT NOT NULL,
	status TEXT NOT NULL,
	status_message TEXT NOT NULL,
	stage TEXT NOT NULL,
	run_id TEXT NOT NULL,
	logged_model_id TEXT NOT NULL,
	source TEXT NOT NULL,
	description TEXT NOT NULL,
	flavor TEXT NOT NULL,
	runtime TEXT NOT NULL,
	detail TEXT NOT NULL,
	metrics TEXT NOT NULL,
	size_bytes BIGINT NOT NULL,
	files_count BIGINT NOT NULL,
	digest TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	deleted_at BIGINT NOT NULL,
	PRIMARY KEY (model_id, number)
);
CREATE INDEX registry_version_run ON registry_version (run_id);

-- version 0: tags of the model itself.
CREATE TABLE registry_tag (
	model_id TEXT NOT NULL,
	version BIGINT NOT NULL,
	tag_key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (model_id, version, tag_key)
);
CREATE INDEX registry_tag_key ON registry_tag (tag_key, model_id, version);

CREATE TABLE registry_alias (
	model_id TEXT NOT NULL,
	alias_fold TEXT NOT NULL,
	alias TEXT NOT NULL,
	version BIGINT NOT NULL,
	PRIMARY KEY (model_id, alias_fold)
);

CREATE TABLE registry_history (
	id TEXT PRIMARY KEY,
	model_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	what TEXT NOT NULL,
	alias TEXT NOT NULL,
	version BIGINT NOT NULL,
	previous TEXT NOT NULL,
	reason TEXT NOT NULL
);
CREATE INDEX registry_history_model ON registry_history (model_id, id);

CREATE TABLE registry_gate (
	model TEXT NOT NULL,
	version BIGINT NOT NULL,
	gate TEXT NOT NULL,
	verdict TEXT NOT NULL,
	result_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (model, version, gate)
);

-- What each endpoint serves, as its events tell; seq orders them.
CREATE TABLE registry_served (
	endpoint TEXT PRIMARY KEY,
	model TEXT NOT NULL,
	versions TEXT NOT NULL,
	seq BIGINT NOT NULL
);
CREATE INDEX registry_served_model ON registry_served (model);
