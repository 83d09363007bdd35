-- what purges left behind of runs, logged models and experiments that are gone
DELETE FROM former_place WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.id = former_place.owner) AND NOT EXISTS (SELECT 1 FROM logged_model m WHERE m.id = former_place.owner);
DELETE FROM import_state WHERE kind = 'run' AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = import_state.id);
DELETE FROM import_state WHERE kind = 'logged_model' AND NOT EXISTS (SELECT 1 FROM logged_model m WHERE m.id = import_state.id);
DELETE FROM import_state WHERE kind = 'experiment' AND NOT EXISTS (SELECT 1 FROM experiment e WHERE CAST(e.id AS TEXT) = import_state.mark);
