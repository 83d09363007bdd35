-- A node is "kind:id"; meta is a JSON object of what pages show beside it.
CREATE TABLE lineage_node (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	label TEXT NOT NULL,
	meta TEXT NOT NULL,
	at BIGINT NOT NULL
);
-- qualifier tells edges of one relation apart: the generation of a route, the alias that was set.
CREATE TABLE lineage_edge (
	from_id TEXT NOT NULL,
	to_id TEXT NOT NULL,
	relation TEXT NOT NULL,
	qualifier TEXT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	event_seq BIGINT NOT NULL,
	meta TEXT NOT NULL,
	PRIMARY KEY (from_id, to_id, relation, qualifier)
);
CREATE INDEX lineage_edge_to ON lineage_edge (to_id, from_id);
-- The digests under which a dataset version is known, to find the version of data that a run names by digest only.
CREATE TABLE lineage_digest (
	digest TEXT NOT NULL,
	node_id TEXT NOT NULL,
	PRIMARY KEY (digest, node_id)
);
