ALTER TABLE mlflow_webhook ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
