package trace

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
)

// within is the SQL of the traces of a query; timed says that their start must lie in its range.
func (q *MetricQuery) within(filters []metricFilter, timed bool) (string, []any) {
	where, args := "t.experiment_id IN ("+db.Placeholders(len(q.ExperimentIDs))+")", anys(q.ExperimentIDs)
	bound := func(ms int64) int64 { return max(min(ms, math.MaxInt64/1000-1), math.MinInt64/1000+1) * 1000 } // kept as microseconds
	if timed && q.From != nil {
		where += " AND t.started_at >= ?"
		args = append(args, bound(*q.From))
	}
	if timed && q.To != nil {
		where += " AND t.started_at < ?"
		args = append(args, bound(*q.To)+1000)
	}
	for _, f := range filters {
		if f.of == ViewTraces && f.entity == "status" {
			where += " AND t.state = ?"
			args = append(args, f.value)
		}
	}
	return where, args
}

// labels says which of a trace's labels a query reads: JSON is dear to read.
func (q *MetricQuery) labels(filters []metricFilter) (tags, metadata bool) {
	tags = slices.ContainsFunc(filters, func(f metricFilter) bool { return f.of == ViewTraces && f.entity == "tag" })
	metadata = slices.ContainsFunc(filters, func(f metricFilter) bool { return f.of == ViewTraces && f.entity == "metadata" })
	if q.View == ViewTraces && q.Metric != "trace_count" && q.Metric != "latency" {
		metadata = true
	}
	return tags, metadata
}

func labelColumns(tags, metadata bool) string {
	out := ""
	for _, c := range []struct {
		want bool
		name string
	}{{tags, "t.tags"}, {metadata, "t.metadata"}} {
		if c.want {
			out += ", " + c.name
		} else {
			out += ", ''"
		}
	}
	return out
}

func (t *traceFacts) read(started, duration int64, tags, metadata string) error {
	t.start, t.duration = clock.FromMicros(started).UnixMilli(), -1
	if duration >= 0 {
		t.duration = duration / 1000
	}
	t.tags, t.metadata = nil, nil
	if tags != "" {
		if err := json.Unmarshal([]byte(tags), &t.tags); err != nil {
			return err
		}
	}
	if metadata != "" {
		return json.Unmarshal([]byte(metadata), &t.metadata)
	}
	return nil
}

// eachTrace reads the traces of a query one by one; do must not keep what it gets.
func (s store) eachTrace(ctx context.Context, q *MetricQuery, filters []metricFilter, timed bool, do func(t *traceFacts) error) error {
	where, args := q.within(filters, timed)
	rows, err := s.db.Query(ctx, "SELECT t.id, t.started_at, t.duration_us, t.state, t.name"+labelColumns(q.labels(filters))+" FROM trace t WHERE "+where, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var t traceFacts
		var started, duration int64
		var tags, metadata string
		if err := rows.Scan(&t.id, &started, &duration, &t.state, &t.name, &tags, &metadata); err != nil {
			return err
		}
		if err := t.read(started, duration, tags, metadata); err != nil {
			return err
		}
		return do(&t)
	})
}

// eachAssessment reads the valid assessments of a query's traces.
func (s store) eachAssessment(ctx context.Context, q *MetricQuery, filters []metricFilter, do func(t *traceFacts, name, kind string, value json.RawMessage) error) error {
	where, args := q.within(filters, true)
	rows, err := s.db.Query(ctx, "SELECT t.id, t.started_at, t.state, a.name, a.kind, a.value"+labelColumns(q.labels(filters))+
		" FROM trace t JOIN trace_assessment a ON a.trace_id = t.id WHERE a.valid AND "+where, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, func() error {
		var t traceFacts
		var started int64
		var name, kind, value, tags, metadata string
		if err := rows.Scan(&t.id, &started, &t.state, &name, &kind, &value, &tags, &metadata); err != nil {
			return err
		}
		if err := t.read(started, -1, tags, metadata); err != nil {
			return err
		}
		return do(&t, name, kind, json.RawMessage(value))
	})
}

// linkedTo finds the traces that were linked to the runs that filters ask for, by trace.
func (s *Service) linkedTo(ctx context.Context, filters []metricFilter) (map[string][]string, error) {
	out := map[string][]string{}
	for _, f := range filters {
		if f.of != ViewTraces || f.entity != "metadata" || f.key != MetaRun {
			continue
		}
		rows, err := s.d.DB.Query(ctx, "SELECT trace_id FROM trace_link WHERE kind = 'run' AND target = ?", f.value)
		if err != nil {
			return nil, err
		}
		err = eachRow(rows, func() error {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			out[id] = append(out[id], f.value)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// factsStep is how many traces' facts are read at once.
const factsStep = 500

// factsOf reads the facts of some traces' spans, each span once.
func (s *Service) factsOf(ctx context.Context, ids []string) (map[string][]fact, error) {
	out := make(map[string][]fact, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	if !s.indexed(ctx) {
		for _, id := range ids {
			spans, err := s.st.spans(ctx, id)
			if err != nil {
				return nil, err
			}
			for i := range spans {
				out[id] = append(out[id], factOf(&spans[i]))
			}
		}
		return out, nil
	}
	rows, err := s.d.DB.Query(ctx, "SELECT trace_id, facts FROM trace_index WHERE trace_id IN ("+db.Placeholders(len(ids))+") ORDER BY trace_id, seq", anys(ids)...)
	if err != nil {
		return nil, err
	}
	parts := map[string][][]fact{}
	err = eachRow(rows, func() error {
		var id string
		var b []byte
		if err := rows.Scan(&id, &b); err != nil {
			return err
		}
		fs, err := decodeFacts(b)
		parts[id] = append(parts[id], fs)
		return err
	})
	for id, p := range parts {
		out[id] = mergeFacts(p)
	}
	return out, err
}
