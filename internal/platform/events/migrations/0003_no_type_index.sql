-- no query could use it: types are matched by LIKE, which SQLite answers without an index
DROP INDEX event_type;
