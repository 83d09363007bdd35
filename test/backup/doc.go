// Package backup saves a server under load and brings it back.
package backup
