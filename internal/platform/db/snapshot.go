package db

import (
	"context"
	"database/sql"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

// Snapshot is the store as it was at one moment, read while others write.
type Snapshot struct {
	// File is the whole store as a file of its own (SQLite); the caller removes it. Empty on PostgreSQL.
	File   string
	engine Engine
	pool   *sql.DB   // of File
	conn   *sql.Conn // PostgreSQL: in a read-only transaction
}

// Snapshot freezes a view of the store. On SQLite it writes a copy into dir, on PostgreSQL it holds a transaction open. Close it soon.
func (d *DB) Snapshot(ctx context.Context, dir string) (*Snapshot, error) {
	if d.engine == Postgres {
		return d.snapshotPostgres(ctx)
	}
	const op = "db.snapshot"
	path := strings.TrimPrefix(d.opts.URL, "sqlite:")
	src, err := sql.Open("sqlite", sqliteURL(path, "busy_timeout(5000)"))
	if err != nil {
		return nil, wrap(op, err)
	}
	defer func() { _ = src.Close() }()
	file := filepath.Join(dir, "snapshot-"+id.Hex()+".db")
	if _, err := src.ExecContext(ctx, "VACUUM INTO ?", file); err != nil { // one read transaction: writers go on
		return nil, wrap(op, err)
	}
	pool, err := sql.Open("sqlite", sqliteURL(file, "query_only(on)"))
	if err != nil {
		return nil, wrap(op, err)
	}
	return &Snapshot{File: file, engine: SQLite, pool: pool}, nil
}

func sqliteURL(path string, pragmas ...string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{"_pragma": pragmas}.Encode()
}

func (d *DB) snapshotPostgres(ctx context.Context) (*Snapshot, error) {
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return nil, wrap("db.snapshot", err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		_ = conn.Close()
		return nil, wrap("db.snapshot", err)
	}
	return &Snapshot{engine: Postgres, conn: conn}, nil
}

// Close ends the view.
func (s *Snapshot) Close() {
	if s.pool != nil {
		_ = s.pool.Close()
	}
	if s.conn != nil {
		_, _ = s.conn.ExecContext(context.Background(), "ROLLBACK")
		_ = s.conn.Close()
	}
}

// Query reads rows of the snapshot. It takes no arguments: both engines understand the text as it is.
func (s *Snapshot) Query(ctx context.Context, query string) (*sql.Rows, error) {
	var rows *sql.Rows
	var err error
	if s.pool != nil {
		rows, err = s.pool.QueryContext(ctx, query)
	} else {
		rows, err = s.conn.QueryContext(ctx, query)
	}
	return rows, wrap("db.snapshot", err)
}

// Tables lists the tables of the store, sorted.
func (s *Snapshot) Tables(ctx context.Context) ([]string, error) {
	query := "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
	if s.engine == Postgres {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"
	}
	rows, err := s.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return texts(rows)
}

func texts(rows *sql.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// Columns lists the columns of a table in their order (PostgreSQL).
func (s *Snapshot) Columns(ctx context.Context, table string) ([]string, error) {
	rows, err := s.conn.QueryContext(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position", table)
	if err != nil {
		return nil, wrap("db.snapshot", err)
	}
	return texts(rows)
}

// Sequences lists the sequences of the store with the next value each gives (PostgreSQL).
func (s *Snapshot) Sequences(ctx context.Context) (map[string]int64, error) {
	rows, err := s.Query(ctx, "SELECT sequencename, coalesce(last_value + 1, start_value) FROM pg_sequences WHERE schemaname = current_schema()")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]int64{}
	for rows.Next() {
		var name string
		var next int64
		if err := rows.Scan(&name, &next); err != nil {
			return nil, err
		}
		out[name] = next
	}
	return out, rows.Err()
}

// CopyOut writes the rows of a table in PostgreSQL's text form.
func (s *Snapshot) CopyOut(ctx context.Context, table string, columns []string, w io.Writer) error {
	return s.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().CopyTo(ctx, w, "COPY "+ident(table, columns)+" TO STDOUT")
		return wrap("db.copy", err)
	})
}

func ident(table string, columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = pgx.Identifier{c}.Sanitize()
	}
	return pgx.Identifier{table}.Sanitize() + " (" + strings.Join(quoted, ", ") + ")"
}

// Load is an empty PostgreSQL database that is being filled, all or nothing.
type Load struct {
	conn *sql.Conn
	done bool
}

// BeginLoad starts filling a database whose schema was just made.
func (d *DB) BeginLoad(ctx context.Context) (*Load, error) {
	if d.engine != Postgres {
		return nil, errs.E(errs.Invalid, "db.load", "only PostgreSQL is loaded table by table", nil)
	}
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return nil, wrap("db.load", err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		_ = conn.Close()
		return nil, wrap("db.load", err)
	}
	return &Load{conn: conn}, nil
}

// Clear empties tables, before the first CopyIn.
func (l *Load) Clear(ctx context.Context, tables []string) error {
	for _, t := range tables {
		if _, err := l.conn.ExecContext(ctx, "DELETE FROM "+pgx.Identifier{t}.Sanitize()); err != nil {
			return wrap("db.load", err)
		}
	}
	return nil
}

// CopyIn adds rows to a table from PostgreSQL's text form.
func (l *Load) CopyIn(ctx context.Context, table string, columns []string, r io.Reader) error {
	return l.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().CopyFrom(ctx, r, "COPY "+ident(table, columns)+" FROM STDIN")
		return wrap("db.load", err)
	})
}

// SetSequence makes a sequence go on with next.
func (l *Load) SetSequence(ctx context.Context, name string, next int64) error {
	_, err := l.conn.ExecContext(ctx, "SELECT setval($1::regclass, $2, false)", pgx.Identifier{name}.Sanitize(), next)
	return wrap("db.load", err)
}

// Commit ends the load.
func (l *Load) Commit(ctx context.Context) error {
	_, err := l.conn.ExecContext(ctx, "COMMIT")
	l.done = err == nil
	return wrap("db.load", err)
}

// Close drops a load that was not committed.
func (l *Load) Close() {
	if !l.done {
		_, _ = l.conn.ExecContext(context.Background(), "ROLLBACK")
	}
	_ = l.conn.Close()
}

// Drop removes tables and sequences that a load that failed has left.
func (d *DB) Drop(ctx context.Context, tables, sequences []string) error {
	return d.Write(ctx, func(tx *Tx) error {
		for kind, names := range map[string][]string{"TABLE": tables, "SEQUENCE": sequences} {
			for _, n := range names {
				if _, err := tx.Exec("DROP " + kind + " IF EXISTS " + pgx.Identifier{n}.Sanitize()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// TableCount counts the tables of the store, 0 for an empty database.
func (d *DB) TableCount(ctx context.Context) (n int, err error) {
	query := "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
	if d.engine == Postgres {
		query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	err = d.QueryRow(ctx, query).Scan(&n)
	return n, err
}

// Intact checks the pages and indexes of a SQLite store; PostgreSQL looks after its own.
func (d *DB) Intact(ctx context.Context) error {
	if d.engine == Postgres {
		return nil
	}
	var verdict string
	if err := d.QueryRow(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return wrap("db.intact", err)
	}
	if verdict != "ok" {
		return errs.E(errs.Precondition, "db.intact", "the database is damaged: "+verdict, nil).WithHint("restore a backup")
	}
	return nil
}
