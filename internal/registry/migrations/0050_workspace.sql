-- A model of another workspace than the default one has it in its name, <workspace>:<bare>, because names are known all over the server;
-- the two columns are for searches within a workspace.
ALTER TABLE registry_model ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
ALTER TABLE registry_model ADD COLUMN bare TEXT NOT NULL DEFAULT '';
UPDATE registry_model SET bare = name;
CREATE INDEX registry_model_workspace ON registry_model (workspace, bare);
