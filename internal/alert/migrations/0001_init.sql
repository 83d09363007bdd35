-- subject is the endpoint, or pipeline:<name>, or the part of the server that the alert is about. last_seq is the newest event heard.
CREATE TABLE alert (
	id TEXT PRIMARY KEY,
	subject TEXT NOT NULL,
	endpoint TEXT NOT NULL,
	kind TEXT NOT NULL,
	severity TEXT NOT NULL,
	state TEXT NOT NULL,
	title TEXT NOT NULL,
	reason TEXT NOT NULL,
	features TEXT NOT NULL,
	window_id TEXT NOT NULL,
	event_time BIGINT NOT NULL,
	opened_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	acknowledged_at BIGINT NOT NULL,
	acknowledged_by TEXT NOT NULL,
	note TEXT NOT NULL,
	resolved_at BIGINT NOT NULL,
	resolved_by TEXT NOT NULL,
	resolved_reason TEXT NOT NULL,
	repeats BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	retraining_id TEXT NOT NULL
);
CREATE UNIQUE INDEX alert_unresolved ON alert (subject, kind) WHERE state <> 'resolved';
CREATE INDEX alert_subject ON alert (subject, kind, last_seq);
CREATE INDEX alert_state ON alert (state, id);
CREATE INDEX alert_endpoint ON alert (endpoint, id);
-- secret is AES-256-GCM: nonce and ciphertext, under the key file of the data folder.
CREATE TABLE webhook (
	id TEXT PRIMARY KEY,
	url TEXT NOT NULL,
	events TEXT NOT NULL,
	secret BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL
);
CREATE TABLE webhook_delivery (
	id TEXT PRIMARY KEY,
	webhook_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	type TEXT NOT NULL,
	body TEXT NOT NULL,
	state TEXT NOT NULL,
	status BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	error TEXT NOT NULL,
	milliseconds BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	at BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhook_delivery_event ON webhook_delivery (webhook_id, event_id);
CREATE INDEX webhook_delivery_log ON webhook_delivery (webhook_id, id);
