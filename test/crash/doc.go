// Package crash kills the server with SIGKILL under a mixed load and looks whether everything that it acknowledged is there afterwards,
// whole, and nothing else.
//
// MODELYARD_BIN names the program; without it the test builds it. MODELYARD_CRASH_KILLS is how often it is killed (10; the nightly form
// takes 100). With MODELYARD_TEST_POSTGRES it runs on PostgreSQL as well. A mutant that answers before it commits proves that the test
// can fail.
package crash
