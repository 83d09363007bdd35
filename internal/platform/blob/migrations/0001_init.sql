CREATE TABLE file (
	root TEXT NOT NULL,
	path TEXT NOT NULL,
	digest TEXT NOT NULL,
	size BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (root, path)
);
CREATE INDEX file_digest ON file (digest);
