CREATE TABLE monitor (
  endpoint TEXT NOT NULL PRIMARY KEY,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  settings TEXT NOT NULL,
  state TEXT NOT NULL,
  reference TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE monitor_bucket (
  endpoint TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  stats TEXT NOT NULL,
  sketches TEXT NOT NULL,
  PRIMARY KEY (endpoint, bucket)
);

CREATE TABLE monitor_window (
  endpoint TEXT NOT NULL,
  id TEXT NOT NULL,
  number BIGINT NOT NULL,
  summary TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (endpoint, id)
);

CREATE INDEX monitor_window_number ON monitor_window (endpoint, number);
