CREATE TABLE routing_route (
	endpoint TEXT NOT NULL PRIMARY KEY,
	model TEXT NOT NULL,
	generation BIGINT NOT NULL
);

CREATE TABLE routing_generation (
	endpoint TEXT NOT NULL,
	generation BIGINT NOT NULL,
	targets TEXT NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (endpoint, generation)
);
