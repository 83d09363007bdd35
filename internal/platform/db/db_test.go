package db_test

import (
	"testing"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	dbtest.Conformance(t, dbtest.SQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	dbtest.Conformance(t, dbtest.Postgres)
}
