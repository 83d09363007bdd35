// Package crash kills the server with SIGKILL under load and looks whether everything that it acknowledged is there afterwards.
// MODELYARD_BIN names the program; without it the test builds it. With MODELYARD_TEST_POSTGRES it runs on PostgreSQL as well.
package crash
