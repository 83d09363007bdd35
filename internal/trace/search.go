package trace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// Query is a search of traces, in MLflow's language (see query.go).
type Query struct {
	ExperimentIDs []string
	Filter        string
	State         State // "" for all
	OrderBy       []string
	Limit         int // 1 to MaxPage; 0: DefaultPage
	PageToken     string
}

// cursor is where a page ended: the sort values of its last trace. Traces that come meanwhile do not shift the pages after it.
type cursor struct {
	Query  string `json:"q"`
	Values []any  `json:"v"`
}

func (q Query) fingerprint() string {
	q.PageToken, q.Limit = "", 0
	b, _ := json.Marshal(q) // a plain struct of strings
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Search finds traces without their spans, by default the newest first. Kinds: Invalid.
func (s *Service) Search(ctx context.Context, q Query) ([]Trace, string, error) {
	started := time.Now()
	defer func() { s.metrics.search.Observe(time.Since(started).Seconds()) }()
	plan, err := s.plan(ctx, q)
	if err != nil {
		return nil, "", err
	}
	limit := page.Limit(q.Limit, DefaultPage, MaxPage)
	out, err := s.collect(ctx, plan, limit+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(out) > limit {
		out = out[:limit]
		next = page.Encode(cursor{q.fingerprint(), plan.values(&out[limit-1])})
	}
	return out, next, s.assess(ctx, out)
}

// collect finds the first n matches behind plan.from.
func (s *Service) collect(ctx context.Context, p *plan, n int) ([]Trace, error) {
	need := needOf(p.tree)
	if need != nil && !s.indexed(ctx) {
		need = nil
	}
	out, from := make([]Trace, 0, n), p.from
	for step := n; len(out) < n; step = min(2*step, 2000) {
		var kept []Trace
		var seen int
		var err error
		if need != nil {
			kept, seen, from, err = s.sift(ctx, p, need, from, step, n-len(out))
		} else {
			kept, seen, from, err = s.sweep(ctx, p, from, step)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, kept...)
		if seen < step {
			break
		}
	}
	return out, nil
}

// sweep tries the next step candidates.
func (s *Service) sweep(ctx context.Context, p *plan, from []any, step int) (kept []Trace, seen int, last []any, err error) {
	chunk, err := s.st.chunk(ctx, p, from, step)
	if err != nil {
		return nil, 0, nil, err
	}
	if seen = len(chunk); seen > 0 {
		from = p.values(&chunk[seen-1])
	}
	kept, err = s.filterTraces(ctx, p.tree, chunk)
	return kept, seen, from, err
}

// siftStep is how many traces are read and tried at once of those that may pass.
const siftStep = 100

// sift tries the next step candidates, reading only those whose spans may hold what the filter needs, until enough have passed.
func (s *Service) sift(ctx context.Context, p *plan, n need, from []any, step, enough int) (kept []Trace, seen int, last []any, err error) {
	at, err := s.st.places(ctx, p, from, step)
	if err != nil || len(at) == 0 {
		return nil, 0, from, err
	}
	ids, err := s.st.mayPass(ctx, n, at)
	if err != nil {
		return nil, 0, nil, err
	}
	for part := range slices.Chunk(ids, siftStep) {
		ts, err := s.st.many(ctx, part)
		if err != nil {
			return nil, 0, nil, err
		}
		if ts, err = s.filterTraces(ctx, p.tree, ts); err != nil {
			return nil, 0, nil, err
		}
		if kept = append(kept, ts...); len(kept) >= enough {
			break
		}
	}
	return kept, len(at), at[len(at)-1].values, nil
}

// plan is a search made ready: the tree that every trace is tried on, SQL that leaves out most of those that cannot pass, and the order.
type plan struct {
	tree  node
	where string
	args  []any
	keys  []sortKey
	from  []any
}

// sortKey is an SQL expression that is never NULL and the same value taken from a trace.
type sortKey struct {
	sql   string
	desc  bool
	text  bool
	value func(t *Trace) any
}

func (p *plan) values(t *Trace) []any {
	out := make([]any, len(p.keys))
	for i, k := range p.keys {
		out[i] = k.value(t)
	}
	return out
}

func (s *Service) plan(ctx context.Context, q Query) (*plan, error) {
	if len(q.ExperimentIDs) > MaxExperiments {
		return nil, errs.Invalidf("trace.search", "a search takes at most %d experiments, got %d", MaxExperiments, len(q.ExperimentIDs)).WithField("experiment_ids", "expected fewer ids")
	}
	experiments, err := s.seen(ctx, q.ExperimentIDs)
	if err != nil {
		return nil, err
	}
	tree, err := parseFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	orders, err := parseOrder(q.OrderBy)
	if err != nil {
		return nil, err
	}
	p := &plan{tree: tree, where: "experiment_id IN (" + db.Placeholders(len(experiments)) + ")", args: anys(experiments)}
	if len(experiments) == 0 {
		p.where = "1 = 0"
	}
	if q.State != "" {
		if !q.State.Valid() {
			return nil, errs.Invalidf("trace.search", "there is no state %.40q", string(q.State)).WithField("state", "expected OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED")
		}
		p.where += " AND state = ?"
		p.args = append(p.args, string(q.State))
	}
	for _, o := range orders {
		p.keys = append(p.keys, s.sortKeys(o.Ref, o.Desc)...)
	}
	for _, last := range []filter.Order{{Ref: filter.Ref{Entity: ofTrace, Key: "timestamp_ms"}, Desc: true}, {Ref: filter.Ref{Entity: ofTrace, Key: "request_id"}}} {
		if !slices.ContainsFunc(orders, func(o filter.Order) bool { return o.Ref == last.Ref }) {
			p.keys = append(p.keys, s.sortKeys(last.Ref, last.Desc)...)
		}
	}
	s.narrow(p, tree)
	if q.PageToken == "" {
		return p, nil
	}
	var c cursor
	if err := page.Decode(q.PageToken, &c); err != nil {
		return nil, err
	}
	if c.Query != q.fingerprint() || len(c.Values) != len(p.keys) {
		return nil, errs.Invalidf("trace.search", "page_token belongs to another search").WithHint("send it with the filter, order and experiments it came with")
	}
	for i, v := range c.Values { // JSON has made floats of the integers
		switch v := v.(type) {
		case float64:
			c.Values[i] = int64(v)
		case string:
			if strings.IndexByte(v, 0) >= 0 {
				return nil, errs.Invalidf("trace.search", "page_token is not one that this server gave out")
			}
		default:
			return nil, errs.Invalidf("trace.search", "page_token is not one that this server gave out")
		}
		if _, isText := c.Values[i].(string); isText != p.keys[i].text {
			return nil, errs.Invalidf("trace.search", "page_token is not one that this server gave out")
		}
	}
	p.from = c.Values
	return p, nil
}

func missing(empty bool) any {
	if empty {
		return int64(1)
	}
	return int64(0)
}

// sortKeys: values that are not there come last whatever the direction.
func (s *Service) sortKeys(ref filter.Ref, desc bool) []sortKey {
	text := func(column string, value func(t *Trace) any) sortKey {
		if s.d.DB.Engine() == db.Postgres {
			column += ` COLLATE "C"`
		}
		return sortKey{column, desc, true, value}
	}
	perhaps := func(column string, value func(t *Trace) string) []sortKey {
		return []sortKey{{"CASE WHEN " + column + " = '' THEN 1 ELSE 0 END", false, false, func(t *Trace) any { return missing(value(t) == "") }},
			text(column, func(t *Trace) any { return value(t) })}
	}
	label := func(column string) string { // the key has no quotes, see parseOrder
		if s.d.DB.Engine() == db.Postgres {
			return "coalesce(" + column + "::json ->> '" + ref.Key + "', '')"
		}
		return "coalesce(json_extract(" + column + `, '$."` + ref.Key + `"'), '')`
	}
	switch ref.Entity {
	case ofTag:
		return perhaps(label("tags"), func(t *Trace) string { return t.Tags[ref.Key] })
	case ofMetadata:
		return perhaps(label("metadata"), func(t *Trace) string { return t.Metadata[ref.Key] })
	}
	switch ref.Key {
	case "timestamp_ms":
		return []sortKey{{"started_at", desc, false, func(t *Trace) any { return clock.Micros(t.Start) }}}
	case "execution_time_ms":
		return []sortKey{
			{"CASE WHEN duration_us < 0 THEN 1 ELSE 0 END", false, false, func(t *Trace) any { return missing(t.Duration == nil) }},
			{"duration_us", desc, false, func(t *Trace) any {
				if t.Duration == nil {
					return int64(-1)
				}
				return t.Duration.Microseconds()
			}}}
	case "end_time_ms":
		return []sortKey{{"(started_at + CASE WHEN duration_us < 0 THEN 0 ELSE duration_us END)", desc, false, func(t *Trace) any {
			end := clock.Micros(t.Start)
			if t.Duration != nil {
				end += t.Duration.Microseconds()
			}
			return end
		}}}
	case "status":
		return []sortKey{text("state", func(t *Trace) any { return string(t.State) })}
	case "experiment_id":
		return []sortKey{text("experiment_id", func(t *Trace) any { return t.ExperimentID })}
	case "name":
		return perhaps("name", func(t *Trace) string { return t.Name })
	case "run_id":
		return perhaps("run_id", (*Trace).RunID)
	}
	return []sortKey{text("id", func(t *Trace) any { return t.ID })}
}

// narrow adds SQL for what must hold of every match: the comparisons that stand at the top under AND. They only leave out; what is left
// is tried on the tree.
func (s *Service) narrow(p *plan, n node) {
	switch n := n.(type) {
	case *andNode:
		for _, part := range n.parts {
			s.narrow(p, part)
		}
	case *compare:
		if cond, args := s.condition(n); cond != "" {
			p.where += " AND " + cond
			p.args = append(p.args, args...)
		}
	}
}

func (s *Service) condition(c *compare) (string, []any) {
	contains := func(column string) string { return "instr(" + column + ", ?) > 0" }
	if s.d.DB.Engine() == db.Postgres {
		contains = func(column string) string { return "strpos(" + column + ", ?) > 0" }
	}
	quotedText := func(v string) string { t, _ := encode(v); return t } // a string always encodes
	switch {
	case c.Ref.Entity == ofTrace && c.Ref.Key == "timestamp_ms" && isRange(c.Op) && c.Number == math.Trunc(c.Number) && math.Abs(c.Number) < 1<<43:
		return "started_at " + string(c.Op) + " ?", []any{int64(c.Number) * 1000}
	case c.Ref.Entity == ofTrace && c.Op == filter.Eq && c.Ref.Key == "status":
		return "state = ?", []any{c.Text}
	case c.Ref.Entity == ofTrace && c.Op == filter.Eq && c.Ref.Key == "name":
		return "name = ?", []any{c.Text}
	case c.Ref.Entity == ofTrace && c.Op == filter.Eq && c.Ref.Key == "request_id":
		return "id = ?", []any{c.Text}
	case c.Ref.Entity == ofTrace && c.Op == filter.In && c.Ref.Key == "request_id":
		return "id IN (" + db.Placeholders(len(c.List)) + ")", anys(c.List)
	case c.Ref.Entity == ofTrace && c.Op == filter.Eq && c.Ref.Key == "client_request_id":
		return "client_request_id = ?", []any{c.Text}
	case c.Ref.Entity == ofTrace && c.Op == filter.Eq && c.Ref.Key == "run_id":
		return "(run_id = ? OR id IN (SELECT trace_id FROM trace_link WHERE kind = 'run' AND target = ?))", []any{c.Text, c.Text}
	case c.Ref.Entity == ofTrace && c.Ref.Key == "prompt":
		prompts := equals(c.Compare)
		return "id IN (SELECT trace_id FROM trace_link WHERE kind = 'prompt' AND target IN (" + db.Placeholders(len(prompts)) + "))", anys(prompts)
	case c.Ref.Entity == ofTag && c.Op == filter.Eq && c.Ref.Key != TagPrompts:
		return contains("tags"), []any{quotedText(c.Ref.Key) + ":" + quotedText(c.Text)}
	case c.Ref.Entity == ofTag && c.Op == filter.NotNull && c.Ref.Key != TagPrompts:
		return contains("tags"), []any{quotedText(c.Ref.Key) + ":"}
	case c.Ref.Entity == ofMetadata && c.Op == filter.Eq:
		return contains("metadata"), []any{quotedText(c.Ref.Key) + ":" + quotedText(c.Text)}
	case c.Ref.Entity == ofSpan && c.Op == filter.Eq && (c.Ref.Key == "name" || c.Ref.Key == "type"):
		return "(" + contains("shapes") + " OR " + contains("shapes") + ")", []any{`"` + c.Ref.Key[:1] + `":` + quotedText(c.Text), `"o":true`}
	case (c.Ref.Entity == ofFeedback || c.Ref.Entity == ofExpectation) && c.Op != filter.IsNull:
		return "EXISTS (SELECT 1 FROM trace_assessment a WHERE a.trace_id = trace.id AND a.kind = ? AND a.name = ?)", []any{string(c.Ref.Entity), c.Ref.Key}
	}
	return "", nil
}

func isRange(op filter.Op) bool {
	return slices.Contains([]filter.Op{filter.Eq, filter.Lt, filter.Le, filter.Gt, filter.Ge}, op)
}

// statement is the query of the next n candidates behind some sort values.
func (p *plan) statement(columns string, from []any, n int) (string, []any) {
	stmt, args := "SELECT "+columns+" FROM trace WHERE "+p.where, slices.Clone(p.args)
	if from != nil {
		cond, more := behind(p.keys, from)
		stmt += " AND " + cond
		args = append(args, more...)
	}
	by := make([]string, len(p.keys))
	for i, k := range p.keys {
		by[i] = k.sql
		if k.desc {
			by[i] += " DESC"
		}
	}
	return stmt + " ORDER BY " + strings.Join(by, ", ") + " LIMIT ?", append(args, n)
}

// chunk reads the next candidates behind some sort values.
func (s store) chunk(ctx context.Context, p *plan, from []any, n int) ([]Trace, error) {
	stmt, args := p.statement(columns, from, n)
	rows, err := s.db.Query(ctx, stmt, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := make([]Trace, 0, n)
	for rows.Next() {
		t, err := scanTrace(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// behind is the condition of rows that sort behind some values, as an OR over the first key that differs, and a plain bound on the first
// key that an index can use.
func behind(keys []sortKey, from []any) (string, []any) {
	var ors []string
	var args []any
	sign := func(k sortKey) string {
		if k.desc {
			return "<"
		}
		return ">"
	}
	first := keys[0].sql + " " + sign(keys[0]) + "= ?"
	args = append(args, from[0])
	for i := range keys {
		var ands []string
		for j := range i {
			ands = append(ands, keys[j].sql+" = ?")
			args = append(args, from[j])
		}
		ands = append(ands, keys[i].sql+" "+sign(keys[i])+" ?")
		args = append(args, from[i])
		ors = append(ors, strings.Join(ands, " AND "))
	}
	return first + " AND (" + strings.Join(ors, " OR ") + ")", args
}
