-- A trace in the trash stands in no experiment: its experiment_id is empty, so no search by experiment meets it, and trashed_from has it.
ALTER TABLE trace ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trace ADD COLUMN deleted_by TEXT NOT NULL DEFAULT '';
ALTER TABLE trace ADD COLUMN trashed_from TEXT NOT NULL DEFAULT '';
CREATE INDEX trace_deleted ON trace (deleted_at, id) WHERE deleted_at > 0;
CREATE INDEX trace_trashed_from ON trace (trashed_from, id) WHERE deleted_at > 0;
