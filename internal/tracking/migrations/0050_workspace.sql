-- Names of experiments are unique in their workspace. Everything that was there before workspaces is in the default one.
CREATE TABLE experiment_of_workspace (
	id BIGINT PRIMARY KEY,
	workspace TEXT NOT NULL,
	name TEXT NOT NULL,
	lifecycle TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	UNIQUE (workspace, name)
);
INSERT INTO experiment_of_workspace (id, workspace, name, lifecycle, created_at, updated_at) SELECT id, 'default', name, lifecycle, created_at, updated_at FROM experiment;
DROP TABLE experiment;
ALTER TABLE experiment_of_workspace RENAME TO experiment;
