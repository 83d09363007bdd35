CREATE TABLE event (
	id TEXT PRIMARY KEY,
	seq BIGINT,
	type TEXT NOT NULL,
	resource_kind TEXT NOT NULL,
	resource_id TEXT NOT NULL,
	actor_type TEXT NOT NULL,
	actor_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	data TEXT NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL
);
CREATE UNIQUE INDEX event_seq ON event (seq);
CREATE INDEX event_waiting ON event (id) WHERE seq IS NULL;
CREATE INDEX event_type ON event (type, seq);
CREATE INDEX event_resource ON event (resource_kind, resource_id, seq);
