package db

import (
	"context"
	"database/sql"
	"sync"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// maxBatch bounds how many callers share one commit, so that the first does not wait for all that come after.
const maxBatch = 256

type call struct {
	db   *DB
	fn   func(tx *Tx) error
	tx   *Tx
	err  error
	done chan struct{}

	early bool // answered before the commit: a fault of crash tests
}

// writer is SQLite's one writing connection. A caller that takes the lead runs the functions of all who wait. Who comes meanwhile is not
// left to find the lead free: a goroutine goes on at once, until nobody waits.
type writer struct {
	pool *sql.DB
	conn *sql.Conn
	opts Options
	lead chan struct{} // holds one token: who has it may use conn
	busy chan struct{} // who has the lead hands it to the goroutine

	mu     sync.Mutex
	queue  []*call
	closed bool

	stmts map[string]*sql.Stmt
}

func newWriter(pool *sql.DB, conn *sql.Conn, o Options) *writer {
	w := &writer{pool: pool, conn: conn, opts: o, lead: make(chan struct{}, 1), busy: make(chan struct{}), stmts: map[string]*sql.Stmt{}}
	go func() {
		for range w.busy {
			w.drain()
			<-w.lead
		}
	}()
	return w
}

func (w *writer) write(ctx context.Context, d *DB, fn func(tx *Tx) error) error {
	c := &call{db: d, fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosing
	}
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	for {
		select {
		case <-c.done:
			return c.err
		case w.lead <- struct{}{}:
			if batch := w.take(); len(batch) > 0 {
				w.run(batch)
			}
			if w.waiting() {
				w.busy <- struct{}{}
			} else {
				<-w.lead
			}
		case <-ctx.Done():
			if w.withdraw(c) {
				return ctx.Err()
			}
			<-c.done // somebody runs it already; its outcome is what counts
			return c.err
		}
	}
}

var errClosing = errs.E(errs.Unavailable, "db.write", "the store is closing", nil)

func (w *writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *writer) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0
}

// drain runs what waits. The caller has the lead.
func (w *writer) drain() {
	for batch := w.take(); len(batch) > 0; batch = w.take() {
		w.run(batch)
	}
}

func (w *writer) take() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxBatch)
	batch := w.queue[:n:n]
	w.queue = append([]*call(nil), w.queue[n:]...)
	return batch
}

func (w *writer) withdraw(c *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, q := range w.queue {
		if q == c {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			return true
		}
	}
	return false
}

// run executes a batch in one transaction and tells each caller how its part went. A function that fails is rolled back to its
// savepoint and the others go on; when the transaction itself breaks (disk full, COMMIT fails) all of them fail.
func (w *writer) run(batch []*call) {
	ctx := context.Background() // the shared commit must not end with one caller's deadline
	err := w.raw(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		for _, c := range batch {
			if err = w.one(ctx, c, len(batch) > 1); err != nil {
				break
			}
		}
		if err == nil {
			if w.opts.AnswerEarly {
				answerEarly(batch)
			}
			if w.opts.BeforeCommit != nil {
				w.opts.BeforeCommit()
			}
			err = w.raw(ctx, "COMMIT")
		}
		if err != nil {
			_ = w.raw(ctx, "ROLLBACK")
		}
	}
	for _, c := range batch {
		if c.early {
			continue
		}
		if c.err == nil && err != nil {
			c.err = wrap("db.write", err)
		}
		switch {
		case c.err == nil:
			callAll(c.tx.after)
		case c.tx != nil: // it was reached
			callAll(c.tx.undo)
		}
		close(c.done)
	}
}

// answerEarly is the fault that Options.AnswerEarly asks for.
func answerEarly(batch []*call) {
	for _, c := range batch {
		if c.err == nil {
			callAll(c.tx.after)
			c.early = true
			close(c.done)
		}
	}
}

// one runs a single function. The error it returns means the whole transaction is lost.
func (w *writer) one(ctx context.Context, c *call, savepoint bool) error {
	c.tx = &Tx{ctx: ctx, db: c.db, exec: w.exec, query: w.query, row: w.row}
	if !savepoint {
		if c.err = safely(c.fn, c.tx); c.err != nil {
			return c.err
		}
		return nil
	}
	if err := w.raw(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	if c.err = safely(c.fn, c.tx); c.err != nil {
		if err := w.raw(ctx, "ROLLBACK TO part"); err != nil {
			return err
		}
	}
	return w.raw(ctx, "RELEASE part")
}

func (w *writer) raw(ctx context.Context, query string) error {
	_, err := w.exec(ctx, query)
	return err
}

// maxStatements bounds the cache of prepared statements; texts past it (long dynamic lists) are prepared each time.
const maxStatements = 512

func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := w.stmts[query]; ok {
		return s, nil
	}
	if len(w.stmts) >= maxStatements {
		return nil, nil
	}
	s, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = s
	return s, nil
}

func (w *writer) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return w.conn.ExecContext(ctx, query, args...)
	}
	return s.ExecContext(ctx, args...)
}

func (w *writer) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return w.conn.QueryContext(ctx, query, args...)
	}
	return s.QueryContext(ctx, args...)
}

func (w *writer) row(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := w.prepare(ctx, query)
	if err != nil || s == nil {
		return w.conn.QueryRowContext(ctx, query, args...)
	}
	return s.QueryRowContext(ctx, args...)
}

func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.lead <- struct{}{} // wait for the batch that runs
	w.drain()
	close(w.busy)
	for _, s := range w.stmts {
		_ = s.Close()
	}
	_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	err := w.conn.Close()
	if e := w.pool.Close(); err == nil {
		err = e
	}
	return err
}
