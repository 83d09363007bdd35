CREATE TABLE file_part (
	upload TEXT NOT NULL,
	number BIGINT NOT NULL,
	digest TEXT NOT NULL,
	size BIGINT NOT NULL,
	start BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (upload, number)
);
