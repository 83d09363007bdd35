-- experiments that a run or logged model was in before, here or in the store it was imported from: artifact addresses hold them
CREATE TABLE former_place (
	owner TEXT NOT NULL,
	exp BIGINT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (owner, exp)
);
-- what an import has finished: kind is experiment, run or logged_model; mark is the experiment's id here, else a digest of the source
CREATE TABLE import_state (
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	mark TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (kind, id)
);
