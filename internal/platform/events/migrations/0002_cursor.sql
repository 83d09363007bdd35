-- how far a listener that takes events in batches has heard
CREATE TABLE event_cursor (
	listener TEXT PRIMARY KEY,
	seq BIGINT NOT NULL
);
