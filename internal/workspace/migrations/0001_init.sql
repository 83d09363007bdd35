-- closing: it is being deleted, and nobody works in it any more.
CREATE TABLE workspace (
	name TEXT PRIMARY KEY,
	description TEXT NOT NULL,
	artifact_root TEXT NOT NULL,
	closing BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
