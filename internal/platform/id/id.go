// Package id makes identifiers. They are UUIDv7: unique, and sorted by the time they were made.
package id

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// New is a UUIDv7 in its usual text form.
func New() string { return must().String() }

// Hex is a UUIDv7 as 32 hex digits, the shape MLflow clients expect of run ids.
func Hex() string {
	u := must()
	return hex.EncodeToString(u[:])
}

func must() uuid.UUID {
	u, err := uuid.NewV7()
	if err != nil { // the system's random source failed: nothing sensible can go on
		panic("id: no randomness: " + err.Error())
	}
	return u
}
