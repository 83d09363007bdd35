package db

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

const (
	logPages   = 4000            // pages in the write-ahead log that make SQLite move them into the store
	reserve    = logPages * 4152 // what they take: 4096 bytes of content, 24 of header, and room for some more
	reserveBit = 1 << 20         // written at a time, so that writers wait for a millisecond at most
	spare      = 1 << 30         // bytes that must be free on the disk
)

// ReserveLog fills SQLite's write-ahead log up to the size it will have anyway, with zeros, which end the log for every reader of it. Then commits
// overwrite blocks that the file has, and each flush takes about half the time of one that also records a longer file. A disk with
// little room is left as it is. It does nothing on PostgreSQL.
func (d *DB) ReserveLog(ctx context.Context) error {
	path, ok := File(d.opts.URL)
	if !ok {
		return nil
	}
	f, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
	if err != nil {
		return wrap("db.reserve", err)
	}
	defer func() { _ = f.Close() }()
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < spare { //nolint:gosec // a block has a size
		return nil //nolint:nilerr // it is for speed alone
	}
	zeros := make([]byte, reserveBit)
	for more := true; more; {
		err := d.writer.alone(ctx, func() (err error) {
			info, err := f.Stat()
			if err != nil || info.Size() >= reserve {
				more = false
				return err
			}
			if _, err = f.WriteAt(zeros[:min(reserveBit, reserve-info.Size())], info.Size()); err != nil {
				_ = f.Truncate(info.Size())
			}
			return err
		})
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			return wrap("db.reserve", err)
		}
	}
	return nil
}

// alone runs fn while nobody writes.
func (w *writer) alone(ctx context.Context, fn func() error) error {
	select {
	case w.lead <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.lead }()
	if w.isClosed() {
		return errClosing
	}
	return fn()
}
