// Package db is the metadata store: SQLite embedded, PostgreSQL at scale, one SQL text for both.
//
// Write is the only way to change anything. On SQLite callers that wait at the same time share one commit (group commit): whoever
// gets the connection first runs everybody's function, each in a savepoint of its own, and commits once. On PostgreSQL each call is a
// serializable transaction that is retried when it collides. In both cases fn may run more than once, so it does SQL through its
// transaction and nothing else; caches change in Tx.AfterCommit.
//
// Placeholders are written as ? and rebound for PostgreSQL.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Engine is the database behind a DB.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Options says which database to open.
type Options struct {
	// URL is postgres://user@host/name, or a file path (optionally sqlite:PATH) for SQLite.
	URL string
	Log *slog.Logger
	// BeforeCommit, if set, runs just before each COMMIT. Crash tests put a delay there: without it a server that answers
	// before it commits would pass them.
	BeforeCommit func()
	// AnswerEarly makes the SQLite writer answer before it commits. It is wrong on purpose: the crash test must catch it.
	AnswerEarly bool
}

// DB is an open metadata store. Safe for concurrent use.
type DB struct {
	engine Engine
	pool   *sql.DB // readers on SQLite; everything on PostgreSQL
	writer *writer // SQLite only
	opts   Options
	stmts  stmtCache
	doubts doubts // PostgreSQL
}

// Open opens the store and checks that it answers. It returns Unavailable when the server or file cannot be reached.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if _, ok := File(o.URL); !ok {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, o)
}

// File is the path of the file that a SQLite URL names; not ok for PostgreSQL.
func File(url string) (path string, ok bool) {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return "", false
	}
	return strings.TrimPrefix(url, "sqlite:"), true
}

// redact keeps connection strings (they may hold a password) out of messages.
func redact(err error) error {
	var pe *pgconn.ParseConfigError
	if errors.As(err, &pe) {
		return errors.New("the connection string is not valid")
	}
	return err
}

func openSQLite(ctx context.Context, o Options) (*DB, error) {
	path := strings.TrimPrefix(o.URL, "sqlite:")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, errs.E(errs.Unavailable, "db.open", "cannot make the data folder", err)
	}
	open := func(extra ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "foreign_keys(on)", "temp_store(memory)", "synchronous(full)"}, extra...)}
		return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	}
	wdb, err := open("journal_mode(wal)", "cache_size(-16384)", "journal_size_limit(67108864)", "wal_autocheckpoint("+strconv.Itoa(logPages)+")")
	if err != nil {
		return nil, errs.E(errs.Internal, "db.open", "cannot open the store", err)
	}
	wdb.SetMaxOpenConns(1)
	conn, err := wdb.Conn(ctx)
	if err != nil {
		_ = wdb.Close()
		return nil, errs.E(errs.Unavailable, "db.open", "cannot open "+path, err).
			WithHint("the data folder must exist, be writable and have free space")
	}
	pool, err := open("query_only(on)")
	if err != nil {
		_ = wdb.Close()
		return nil, errs.E(errs.Internal, "db.open", "cannot open the store", err)
	}
	pool.SetMaxOpenConns(max(4, runtime.NumCPU()*2))
	pool.SetMaxIdleConns(4)
	d := &DB{engine: SQLite, pool: pool, opts: o}
	d.stmts.init(pool)
	d.writer = newWriter(wdb, conn, o)
	return d, nil
}

// Engine says which engine this is, for the few statements that must differ.
func (d *DB) Engine() Engine { return d.engine }

// Close waits for running writes and closes the store.
func (d *DB) Close() error {
	var err error
	if d.writer != nil {
		err = d.writer.close()
	}
	return errors.Join(err, d.pool.Close())
}

// Ping checks that the store answers.
func (d *DB) Ping(ctx context.Context) error { return d.pool.PingContext(ctx) }

