CREATE TABLE serving_endpoint (
	name TEXT NOT NULL PRIMARY KEY,
	model TEXT NOT NULL,
	version TEXT NOT NULL,
	model_uri TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL
);
