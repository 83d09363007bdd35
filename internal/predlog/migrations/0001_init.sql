-- The newest label of each prediction. prediction_id is a UUIDv7, so its order is the order of the predictions.
CREATE TABLE predlog_label (
	prediction_id TEXT NOT NULL PRIMARY KEY,
	endpoint TEXT NOT NULL,
	label TEXT NOT NULL,
	time BIGINT NOT NULL,
	event_time BIGINT NOT NULL,
	event_time_set BOOLEAN NOT NULL,
	late BOOLEAN NOT NULL,
	position TEXT NOT NULL
);
CREATE INDEX predlog_label_endpoint ON predlog_label (endpoint, prediction_id);

-- Up to where the labels of the log are in predlog_label.
CREATE TABLE predlog_state (
	name TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- Hours of an endpoint that are sealed to Parquet in the blob store.
CREATE TABLE predlog_archive (
	endpoint TEXT NOT NULL,
	hour BIGINT NOT NULL,
	part BIGINT NOT NULL,
	digest TEXT NOT NULL,
	row_count BIGINT NOT NULL,
	size_bytes BIGINT NOT NULL,
	sealed_at BIGINT NOT NULL,
	PRIMARY KEY (endpoint, hour, part)
);
