ALTER TABLE evalset ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
CREATE INDEX evalset_workspace ON evalset (workspace);
