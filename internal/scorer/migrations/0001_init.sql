CREATE TABLE scorer (
	id TEXT PRIMARY KEY,
	experiment_id TEXT NOT NULL,
	name TEXT NOT NULL,
	last_version BIGINT NOT NULL
);
CREATE UNIQUE INDEX scorer_name ON scorer (experiment_id, name);

CREATE TABLE scorer_version (
	scorer_id TEXT NOT NULL,
	version BIGINT NOT NULL,
	body TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (scorer_id, version)
);