// Query reads committed rows.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, q, err := d.stmts.get(ctx, d.rebind(query))
	if err != nil {
		return nil, wrap("db.query", err)
	}
	if stmt == nil {
		rows, err := d.pool.QueryContext(ctx, q, args...)
		return rows, wrap("db.query", err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, wrap("db.query", err)
}

// QueryRow reads one committed row. Scan gives sql.ErrNoRows when there is none.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, q, err := d.stmts.get(ctx, d.rebind(query))
	if err != nil || stmt == nil {
		return d.pool.QueryRowContext(ctx, q, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

// Tx is the transaction that a Write function works in. It must not leave the function.
type Tx struct {
	ctx   context.Context
	db    *DB
	exec  func(ctx context.Context, query string, args ...any) (sql.Result, error)
	query func(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	row   func(ctx context.Context, query string, args ...any) *sql.Row
	after []func()
	undo  []func()
}

// Engine says which engine this is.
func (t *Tx) Engine() Engine { return t.db.engine }

// Exec changes rows and gives the number changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	r, err := t.exec(t.ctx, t.db.rebind(query), args...)
	if err != nil {
		return 0, wrap("db.exec", err)
	}
	n, err := r.RowsAffected()
	return n, wrap("db.exec", err)
}

// Query reads rows inside the transaction. Close them before the next statement.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	rows, err := t.query(t.ctx, t.db.rebind(query), args...)
	return rows, wrap("db.query", err)
}

// QueryRow reads one row inside the transaction.
func (t *Tx) QueryRow(query string, args ...any) *sql.Row {
	return t.row(t.ctx, t.db.rebind(query), args...)
}

// AfterCommit runs fn once the transaction is durable and before Write returns. It is dropped when the transaction is not committed.
func (t *Tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

// AfterRollback runs fn once the transaction is known not to be committed; the function of the Write may run again after that. Where nobody
// knows what became of a COMMIT neither this nor AfterCommit is called.
func (t *Tx) AfterRollback(fn func()) { t.undo = append(t.undo, fn) }

func callAll(fns []func()) {
	for _, f := range fns {
		f()
	}
}

// Write runs fn in a transaction and returns when it is durable. fn may run more than once. A Write inside fn is an error.
func (d *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	if nested() {
		return errNested
	}
	if d.writer != nil {
		return d.writer.write(ctx, d, fn)
	}
	return d.writePostgres(ctx, fn)
}

var errNested = errs.E(errs.Internal, "db.write", "a write inside a write", nil)

// nested reports whether we are called from inside the function of a write. On SQLite it would wait for itself for ever. Only the stack can
// tell; walking it takes one or two microseconds.
func nested() bool {
	var stack [128]uintptr
	for _, pc := range stack[:runtime.Callers(3, stack[:])] {
		if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == safelyEntry {
			return true
		}
	}
	return false
}

var safelyEntry = reflect.ValueOf(safely).Pointer()

// safely turns a panic in fn into an error, so that one caller's bug cannot take the shared commit down.
func safely(fn func(tx *Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.E(errs.Internal, "db.write", "a write panicked", fmt.Errorf("%v", p))
		}
	}()
	return fn(tx)
}

// wrap gives database errors their kind. sql.ErrNoRows passes as it is.
func wrap(op string, err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			return errs.DiskFull(op, "the disk of the data folder is full", err)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return errs.E(errs.Unavailable, op, "the data folder cannot be written", err).WithHint("check its permissions and that the disk is not mounted read-only")
		case sqlite3.SQLITE_IOERR:
			return errs.E(errs.Unavailable, op, "the disk of the data folder failed", err).WithHint("check free space and the disk; nothing was written")
		case sqlite3.SQLITE_CONSTRAINT:
			return errs.E(errs.Conflict, op, "it exists already or breaks a rule of the store", err)
		}
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch {
		case pe.Code == "40001", pe.Code == "40P01":
			return err
		case strings.HasPrefix(pe.Code, "23"):
			return errs.E(errs.Conflict, op, "it exists already or breaks a rule of the store", err)
		case strings.HasPrefix(pe.Code, "53"):
			return errs.E(errs.Exhausted, op, "the database is out of room", err)
		case strings.HasPrefix(pe.Code, "57"), strings.HasPrefix(pe.Code, "08"):
			return errs.E(errs.Unavailable, op, "the database went away", err)
		}
	}
	return err
}
