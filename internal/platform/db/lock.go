package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Lock keeps a second server process off one PostgreSQL database: an advisory lock that lives as long as a connection of its own, so
// PostgreSQL drops it when the process dies, however it dies. A pooler between must keep sessions (pgbouncer: pool_mode=session).
type Lock struct {
	db   *DB
	conn *sql.Conn
}

const (
	lockKey   = 0x6d6f6465_6c796172 // "modelyar"
	lockGrace = 2 * time.Second     // how long the server may take to notice that the last holder was killed
	lockCheck = 2 * time.Second
)

// Lock takes the database for this process. It returns Conflict naming who has it. On SQLite it does nothing: the folder is locked.
func (d *DB) Lock(ctx context.Context) (*Lock, error) {
	l := &Lock{db: d}
	if d.engine != Postgres {
		return l, nil
	}
	for began := time.Now(); ; {
		err := l.take(ctx)
		if !errs.Is(err, errs.Conflict) || time.Since(began) > lockGrace {
			return l, err
		}
		select {
		case <-ctx.Done():
			return l, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// take tries once on a new connection.
func (l *Lock) take(ctx context.Context) (err error) {
	const op = "db.lock"
	conn, err := l.db.pool.Conn(ctx)
	if err != nil {
		return errs.E(errs.Unavailable, op, "PostgreSQL does not answer", redact(err))
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&locked); err != nil {
		return wrap(op, err)
	}
	if !locked {
		return errs.E(errs.Conflict, op, "the database is in use by "+holder(ctx, conn), nil).
			WithHint("stop that server, or give this one a database of its own with --database-url")
	}
	host, _ := os.Hostname()
	// The name tells a second server who is here. Keepalives free the lock within a minute when this whole machine is gone.
	_, err = conn.ExecContext(ctx, `SELECT set_config('application_name', $1, false), set_config('tcp_keepalives_idle', '30', false),
		set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false)`,
		fmt.Sprintf("modelyard process %d on %.30s", os.Getpid(), host))
	if err != nil {
		return wrap(op, err)
	}
	l.conn = conn
	return nil
}

// holder says who has the lock, as far as PostgreSQL tells.
func holder(ctx context.Context, conn *sql.Conn) string {
	var name string
	var since time.Time
	err := conn.QueryRowContext(ctx, `SELECT coalesce(a.application_name, ''), coalesce(a.backend_start, now()) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND ((l.classid::bigint << 32) | l.objid::bigint) = $1`, int64(lockKey)).Scan(&name, &since)
	if err != nil || name == "" {
		return "another server"
	}
	return name + ", since " + since.UTC().Format(time.RFC3339)
}

// Watch returns when ctx ends, or with Conflict when the lock was lost with its connection and another process has it now: this one
// must stop then. While PostgreSQL is away it goes on trying.
func (l *Lock) Watch(ctx context.Context) error {
	if l.conn == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(lockCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch err := l.check(ctx); {
		case errs.Is(err, errs.Conflict) && ctx.Err() == nil:
			return err
		case err == nil:
			l.db.doubts.settle()
		}
	}
}

// check takes the lock again when its connection is gone.
func (l *Lock) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockCheck)
	defer cancel()
	if l.conn != nil {
		_, err := l.conn.ExecContext(ctx, "SELECT 1")
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		l.Release()
		l.db.opts.Log.Warn("the connection that holds the database for this server is gone; taking it again", "error", err)
	}
	return l.take(ctx)
}

// Release gives the database back. The connection is closed, not kept in the pool, where it would keep the lock.
func (l *Lock) Release() {
	if l == nil || l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.conn.ExecContext(ctx, "SELECT pg_advisory_unlock_all()")
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = l.conn.Close()
	l.conn = nil
}
