package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// fileLock keeps a second server off the same data folder or SQLite file. The kernel drops it when the process dies, however it dies.
type fileLock struct{ f *os.File }

func lockDir(dir string) (*fileLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errs.E(errs.Unavailable, "app.lock", "cannot make the data folder "+dir, err).
			WithHint("check the permissions of its parent, or choose another with --data-dir")
	}
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "app.lock", "the data folder "+dir+" cannot be written", err).
			WithHint("check its permissions and that the disk is not full or read-only, or choose another with --data-dir")
	}
	return hold(f, "the data folder "+dir, "stop that server, or choose another folder with --data-dir")
}

// lockDatabaseFile is for a SQLite file that the configuration names: servers with different data folders may name the same one.
func lockDatabaseFile(path string) (*fileLock, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "app.lock", "the folder of the database "+path+" cannot be written", err).WithHint("check --database-url")
	}
	return hold(f, "the database "+path, "stop that server, or choose another database with --database-url")
}

func hold(f *os.File, what, hint string) (*fileLock, error) {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 200))
		_ = f.Close()
		return nil, errs.E(errs.Conflict, "app.lock", fmt.Sprintf("%s is in use by %s", what, holder), nil).WithHint("%s", hint)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "process %d", os.Getpid())
	}
	return &fileLock{f: f}, nil
}

func (l *fileLock) release() {
	if l != nil {
		_ = l.f.Close()
	}
}
