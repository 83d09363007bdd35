package trace

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

type store struct {
	db   *db.DB
	pack *packer
}

const columns = `id, experiment_id, started_at, duration_us, state, name, client_request_id, request_preview, response_preview, tags, metadata, shapes,
	span_count, span_bytes, finalized`

type scanner interface{ Scan(...any) error }

func scanTrace(row scanner) (Trace, error) {
	var t Trace
	var started, duration int64
	var tags, meta, shape string
	var request, response sql.NullString
	err := row.Scan(&t.ID, &t.ExperimentID, &started, &duration, &t.State, &t.Name, &t.ClientRequestID, &request, &response, &tags, &meta, &shape,
		&t.SpanCount, &t.bytes, &t.finalized)
	if err != nil {
		return t, err
	}
	t.Start = clock.FromMicros(started)
	if duration >= 0 {
		d := time.Duration(duration) * time.Microsecond
		t.Duration = &d
	}
	if request.Valid {
		t.RequestPreview = &request.String
	}
	if response.Valid {
		t.ResponsePreview = &response.String
	}
	if err := json.Unmarshal([]byte(tags), &t.Tags); err != nil {
		return t, err
	}
	if err := json.Unmarshal([]byte(meta), &t.Metadata); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(shape), &t.shapes)
}

func nullable(s *string) sql.NullString {
	if s == nil {
		return sql.NullString{}
	}
	return sql.NullString{String: *s, Valid: true}
}

// put writes a whole trace row; a trace that is written is not in the trash.
func put(tx *db.Tx, t *Trace) error {
	tags, err := encode(t.Tags)
	if err != nil {
		return err
	}
	meta, err := encode(t.Metadata)
	if err != nil {
		return err
	}
	shape, err := encode(t.shapes)
	if err != nil {
		return err
	}
	duration := int64(-1)
	if t.Duration != nil {
		duration = t.Duration.Microseconds()
	}
	_, err = tx.Exec(`INSERT INTO trace (`+columns+`, run_id) VALUES (`+db.Placeholders(16)+`)
		ON CONFLICT (id) DO UPDATE SET experiment_id = excluded.experiment_id, started_at = excluded.started_at, duration_us = excluded.duration_us,
			state = excluded.state, name = excluded.name, client_request_id = excluded.client_request_id, request_preview = excluded.request_preview,
			response_preview = excluded.response_preview, tags = excluded.tags, metadata = excluded.metadata, shapes = excluded.shapes,
			span_count = excluded.span_count, span_bytes = excluded.span_bytes, finalized = excluded.finalized, run_id = excluded.run_id,
			deleted_at = 0, deleted_by = '', trashed_from = ''`,
		t.ID, t.ExperimentID, clock.Micros(t.Start), duration, string(t.State), t.Name, t.ClientRequestID, nullable(t.RequestPreview),
		nullable(t.ResponsePreview), tags, meta, shape, t.SpanCount, t.bytes, t.finalized, t.RunID())
	return err
}

