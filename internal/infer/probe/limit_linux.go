package probe

import "golang.org/x/sys/unix"

// limitMemory bounds the address space of this process. The Go runtime reserves some of it without use, so a limit
// below 1 GiB fails early.
func limitMemory(bytes uint64) error {
	return unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes})
}
