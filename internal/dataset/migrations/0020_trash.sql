ALTER TABLE dataset ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dataset_version ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX dataset_version_digest;
-- the bytes of a deleted version may come again as a new one
CREATE UNIQUE INDEX dataset_version_digest ON dataset_version (dataset, digest) WHERE deleted_at = 0;
