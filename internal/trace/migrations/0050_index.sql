-- One row for each block of spans: what measurements read of its spans (facts) and which texts it may hold (grams), so that neither
-- searches nor charts open blocks that cannot matter. Traces of older stores wait in trace_index_todo until their blocks have theirs.
CREATE TABLE trace_index (
	trace_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	facts BYTEA NOT NULL,
	grams BYTEA NOT NULL,
	PRIMARY KEY (trace_id, seq)
);
CREATE TABLE trace_index_todo (
	trace_id TEXT PRIMARY KEY
);
INSERT INTO trace_index_todo (trace_id) SELECT DISTINCT trace_id FROM trace_spans;
