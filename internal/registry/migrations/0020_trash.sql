-- what the trash lists, newest first; living rows are not in these indexes
CREATE INDEX registry_model_deleted ON registry_model (deleted_at, id) WHERE deleted_at > 0;
CREATE INDEX registry_version_deleted ON registry_version (deleted_at, model_id, number) WHERE deleted_at > 0;
