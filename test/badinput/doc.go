// Package badinput checks, over HTTP and against the whole server, that bad input is a clear error: which field, what was expected; that
// nothing half written stays, and that the server goes on.
package badinput
