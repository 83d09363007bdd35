package errs

import (
	"errors"
	"syscall"
)

// fullDisk marks an error of a library that hides the system's own.
type fullDisk struct{ error }

func (e fullDisk) Unwrap() error { return e.error }

// DiskFull is an Exhausted error that the edges tell apart from a limit of ours.
func DiskFull(op, message string, err error) *Error {
	return E(Exhausted, op, message, fullDisk{err}).WithHint("free some space in the data folder; nothing was written")
}

// IsDiskFull reports whether err says that there is no room: the disk, a quota or the limit of a file's size.
func IsDiskFull(err error) bool {
	var f fullDisk
	return errors.As(err, &f) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
