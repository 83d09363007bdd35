package db

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib" // and the "pgx" driver of database/sql

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, errs.E(errs.Invalid, "db.open", "database.url cannot be read", redact(err))
	}
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, gone("db.connect", err)
		}
		return line{c}, nil
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(24)
	pool.SetMaxIdleConns(8)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, errs.E(errs.Unavailable, "db.open", "PostgreSQL does not answer", redact(err)).WithHint("check database.url and that the server runs")
	}
	d := &DB{engine: Postgres, pool: pool, opts: o}
	d.stmts.init(pool)
	return d, nil
}

// line is a connection to PostgreSQL whose breaks are Unavailable, whoever comes upon them: the errors of sql.Row and sql.Rows pass
// no function of ours.
type line struct{ net.Conn }

func (l line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	return n, gone("db.read", err)
}

func (l line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	return n, gone("db.write", err)
}

// gone is the error of a broken connection. A deadline is none: the driver sets one when a context ends.
func gone(op string, err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return errs.E(errs.Unavailable, op, "the database went away", err).WithHint("try again; if it stays away, look at PostgreSQL")
}

const maxRetries = 20

// retryDelay is 1, 2, 4... at most 64 ms, of which a random half: writers that collided once shall not meet again.
func retryDelay(attempt int) time.Duration {
	d := time.Duration(1<<min(attempt, 6)) * time.Millisecond
	return d/2 + rand.N(d/2)
}

func (d *DB) writePostgres(ctx context.Context, fn func(tx *Tx) error) error {
	var err error
	for attempt := range maxRetries {
		var after []func()
		after, err = d.tryPostgres(ctx, fn)
		if err == nil {
			callAll(after)
			return nil
		}
		if !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryDelay(attempt)):
		}
	}
	return errs.E(errs.Unavailable, "db.write", "too many writers change the same rows", err).WithHint("try again")
}

// commitLimit bounds a COMMIT, which nothing else ends: PostgreSQL does it or is away.
const commitLimit = 30 * time.Second

func (d *DB) tryPostgres(ctx context.Context, fn func(tx *Tx) error) (after []func(), err error) {
	// The transaction ends with its caller, but not within the COMMIT: that would leave open what became of it.
	txctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	untie := context.AfterFunc(ctx, cancel)
	defer untie()
	stx, err := d.pool.BeginTx(txctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return nil, lateOr(ctx, wrap("db.begin", err))
	}
	tx := &Tx{ctx: ctx, db: d, exec: stx.ExecContext, query: stx.QueryContext, row: stx.QueryRowContext}
	doubt := false
	defer func() {
		if err != nil && !doubt {
			callAll(tx.undo)
		}
	}()
	if err := safely(fn, tx); err != nil {
		if rb := stx.Rollback(); rb != nil && errs.Is(err, errs.Internal) {
			err = gone("db.write", lateOr(ctx, err)) // a transaction that cannot even be rolled back has lost its connection
		}
		return nil, err
	}
	if d.opts.BeforeCommit != nil {
		d.opts.BeforeCommit()
	}
	if !untie() {
		_ = stx.Rollback()
		return nil, ctx.Err()
	}
	limit := time.AfterFunc(commitLimit, cancel)
	defer limit.Stop()
	if err := stx.Commit(); err != nil {
		if !refused(err) {
			doubt = true
			d.doubts.arise()
			return nil, gone("db.commit", unsure{err})
		}
		return nil, wrap("db.commit", err)
	}
	return tx.after, nil
}

// unsure is the error of a COMMIT of which nobody knows what became. It hides what the driver says about trying again: a second try might
// do it twice.
type unsure struct{ err error }

func (u unsure) Error() string { return "the change may or may not have been stored: " + u.err.Error() }

// lateOr gives the reason of the caller's context when that has ended: what the driver says then is a consequence.
func lateOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// refused reports whether PostgreSQL said that it did not commit.
func refused(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.SeverityUnlocalized == "ERROR" || pe.SeverityUnlocalized == "" && pe.Severity == "ERROR"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

// doubts tells what keeps committed values in memory that nobody knows whether a transaction was committed.
type doubts struct {
	open  atomic.Bool
	mu    sync.Mutex
	hooks []func()
}

// OnDoubt calls fn when the database went away during a COMMIT, so that nobody knows whether the change is there, and once more when
// the database answers again. AfterCommit was not called then; fn makes its owner read everything anew. It must not block.
func (d *DB) OnDoubt(fn func()) {
	d.doubts.mu.Lock()
	defer d.doubts.mu.Unlock()
	d.doubts.hooks = append(d.doubts.hooks, fn)
}

func (q *doubts) arise() {
	q.open.Store(true)
	q.tell()
}

// settle is called when the database answers.
func (q *doubts) settle() {
	if q.open.CompareAndSwap(true, false) {
		q.tell()
	}
}

func (q *doubts) tell() {
	q.mu.Lock()
	hooks := slices.Clone(q.hooks)
	q.mu.Unlock()
	for _, fn := range hooks {
		fn()
	}
}

// retryable reports whether the transaction collided with another, or met a connection that had gone while it idled.
func retryable(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01") || pgconn.SafeToRetry(err)
}
