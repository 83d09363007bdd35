-- the smallest and largest value of each metric, NaN left out; NULL where they are not known (points from before this migration, or NaN
-- alone): then the chunks tell
ALTER TABLE metric_latest ADD COLUMN low DOUBLE PRECISION;
ALTER TABLE metric_latest ADD COLUMN high DOUBLE PRECISION;
