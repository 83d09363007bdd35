-- the tables of the write path; see the twin for SQLite
CREATE TABLE run_tag (
	exp BIGINT NOT NULL,
	run BIGINT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (exp, run, key)
);
CREATE TABLE run_param (
	exp BIGINT NOT NULL,
	run BIGINT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (exp, run, key)
);
-- the latest point of each metric, and where its chunks stand: seq is the last chunk, loose the points not merged yet; a NULL value is NaN
CREATE TABLE metric_latest (
	exp BIGINT NOT NULL,
	run BIGINT NOT NULL,
	key TEXT NOT NULL,
	step BIGINT NOT NULL,
	ts BIGINT NOT NULL,
	value DOUBLE PRECISION,
	seq BIGINT NOT NULL,
	loose BIGINT NOT NULL,
	PRIMARY KEY (exp, run, key)
);
CREATE TABLE metric_chunk (
	run BIGINT NOT NULL,
	key TEXT NOT NULL,
	seq BIGINT NOT NULL,
	n BIGINT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (run, key, seq)
);
CREATE SEQUENCE run_num;
