-- spec is the user's wish, status what came of it, both JSON. decision is what the reconciler has to carry out: promote, roll_back,
-- abort or nothing.
CREATE TABLE rollout (
	id TEXT PRIMARY KEY,
	endpoint TEXT NOT NULL,
	model TEXT NOT NULL,
	version TEXT NOT NULL,
	champion TEXT NOT NULL,
	spec TEXT NOT NULL,
	generation BIGINT NOT NULL,
	observed_generation BIGINT NOT NULL,
	state TEXT NOT NULL,
	decision TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	retraining_id TEXT NOT NULL,
	started_by TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX rollout_unfinished ON rollout (endpoint) WHERE ended_at = 0;
CREATE INDEX rollout_endpoint ON rollout (endpoint, id);
CREATE INDEX rollout_retraining ON rollout (retraining_id);
CREATE TABLE lifecycle_policy (
	endpoint TEXT PRIMARY KEY,
	policy TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by TEXT NOT NULL
);
-- event_time is when, in the time of the data, the retraining was asked for; cool-downs count from it.
CREATE TABLE retraining (
	id TEXT PRIMARY KEY,
	endpoint TEXT NOT NULL,
	alert_id TEXT NOT NULL,
	policy TEXT NOT NULL,
	state TEXT NOT NULL,
	model TEXT NOT NULL,
	pipeline_run_id TEXT NOT NULL,
	challenger TEXT NOT NULL,
	gate_result_id TEXT NOT NULL,
	rollout_id TEXT NOT NULL,
	outcome TEXT NOT NULL,
	reason TEXT NOT NULL,
	event_time BIGINT NOT NULL,
	started_by TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX retraining_unfinished ON retraining (endpoint) WHERE ended_at = 0;
CREATE INDEX retraining_alert ON retraining (alert_id);
CREATE INDEX retraining_endpoint ON retraining (endpoint, id);
CREATE INDEX retraining_run ON retraining (pipeline_run_id);
-- Alerts that came during a cool-down or a running retraining, one per endpoint: they are looked at again as time goes on.
CREATE TABLE retraining_wait (
	endpoint TEXT PRIMARY KEY,
	alert_id TEXT NOT NULL,
	due BIGINT NOT NULL
);
