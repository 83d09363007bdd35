CREATE TABLE job (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	grp TEXT NOT NULL,
	job_key TEXT NOT NULL,
	payload TEXT NOT NULL,
	state TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	max_attempts BIGINT NOT NULL,
	run_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	finished_at BIGINT NOT NULL,
	lease_owner TEXT NOT NULL,
	lease_until BIGINT NOT NULL,
	error TEXT NOT NULL
);
CREATE INDEX job_due ON job (state, run_at, id);
CREATE INDEX job_group ON job (grp, state);
CREATE INDEX job_key ON job (kind, job_key, state);
