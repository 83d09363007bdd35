//go:build !linux

package probe

// limitMemory does nothing where the system has no usable limit on address space; the time limit still holds.
func limitMemory(uint64) error { return nil }
