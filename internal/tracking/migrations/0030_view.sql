-- query is a JSON object as the page wrote it
CREATE TABLE experiment_view (
	id TEXT PRIMARY KEY,
	exp BIGINT NOT NULL,
	name TEXT NOT NULL,
	query TEXT NOT NULL,
	author TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	UNIQUE (exp, name)
);