func encode(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// find reads a trace inside a transaction; nil when there is none, or only one in the trash.
func find(tx *db.Tx, id string) (*Trace, error) {
	if !idPattern.MatchString(id) { // no text that a database cannot take
		return nil, nil
	}
	t, err := scanTrace(tx.QueryRow("SELECT "+columns+" FROM trace WHERE id = ? AND deleted_at = 0", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &t, err
}

func mustFind(tx *db.Tx, id string) (*Trace, error) {
	t, err := find(tx, id)
	if err == nil && t == nil {
		err = noTrace(id)
	}
	return t, err
}

func (s store) get(ctx context.Context, id string) (Trace, error) {
	if !idPattern.MatchString(id) {
		return Trace{}, noTrace(id)
	}
	t, err := scanTrace(s.db.QueryRow(ctx, "SELECT "+columns+" FROM trace WHERE id = ? AND deleted_at = 0", id))
	if errors.Is(err, sql.ErrNoRows) {
		return t, noTrace(id)
	}
	return t, err
}

// many reads the traces of some ids, in the order of the ids; unknown ones are left out.
func (s store) many(ctx context.Context, ids []string) ([]Trace, error) {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !idPattern.MatchString(id) })
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, "SELECT "+columns+" FROM trace WHERE deleted_at = 0 AND id IN ("+db.Placeholders(len(ids))+")", anys(ids)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	by := map[string]Trace{}
	for rows.Next() {
		t, err := scanTrace(rows)
		if err != nil {
			return nil, err
		}
		by[t.ID] = t
	}
	out := make([]Trace, 0, len(by))
	for _, id := range ids {
		if t, ok := by[id]; ok {
			out = append(out, t)
			delete(by, id)
		}
	}
	return out, rows.Err()
}

// experimentsOf finds the experiments of some traces, of those in the trash the one they were deleted from; unknown ones are left out.
func (s store) experimentsOf(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !idPattern.MatchString(id) }) // no text that a database cannot take
	for part := range slices.Chunk(ids, 500) {
		rows, err := s.db.Query(ctx, "SELECT id, CASE WHEN deleted_at > 0 THEN trashed_from ELSE experiment_id END FROM trace WHERE id IN ("+db.Placeholders(len(part))+")", anys(part)...)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id, experiment string
			err := rows.Scan(&id, &experiment)
			out[id] = experiment
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func anys(ids []string) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

type block struct {
	seq, n int64
	data   []byte
}

type queryer interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// reader reads outside a transaction with the same calls.
type reader struct {
	ctx context.Context
	db  *db.DB
}

func (r reader) Query(query string, args ...any) (*sql.Rows, error) {
	return r.db.Query(r.ctx, query, args...)
}

func blocks(q queryer, id string) ([]block, error) {
	rows, err := q.Query("SELECT seq, n, data FROM trace_spans WHERE trace_id = ? ORDER BY seq", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []block
	for rows.Next() {
		var b block
		if err := rows.Scan(&b.seq, &b.n, &b.data); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

func (s store) spansOf(q queryer, id string) ([]Span, error) {
	bs, err := blocks(q, id)
	if err != nil {
		return nil, err
	}
	parts := make([][]Span, len(bs))
	for i, b := range bs {
		if parts[i], err = s.pack.unpack(b.data); err != nil {
			return nil, err
		}
	}
	return merge(parts...), nil
}

func (s store) spans(ctx context.Context, id string) ([]Span, error) {
	return s.spansOf(reader{ctx, s.db}, id)
}

const (
	smallBlock  = 1024 // spans; larger blocks are left alone
	smallBlocks = 16   // how many small ones are put together
)

// appendSpans adds a block and, when there are many small ones, puts those together, so that a trace that came span by span is not read
// span by span. block is the spans, packed.
func (s store) appendSpans(tx *db.Tx, id string, spans []Span, block spanBlock) error {
	rows, err := tx.Query("SELECT seq, n FROM trace_spans WHERE trace_id = ? ORDER BY seq", id)
	if err != nil {
		return err
	}
	next, small := int64(1), []any{}
	for rows.Next() {
		var seq, n int64
		if err := rows.Scan(&seq, &n); err != nil {
			_ = rows.Close()
			return err
		}
		next = seq + 1
		if n < smallBlock {
			small = append(small, seq)
		}
	}
	_ = rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	if len(small) >= smallBlocks {
		all, err := blocks(tx, id)
		if err != nil {
			return err
		}
		parts := [][]Span{}
		for _, b := range all {
			if b.n >= smallBlock {
				continue
			}
			p, err := s.pack.unpack(b.data)
			if err != nil {
				return err
			}
			parts = append(parts, p)
		}
		args := append([]any{id}, small...)
		for _, table := range []string{"trace_spans", "trace_index"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE trace_id = ? AND seq IN ("+db.Placeholders(len(small))+")", args...); err != nil {
				return err
			}
		}
		if block, err = s.pack.block(merge(append(parts, spans)...)); err != nil {
			return err
		}
	}
	if _, err = tx.Exec("INSERT INTO trace_spans (trace_id, seq, n, data) VALUES (?, ?, ?, ?)", id, next, block.n, block.data); err != nil {
		return err
	}
	return putIndex(tx, id, next, block)
}

const assessmentColumns = `id, trace_id, name, kind, value, error, source_type, source_id, span_id, rationale, metadata, created_at, updated_at, overrides, valid`

func scanAssessment(row scanner) (Assessment, error) {
	var a Assessment
	var value, fault, meta string
	var created, updated int64
	err := row.Scan(&a.ID, &a.TraceID, &a.Name, &a.Kind, &value, &fault, &a.SourceType, &a.SourceID, &a.SpanID, &a.Rationale, &meta, &created, &updated, &a.Overrides, &a.Valid)
	if err != nil {
		return a, err
	}
	a.Value, a.CreatedAt, a.UpdatedAt = json.RawMessage(value), clock.FromMicros(created), clock.FromMicros(updated)
	if fault != "" {
		a.Error = &AssessmentError{}
		if err := json.Unmarshal([]byte(fault), a.Error); err != nil {
			return a, err
		}
	}
	return a, json.Unmarshal([]byte(meta), &a.Metadata)
}

func putAssessment(tx *db.Tx, a *Assessment) error {
	fault := ""
	if a.Error != nil {
		var err error
		if fault, err = encode(a.Error); err != nil {
			return err
		}
	}
	if a.Metadata == nil {
		a.Metadata = map[string]string{}
	}
	meta, err := encode(a.Metadata)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO trace_assessment ("+assessmentColumns+") VALUES ("+db.Placeholders(15)+`)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, value = excluded.value, error = excluded.error, rationale = excluded.rationale,
			metadata = excluded.metadata, updated_at = excluded.updated_at, valid = excluded.valid`,
		a.ID, a.TraceID, a.Name, string(a.Kind), string(a.Value), fault, string(a.SourceType), a.SourceID, a.SpanID, a.Rationale, meta,
		clock.Micros(a.CreatedAt), clock.Micros(a.UpdatedAt), a.Overrides, a.Valid)
	return err
}

func findAssessment(tx *db.Tx, traceID, id string) (*Assessment, error) {
	if !idPattern.MatchString(id) {
		return nil, nil
	}
	a, err := scanAssessment(tx.QueryRow("SELECT "+assessmentColumns+" FROM trace_assessment WHERE id = ? AND trace_id = ?", id, traceID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &a, err
}

// assessments reads those of some traces, by trace, oldest first.
func (s store) assessments(ctx context.Context, ids []string) (map[string][]Assessment, error) {
	out := map[string][]Assessment{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := s.db.Query(ctx, "SELECT "+assessmentColumns+" FROM trace_assessment WHERE trace_id IN ("+db.Placeholders(len(ids))+") ORDER BY created_at, id", anys(ids)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		a, err := scanAssessment(rows)
		if err != nil {
			return nil, err
		}
		out[a.TraceID] = append(out[a.TraceID], a)
	}
	return out, rows.Err()
}

// links reads the targets of one kind that some traces are linked to.
func (s store) links(ctx context.Context, kind string, ids []string) (map[string][]string, error) {
	out := map[string][]string{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := s.db.Query(ctx, "SELECT trace_id, target FROM trace_link WHERE kind = ? AND trace_id IN ("+db.Placeholders(len(ids))+") ORDER BY trace_id, target", append([]any{kind}, anys(ids)...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, target string
		if err := rows.Scan(&id, &target); err != nil {
			return nil, err
		}
		out[id] = append(out[id], target)
	}
	return out, rows.Err()
}

// removeTraces deletes traces with all that belongs to them and gives how many there were.
func removeTraces(tx *db.Tx, ids []string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	in := " IN (" + db.Placeholders(len(ids)) + ")"
	for _, table := range []string{"trace_spans", "trace_index", "trace_index_todo", "trace_assessment", "trace_link"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE trace_id"+in, anys(ids)...); err != nil {
			return 0, err
		}
	}
	return tx.Exec("DELETE FROM trace WHERE id"+in, anys(ids)...)
}

// idsOf finds the ids of traces of an experiment: the oldest up to a time, or those of a list that are there.
func idsOf(tx *db.Tx, where string, args ...any) ([]string, error) {
	rows, err := tx.Query("SELECT id FROM trace WHERE "+where, args...)
	return db.All(rows, err, db.Column[string])
}
