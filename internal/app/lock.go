package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// dirLock keeps a second server off the same data folder. The kernel drops it when the process dies, however it dies.
type dirLock struct{ f *os.File }

func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errs.E(errs.Unavailable, "app.lock", "cannot make the data folder "+dir, err).
			WithHint("check the permissions of its parent, or choose another with --data-dir")
	}
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "app.lock", "the data folder "+dir+" cannot be written", err).
			WithHint("check its permissions and that the disk is not full or read-only, or choose another with --data-dir")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 200))
		_ = f.Close()
		return nil, errs.E(errs.Conflict, "app.lock", fmt.Sprintf("the data folder %s is in use by %s", dir, holder), nil).
			WithHint("stop that server, or choose another folder with --data-dir")
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "process %d", os.Getpid())
	}
	return &dirLock{f: f}, nil
}

func (l *dirLock) release() { _ = l.f.Close() }
