-- what the trash lists, newest first; active rows are not in these indexes
CREATE INDEX run_deleted ON run (deleted_at, id) WHERE lifecycle = 'deleted';
CREATE INDEX logged_model_deleted ON logged_model (deleted_at, id) WHERE deleted_at > 0;
-- the highest id that was purged, so that it is not given again
CREATE TABLE purged_id (
	noun TEXT PRIMARY KEY,
	last BIGINT NOT NULL
);
