package db

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// stmtCache keeps prepared statements of the reading pool, by text.
type stmtCache struct {
	mu    sync.RWMutex
	pool  *sql.DB
	stmts map[string]*sql.Stmt
}

func (c *stmtCache) init(pool *sql.DB) {
	c.pool = pool
	c.stmts = map[string]*sql.Stmt{}
}

// get gives the prepared statement of a text, or nil when the cache is full.
func (c *stmtCache) get(ctx context.Context, query string) (*sql.Stmt, string, error) {
	c.mu.RLock()
	s, full := c.stmts[query], len(c.stmts) >= maxStatements
	c.mu.RUnlock()
	if s != nil || full {
		return s, query, nil
	}
	s, err := c.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, query, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.stmts[query]; have != nil {
		_ = s.Close()
		return have, query, nil
	}
	c.stmts[query] = s
	return s, query, nil
}

// rebind turns ? into $1, $2... for PostgreSQL, leaving quoted text alone.
func (d *DB) rebind(query string) string {
	if d.engine != Postgres || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Placeholders is "?, ?, ?" for n values, for IN lists.
func Placeholders(n int) string {
	if n <= 0 {
		return ""
	}
	return strings.Repeat("?, ", n-1) + "?"
}
