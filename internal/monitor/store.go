package monitor

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
)

// insert writes a new monitor; one that is there stays.
func insert(tx *db.Tx, w *watcher) error {
	settings, state, ref, err := w.encode()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO monitor (endpoint, model, version, settings, state, reference, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (endpoint) DO NOTHING`,
		w.endpoint, w.model, w.version, settings, state, ref, clock.Micros(w.createdAt), clock.Micros(w.createdAt))
	return err
}

func (w *watcher) encode() (settings, state, ref string, err error) {
	var parts [3][]byte
	for i, v := range []any{w.settings, w.st, w.ref} {
		if parts[i], err = json.Marshal(v); err != nil {
			return "", "", "", errs.E(errs.Internal, "monitor.store", "state of "+w.endpoint, err)
		}
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), nil
}

// erase removes all that is kept of an endpoint.
func erase(tx *db.Tx, endpoint string) error {
	for _, q := range []string{"DELETE FROM monitor WHERE endpoint = ?", "DELETE FROM monitor_bucket WHERE endpoint = ?", "DELETE FROM monitor_window WHERE endpoint = ?"} {
		if _, err := tx.Exec(q, endpoint); err != nil {
			return err
		}
	}
	return nil
}

// statement is SQL that is ready to run, so that running it twice gives the same.
type statement struct {
	query string
	args  []any
}

// flush writes checkpoint, changed buckets, windows and events in one transaction. The caller holds mu. When it fails all stays to be
// written the next time.
func (s *Service) flush(ctx context.Context, w *watcher) error {
	if err := w.correct(); err != nil {
		return err
	}
	now := s.d.Clock.Now()
	updated := w.updatedAt
	w.updatedAt = now
	todo, err := w.statements(clock.Micros(now))
	if err != nil {
		w.updatedAt = updated
		return err
	}
	tell := w.out.events
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, st := range todo {
			if _, err := tx.Exec(st.query, st.args...); err != nil {
				return err
			}
		}
		for _, t := range tell {
			if err := s.d.Events.Append(ctx, tx, t.typ, events.Resource{Kind: "monitor", ID: w.endpoint}, t.data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.updatedAt = updated
		return err
	}
	s.metrics.observe(w)
	for _, b := range w.buckets {
		b.dirtyStats, b.dirtyColumns = false, false
	}
	w.out = outbox{}
	w.changed, w.refChanged, w.flushed = false, false, now
	return nil
}

func (w *watcher) statements(now int64) ([]statement, error) {
	settings, state, ref, err := w.encode()
	if err != nil {
		return nil, err
	}
	var out []statement
	add := func(query string, args ...any) { out = append(out, statement{query, args}) }
	if w.refChanged {
		add("UPDATE monitor SET reference = ? WHERE endpoint = ?", ref, w.endpoint)
	}
	add("UPDATE monitor SET version = ?, settings = ?, state = ?, updated_at = ? WHERE endpoint = ?", w.version, settings, state, now, w.endpoint)
	for _, k := range w.out.dropped {
		add("DELETE FROM monitor_bucket WHERE endpoint = ? AND bucket = ?", w.endpoint, k)
	}
	for _, k := range sortedKeys(w.buckets) {
		b := w.buckets[k]
		if !b.dirtyStats && !b.dirtyColumns {
			continue
		}
		figures, err := json.Marshal(b.stats)
		if err != nil {
			return nil, err
		}
		if !b.dirtyColumns {
			add("UPDATE monitor_bucket SET stats = ? WHERE endpoint = ? AND bucket = ?", string(figures), w.endpoint, k)
			continue
		}
		columns, err := b.encodeColumns()
		if err != nil {
			return nil, err
		}
		add("INSERT INTO monitor_bucket (endpoint, bucket, stats, sketches) VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, bucket) DO UPDATE SET stats = excluded.stats, sketches = excluded.sketches",
			w.endpoint, k, string(figures), columns)
	}
	for _, win := range w.out.windows {
		summary, err := json.Marshal(win.WindowSummary)
		if err != nil {
			return nil, err
		}
		detail, err := json.Marshal(detailJSON{win.Features, win.Prediction})
		if err != nil {
			return nil, err
		}
		add("INSERT INTO monitor_window (endpoint, id, number, summary, detail) VALUES (?, ?, ?, ?, ?)", w.endpoint, win.ID, win.Number, string(summary), string(detail))
		add("DELETE FROM monitor_window WHERE endpoint = ? AND number <= ?", w.endpoint, win.Number-keepWindows)
	}
	for _, win := range w.out.updates {
		summary, err := json.Marshal(win)
		if err != nil {
			return nil, err
		}
		add("UPDATE monitor_window SET summary = ? WHERE endpoint = ? AND id = ?", string(summary), w.endpoint, win.ID)
	}
	return out, nil
}

type detailJSON struct {
	Features   []Feature `json:"features"`
	Prediction *Feature  `json:"prediction,omitempty"`
}

// load reads all monitors.
func (s *Service) load(ctx context.Context) ([]*watcher, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT endpoint, model, version, settings, state, reference, created_at, updated_at FROM monitor ORDER BY endpoint")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []*watcher
	for rows.Next() {
		var endpoint, model, version, settings, state, ref string
		var created, updated int64
		if err := rows.Scan(&endpoint, &model, &version, &settings, &state, &ref, &created, &updated); err != nil {
			return nil, err
		}
		w := newWatcher(endpoint, model, version, Settings{}, clock.FromMicros(created))
		w.updatedAt = clock.FromMicros(updated)
		w.pairs = newPairs(s.d.Clock.Now())
		for text, v := range map[string]any{settings: &w.settings, state: &w.st, ref: &w.ref} {
			if err := json.Unmarshal([]byte(text), v); err != nil {
				return nil, errs.E(errs.Internal, "monitor.load", "the stored monitor of "+endpoint+" cannot be read", err)
			}
		}
		out = append(out, w)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, w := range out {
		if err := s.loadBuckets(ctx, w); err != nil {
			return nil, err
		}
		if err := s.loadWindows(ctx, w); err != nil {
			return nil, err
		}
		s.metrics.observe(w)
	}
	return out, nil
}

func (s *Service) loadBuckets(ctx context.Context, w *watcher) error {
	rows, err := s.d.DB.Query(ctx, "SELECT stats, sketches FROM monitor_bucket WHERE endpoint = ?", w.endpoint)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var figures, columns string
		if err := rows.Scan(&figures, &columns); err != nil {
			return err
		}
		b, err := decodeBucket(figures, columns)
		if err != nil {
			return errs.E(errs.Internal, "monitor.load", "the stored counts of "+w.endpoint+" cannot be read", err)
		}
		w.buckets[b.Key] = b
	}
	return rows.Err()
}

// loadWindows brings back what late labels and the series need.
func (s *Service) loadWindows(ctx context.Context, w *watcher) error {
	recent, err := s.summaries(ctx, w.endpoint, int(w.settings.Window.buckets())+keepStats)
	if err != nil {
		return err
	}
	slices.Reverse(recent)
	for i := range recent {
		w.recent = append(w.recent, &recent[i])
	}
	newest, err := s.details(ctx, w.endpoint, seriesLength)
	if err != nil {
		return err
	}
	for i := range newest {
		w.noteSeries(&newest[i])
		w.newest = &newest[i]
	}
	return nil
}

// summaries are the newest windows, newest first.
func (s *Service) summaries(ctx context.Context, endpoint string, limit int) ([]WindowSummary, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT summary FROM monitor_window WHERE endpoint = ? ORDER BY number DESC LIMIT ?", endpoint, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []WindowSummary{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		var w WindowSummary
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			return nil, errs.E(errs.Internal, "monitor.windows", "a stored window of "+endpoint+" cannot be read", err)
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// details are the newest windows with their distributions, oldest first.
func (s *Service) details(ctx context.Context, endpoint string, limit int) ([]Window, error) {
	rows, err := s.d.DB.Query(ctx, "SELECT summary, detail FROM monitor_window WHERE endpoint = ? ORDER BY number DESC LIMIT ?", endpoint, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Window
	for rows.Next() {
		w, err := scanWindow(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	slices.Reverse(out)
	return out, rows.Err()
}

func scanWindow(scan func(...any) error) (Window, error) {
	var summary, detail string
	if err := scan(&summary, &detail); err != nil {
		return Window{}, err
	}
	var w Window
	var d detailJSON
	if err := errors.Join(json.Unmarshal([]byte(summary), &w.WindowSummary), json.Unmarshal([]byte(detail), &d)); err != nil {
		return Window{}, errs.E(errs.Internal, "monitor.window", "a stored window cannot be read", err)
	}
	w.Features, w.Prediction = d.Features, d.Prediction
	return w, nil
}

func (s *Service) window(ctx context.Context, endpoint, windowID string) (Window, error) {
	w, err := scanWindow(s.d.DB.QueryRow(ctx, "SELECT summary, detail FROM monitor_window WHERE endpoint = ? AND id = ?", endpoint, windowID).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return w, errs.NotFoundf("monitor.window", "no window %.64s of %s", windowID, endpoint).WithHint("the newest %d windows are kept", keepWindows)
	}
	return w, err
}
