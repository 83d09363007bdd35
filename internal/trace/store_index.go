package trace

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/db"
)

func putIndex(tx *db.Tx, id string, seq int64, b spanBlock) error {
	_, err := tx.Exec("INSERT INTO trace_index (trace_id, seq, facts, grams) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", id, seq, b.facts, b.grams)
	return err
}

// newSpans counts the spans of a block that a trace does not have yet.
func (s store) newSpans(tx *db.Tx, t *Trace, facts []byte) (int, error) {
	ids, err := decodeIDs(facts)
	if err != nil || t.SpanCount == 0 {
		return len(ids), err
	}
	have, err := s.spanIDs(tx, t.ID)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		if !have[id] {
			n++
		}
	}
	return n, nil
}

// spanIDs reads the ids of a trace's spans: from the index, or from the spans of a trace that has none yet.
func (s store) spanIDs(tx *db.Tx, id string) (map[[8]byte]bool, error) {
	todo, err := inTodo(tx, id)
	if err != nil {
		return nil, err
	}
	if todo {
		if err := s.index(tx, id); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query("SELECT facts FROM trace_index WHERE trace_id = ?", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	have := map[[8]byte]bool{}
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		ids, err := decodeIDs(b)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			have[id] = true
		}
	}
	return have, rows.Err()
}

func inTodo(tx *db.Tx, id string) (bool, error) {
	var one int
	err := tx.QueryRow("SELECT 1 FROM trace_index_todo WHERE trace_id = ?", id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// index makes the index of a trace of an older store, and its count of spans exact.
func (s store) index(tx *db.Tx, id string) error {
	bs, err := blocks(tx, id)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, b := range bs {
		spans, err := s.pack.unpack(b.data)
		if err != nil {
			return err
		}
		spans = merge(spans)
		for i := range spans {
			seen[spans[i].ID] = true
		}
		made, err := s.pack.block(spans)
		if err != nil {
			return err
		}
		if err := putIndex(tx, id, b.seq, made); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("UPDATE trace SET span_count = ? WHERE id = ?", len(seen), id); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM trace_index_todo WHERE trace_id = ?", id)
	return err
}

// indexStep is how many traces of an older store one transaction indexes.
const indexStep = 50

// Index makes the index of traces that an older version has written, a few in each transaction, until all have it. Searches and charts
// work meanwhile, reading the spans themselves.
func (s *Service) Index(ctx context.Context) error {
	for {
		n := 0
		err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
			ids, err := todoIDs(tx)
			n = len(ids)
			for _, id := range ids {
				if err == nil {
					err = s.st.index(tx, id)
				}
			}
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

func todoIDs(tx *db.Tx) ([]string, error) {
	rows, err := tx.Query("SELECT trace_id FROM trace_index_todo ORDER BY trace_id LIMIT ?", indexStep)
	return db.All(rows, err, db.Column[string])
}

// indexed reports whether every block has its index; once it is so it stays so.
func (s *Service) indexed(ctx context.Context) bool {
	if s.whole.Load() {
		return true
	}
	var one int
	err := s.d.DB.QueryRow(ctx, "SELECT 1 FROM trace_index_todo LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		s.whole.Store(true)
	}
	return s.whole.Load()
}

// place is a trace of a search with the values that it sorts by.
type place struct {
	id     string
	values []any
}

// places reads the next candidates as chunk does, without their rows.
func (s store) places(ctx context.Context, p *plan, from []any, n int) ([]place, error) {
	cols := make([]string, len(p.keys))
	for i, k := range p.keys {
		cols[i] = k.sql
	}
	stmt, args := p.statement("id, "+strings.Join(cols, ", "), from, n)
	rows, err := s.db.Query(ctx, stmt, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := make([]place, 0, n)
	texts, numbers := make([]string, len(p.keys)), make([]int64, len(p.keys))
	for rows.Next() {
		at := place{values: make([]any, len(p.keys))}
		into := []any{&at.id}
		for i, k := range p.keys {
			if k.text {
				into = append(into, &texts[i])
			} else {
				into = append(into, &numbers[i])
			}
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i, k := range p.keys {
			if at.values[i] = any(numbers[i]); k.text {
				at.values[i] = texts[i]
			}
		}
		out = append(out, at)
	}
	return out, rows.Err()
}

// mayPass leaves out the traces whose blocks cannot hold what a filter needs.
func (s store) mayPass(ctx context.Context, n need, at []place) ([]string, error) {
	ids := make([]string, len(at))
	for i := range at {
		ids[i] = at[i].id
	}
	by := make(map[string][][]byte, len(ids))
	for part := range slices.Chunk(ids, 500) {
		rows, err := s.db.Query(ctx, "SELECT trace_id, grams FROM trace_index WHERE trace_id IN ("+db.Placeholders(len(part))+")", anys(part)...)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id string
			var grams []byte
			if err := rows.Scan(&id, &grams); err != nil {
				return err
			}
			by[id] = append(by[id], grams)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return !n.may(by[id]) }), nil
}

func eachRow(rows *sql.Rows, do func() error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := do(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// blocksOfMany reads the blocks of some traces at once.
func (s store) blocksOfMany(ctx context.Context, ids []string) (map[string][][]byte, error) {
	rows, err := s.db.Query(ctx, "SELECT trace_id, data FROM trace_spans WHERE trace_id IN ("+db.Placeholders(len(ids))+") ORDER BY trace_id, seq", anys(ids)...)
	if err != nil {
		return nil, err
	}
	out := make(map[string][][]byte, len(ids))
	return out, eachRow(rows, func() error {
		var id string
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		out[id] = append(out[id], data)
		return nil
	})
}

// What is read ahead of traces' blocks: so many traces, and no more bytes of spans than that, unless one alone has more.
const (
	readAhead      = 100
	readAheadBytes = 16 << 20
)

// reading gives a function that reads the spans of some traces, in their order, many blocks at a time from the first that is asked for.
func (s store) reading(ctx context.Context, ts []Trace) func(id string) ([]Span, error) {
	var ahead map[string][][]byte
	var last string
	var spans []Span
	return func(id string) ([]Span, error) {
		if id == last {
			return spans, ctx.Err()
		}
		data, ok := ahead[id]
		if !ok {
			ids, bytes := []string{id}, int64(0)
			for i := slices.IndexFunc(ts, func(t Trace) bool { return t.ID == id }) + 1; i < len(ts) && len(ids) < readAhead; i++ {
				if bytes += ts[i-1].bytes; bytes+ts[i].bytes > readAheadBytes {
					break
				}
				ids = append(ids, ts[i].ID)
			}
			var err error
			if ahead, err = s.blocksOfMany(ctx, ids); err != nil {
				return nil, err
			}
			data = ahead[id]
		}
		parts := make([][]Span, len(data))
		for i := range data {
			var err error
			if parts[i], err = s.pack.unpack(data[i]); err != nil {
				return nil, err
			}
		}
		last, spans = id, merge(parts...)
		return spans, ctx.Err()
	}
}
