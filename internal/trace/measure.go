package trace

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// MetricView says what is measured.
type MetricView string

// The views.
const (
	ViewTraces      MetricView = "TRACES"
	ViewSpans       MetricView = "SPANS"
	ViewAssessments MetricView = "ASSESSMENTS"
)

// AggregationKind is how the values of a group become one.
type AggregationKind string

// The kinds.
const (
	Count      AggregationKind = "COUNT"
	Sum        AggregationKind = "SUM"
	Avg        AggregationKind = "AVG"
	Percentile AggregationKind = "PERCENTILE"
	MinOf      AggregationKind = "MIN"
	MaxOf      AggregationKind = "MAX"
)

// Aggregation is one figure of a group.
type Aggregation struct {
	Kind AggregationKind
	At   *float64 // of Percentile: 0 to 100
}

// label is the name of the figure in the answer: P50.0, AVG.
func (a Aggregation) label() string {
	if a.Kind != Percentile {
		return string(a.Kind)
	}
	return "P" + pythonFloat(*a.At)
}

// MetricQuery asks for figures of traces, spans or assessments by group.
type MetricQuery struct {
	ExperimentIDs []string
	View          MetricView
	Metric        string
	Aggregations  []Aggregation
	Dimensions    []string
	Filters       []string // all must hold; each is one comparison such as trace.status = 'OK'
	Interval      int64    // seconds of a bucket of time; 0: no buckets
	From, To      *int64   // unix ms, both included. Costs of spans go by the span's start, everything else by its trace's
	Limit         int      // the most groups
}

// MetricPoint is the figures of one group. Values that are not there (a mean of nothing) are left out.
type MetricPoint struct {
	Dimensions map[string]string
	Values     map[string]float64
}

// MaxMetricPoints bounds the groups of one answer; MaxAggregations the figures of a group.
const (
	MaxMetricPoints     = 100_000
	DefaultMetricPoints = 1000
	MaxAggregations     = 100
	maxMetricFilters    = 100
)

// TimeBucket is the dimension of buckets of time.
const TimeBucket = "time_bucket"

// metricSpec is what can be asked of a metric.
type metricSpec struct {
	name       string
	kinds      []AggregationKind
	dimensions []string
}

// metricSpecs is everything that can be measured, by view, in MLflow's names and order.
func metricSpecs(v MetricView) []metricSpec {
	stats := []AggregationKind{Avg, MaxOf, MinOf, Percentile}
	sums := append(slices.Clone(stats), Sum)
	count := []AggregationKind{Count}
	name, models := []string{"trace_name"}, []string{"span_model_name", "span_model_provider"}
	switch v {
	case ViewTraces:
		return []metricSpec{{"trace_count", count, []string{"trace_name", "trace_status"}}, {"session_count", count, nil}, {"latency", stats, name},
			{"input_tokens", sums, name}, {"output_tokens", sums, name}, {"total_tokens", sums, name}, {"cache_read_input_tokens", sums, name},
			{"cache_creation_input_tokens", sums, name}}
	case ViewSpans:
		return []metricSpec{{"span_count", count, []string{"span_model_name", "span_model_provider", "span_name", "span_status", "span_type"}},
			{"latency", stats, []string{"span_name", "span_status"}}, {"input_cost", sums, models}, {"output_cost", sums, models}, {"total_cost", sums, models}}
	case ViewAssessments:
		return []metricSpec{{"assessment_count", count, []string{"assessment_name", "assessment_value"}}, {"assessment_value", stats, []string{"assessment_name"}}}
	}
	return nil
}

func quoted[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = "'" + string(s) + "'"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// unsupported lists those asked for that are not among the known, in order, each once.
func unsupported[T ~string](asked, known []T) []T {
	out := slices.DeleteFunc(slices.Clone(asked), func(s T) bool { return slices.Contains(known, s) })
	slices.Sort(out)
	return slices.Compact(out)
}

func (q *MetricQuery) validate() ([]metricFilter, error) {
	invalid := func(field, format string, args ...any) error {
		return errs.Invalidf("trace.metrics", format, args...).WithField(field, "expected a supported value")
	}
	specs := metricSpecs(q.View)
	if specs == nil {
		return nil, invalid("view_type", "view_type must be one of ['TRACES', 'SPANS', 'ASSESSMENTS'], got '%.40s'", string(q.View))
	}
	at := slices.IndexFunc(specs, func(m metricSpec) bool { return m.name == q.Metric })
	if at < 0 {
		names := make([]string, len(specs))
		for i, m := range specs {
			names[i] = m.name
		}
		return nil, invalid("metric_name", "metric_name must be one of %s, got '%.100s'", quoted(names), q.Metric)
	}
	kinds := make([]AggregationKind, len(q.Aggregations))
	for i, a := range q.Aggregations {
		kinds[i] = a.Kind
		switch {
		case a.Kind == Percentile && a.At == nil:
			return nil, invalid("aggregations", "Percentile value is required for PERCENTILE aggregation")
		case a.Kind == Percentile && !(*a.At >= 0 && *a.At <= 100):
			return nil, invalid("aggregations", "Percentile value must be between 0 and 100, got %v", *a.At)
		case a.Kind != Percentile && a.At != nil:
			return nil, invalid("aggregations", "Percentile value is only allowed for PERCENTILE aggregation type, got %s", a.Kind)
		}
	}
	if bad := unsupported(kinds, specs[at].kinds); len(bad) > 0 {
		return nil, invalid("aggregations", "Found invalid aggregation_type(s): %s. Supported aggregation types: %s", quoted(bad), quoted(specs[at].kinds))
	}
	if bad := unsupported(q.Dimensions, specs[at].dimensions); len(bad) > 0 {
		return nil, invalid("dimensions", "Found invalid dimension(s): %s. Supported dimensions: %s", quoted(bad), quoted(specs[at].dimensions))
	}
	switch {
	case q.Interval != 0 && (q.From == nil || q.To == nil):
		return nil, invalid("time_interval_seconds", "start_time_ms and end_time_ms are required if time_interval_seconds is set")
	case q.Interval < 0 || q.Interval > math.MaxInt64/1_000_000_000:
		return nil, invalid("time_interval_seconds", "time_interval_seconds must be a positive number of seconds, got %d", q.Interval)
	case len(q.Aggregations) == 0 || len(q.Aggregations) > MaxAggregations:
		return nil, invalid("aggregations", "a query takes 1 to %d aggregations, got %d", MaxAggregations, len(q.Aggregations))
	case len(q.Filters) > maxMetricFilters:
		return nil, invalid("filters", "a query takes at most %d filters, got %d", maxMetricFilters, len(q.Filters))
	case len(q.ExperimentIDs) > MaxExperiments:
		return nil, invalid("experiment_ids", "a query takes at most %d experiments, got %d", MaxExperiments, len(q.ExperimentIDs))
	case q.Limit < 0 || q.Limit > MaxMetricPoints:
		return nil, invalid("max_results", "max_results must be between 0 and %d, got %d", MaxMetricPoints, q.Limit)
	}
	out := make([]metricFilter, len(q.Filters))
	for i, text := range q.Filters {
		f, err := parseMetricFilter(text)
		if err != nil {
			return nil, err
		}
		if f.of != ViewTraces && f.of != q.View {
			return nil, invalid("filters", "Filtering by %s is only supported for %s view type, got %s", strings.ToLower(strings.TrimSuffix(string(f.of), "S")), f.of, q.View)
		}
		out[i] = f
	}
	return out, nil
}

// metricFilter is one comparison: of is whose entity it is.
type metricFilter struct {
	of                 MetricView
	entity, key, value string
}

var (
	comparison  = regexp.MustCompile("^\\s*((?:[^\\s=<>!\"'`]|\"[^\"]*\"|'[^']*'|`[^`]*`)+)\\s*(=|!=|<>|<=|>=|<|>|[A-Za-z]+)\\s*(.*?)\\s*$")
	quotedValue = regexp.MustCompile(`^('(?:[^']|'')*'|"(?:[^"]|"")*")\s*(.*)$`)
)

// parseMetricFilter reads trace.tag.<key> = 'value' and its like.
func parseMetricFilter(text string) (metricFilter, error) {
	bad := func(format string, args ...any) (metricFilter, error) {
		return metricFilter{}, errs.Invalidf("trace.metrics", format, args...).WithField("filters", "expected one comparison such as trace.status = 'OK'")
	}
	if strings.TrimSpace(text) == "" || strings.IndexByte(text, 0) >= 0 {
		return bad("Invalid filter: '%.200s'. Expected one filter clause.", strings.ToValidUTF8(text, "?"))
	}
	m := comparison.FindStringSubmatch(text)
	if m == nil {
		return bad("Invalid clause(s) in filter string: %.200s", text)
	}
	name, op, value := m[1], m[2], m[3]
	if op != "=" {
		return bad("Invalid comparator: '%.20s', only '=' operator is supported", op)
	}
	q := quotedValue.FindStringSubmatch(value)
	switch {
	case q == nil:
		return bad("Expected a quoted string value for %.100s (e.g. 'my-value'). Got value %.100s", name, value)
	case q[2] != "":
		return bad("Invalid clause(s) in filter string: %.100s", q[2])
	}
	value = q[1][1 : len(q[1])-1]
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 2 {
		return bad("Invalid identifier '%.100s'. Columns should be specified as 'trace.<key>', 'span.<key>', 'assessment.<key>'.", name)
	}
	f := metricFilter{entity: parts[1], value: value}
	entities := map[string][]string{"trace": {"status", "tag", "metadata"}, "span": {"name", "status", "type"}, "assessment": {"name", "type"}}
	of := strings.Trim(parts[0], "`")
	switch of {
	case "trace":
		f.of = ViewTraces
	case "span":
		f.of = ViewSpans
	case "assessment":
		f.of = ViewAssessments
	default:
		return bad("Invalid view type '%.100s'. Valid values are 'trace', 'span', 'assessment'", of)
	}
	if !slices.Contains(entities[of], f.entity) {
		return bad("Invalid entity '%.100s' specified for view type '%s'. Valid entities are %s", f.entity, of, quoted(entities[of]))
	}
	keyed := f.entity == "tag" || f.entity == "metadata"
	switch {
	case keyed && len(parts) < 3:
		return bad("Filtering by %s requires a key, e.g. '%s.%s.<key> = <value>'", f.entity, of, f.entity)
	case !keyed && len(parts) == 3:
		return bad("Filtering by %s does not require a key, use '%s.%s' instead", f.entity, of, f.entity)
	case keyed:
		f.key = unquoteKey(parts[2])
	}
	return f, nil
}

func unquoteKey(s string) string {
	for _, q := range []string{"`", `"`, "'"} {
		if len(s) > 1 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			return s[1 : len(s)-1]
		}
	}
	return s
}

// traceFacts is what measurements read of a trace.
type traceFacts struct {
	id, state, name, session string
	start                    int64 // unix ms
	duration                 int64 // ms; -1 while it runs
	tags, metadata           map[string]string
}

// passes tries the filters that are of traces; linked is the runs that the trace was linked to later.
func (t *traceFacts) passes(filters []metricFilter, linked map[string][]string) bool {
	for _, f := range filters {
		if f.of != ViewTraces {
			continue
		}
		ok := false
		switch f.entity {
		case "status":
			ok = t.state == f.value
		case "tag":
			v, have := t.tags[f.key]
			ok = have && v == f.value
		case "metadata":
			v, have := t.metadata[f.key]
			ok = have && v == f.value || f.key == MetaRun && slices.Contains(linked[t.id], f.value)
		}
		if !ok {
			return false
		}
	}
	return true
}

// sample is one value with the group that it is of.
type sample struct {
	at    float64 // unix ms
	dims  [4]string
	value float64
	text  string // of distinct counts
}

// groups gathers samples.
type groups struct {
	q  *MetricQuery
	by map[groupKey]*group
}

type groupKey struct {
	bucket float64
	dims   [4]string
}

type group struct {
	key    groupKey
	values []float64
	texts  map[string]bool
}

func (g *groups) add(s sample) {
	k := groupKey{dims: s.dims}
	if size := float64(g.q.Interval) * 1000; size > 0 {
		k.bucket = math.Floor(s.at/size) * size
	}
	at, ok := g.by[k]
	if !ok {
		at = &group{key: k}
		g.by[k] = at
	}
	if s.text == "" {
		at.values = append(at.values, s.value)
		return
	}
	if at.texts == nil {
		at.texts = map[string]bool{}
	}
	if !at.texts[s.text] {
		at.texts[s.text] = true
		at.values = append(at.values, 1)
	}
}

// points orders the groups by time and dimensions and works out their figures.
func (g *groups) points() []MetricPoint {
	list := make([]*group, 0, len(g.by))
	for _, at := range g.by {
		list = append(list, at)
	}
	if len(list) == 0 && g.q.Interval == 0 && len(g.q.Dimensions) == 0 {
		list = append(list, &group{})
	}
	slices.SortFunc(list, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.key.bucket, b.key.bucket), slices.Compare(a.key.dims[:], b.key.dims[:]))
	})
	out := make([]MetricPoint, 0, min(len(list), g.q.Limit))
	for _, at := range list[:min(len(list), g.q.Limit)] {
		p := MetricPoint{Dimensions: map[string]string{}, Values: map[string]float64{}}
		if g.q.Interval > 0 {
			p.Dimensions[TimeBucket] = time.UnixMilli(int64(at.key.bucket)).UTC().Format("2006-01-02T15:04:05+00:00")
		}
		for i, d := range g.q.Dimensions {
			p.Dimensions[d] = at.key.dims[i]
		}
		slices.Sort(at.values)
		for _, a := range g.q.Aggregations {
			if v, ok := a.of(at.values); ok {
				p.Values[a.label()] = v
			}
		}
		if len(p.Values) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// of works out a figure of sorted values. Percentiles are interpolated as numpy.quantile does by default (Hyndman and Fan's seventh).
func (a Aggregation) of(sorted []float64) (float64, bool) {
	n := len(sorted)
	if a.Kind == Count {
		return float64(n), true
	}
	if n == 0 {
		return 0, false
	}
	switch a.Kind {
	case MinOf:
		return sorted[0], true
	case MaxOf:
		return sorted[n-1], true
	case Percentile:
		at := *a.At / 100 * float64(n-1)
		low := int(at)
		high := min(low+1, n-1)
		return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low]), true
	}
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	if a.Kind == Avg {
		sum /= float64(n)
	}
	return sum, true
}

// Metrics measures traces, their spans or their assessments. Kinds: Invalid.
func (s *Service) Metrics(ctx context.Context, q MetricQuery) ([]MetricPoint, error) {
	filters, err := q.validate()
	if err != nil {
		return nil, err
	}
	if q.ExperimentIDs, err = s.seen(ctx, q.ExperimentIDs); err != nil {
		return nil, err
	}
	g := &groups{q: &q, by: map[groupKey]*group{}}
	if len(q.ExperimentIDs) > 0 && q.Limit > 0 {
		linked, err := s.linkedTo(ctx, filters)
		if err != nil {
			return nil, err
		}
		switch q.View {
		case ViewTraces:
			err = s.measureTraces(ctx, &q, filters, linked, g)
		case ViewSpans:
			err = s.measureSpans(ctx, &q, filters, linked, g)
		case ViewAssessments:
			err = s.measureAssessments(ctx, &q, filters, linked, g)
		}
		if err != nil {
			return nil, err
		}
	}
	return g.points(), nil
}

// dims picks the dimensions of a query; not ok when one of them is not there.
func (q *MetricQuery) dims(of func(name string) (string, bool)) (out [4]string, ok bool) {
	for i, d := range q.Dimensions {
		v, have := of(d)
		if !have {
			return out, false
		}
		out[i] = v
	}
	return out, true
}

func (s *Service) measureTraces(ctx context.Context, q *MetricQuery, filters []metricFilter, linked map[string][]string, g *groups) error {
	return s.st.eachTrace(ctx, q, filters, true, func(t *traceFacts) error {
		if !t.passes(filters, linked) {
			return nil
		}
		dims, ok := q.dims(func(d string) (string, bool) {
			if d == "trace_status" {
				return t.state, true
			}
			return t.name, t.name != ""
		})
		at := sample{at: float64(t.start), dims: dims, value: 1}
		switch q.Metric {
		case "trace_count":
		case "session_count":
			at.text, ok = t.metadata[MetaSession], ok && t.metadata[MetaSession] != ""
		case "latency":
			at.value, ok = float64(t.duration), ok && t.duration >= 0
		default:
			var n bool
			at.value, n = tokenCount(t.metadata[MetaTokens], q.Metric)
			ok = ok && n
		}
		if ok {
			g.add(at)
		}
		return nil
	})
}

// tokenCount reads a whole number out of the token usage.
func tokenCount(usage, key string) (float64, bool) {
	if usage == "" {
		return 0, false
	}
	var u map[string]any
	if json.Unmarshal([]byte(usage), &u) != nil {
		return 0, false
	}
	switch v := u[key].(type) {
	case float64:
		return v, v == math.Trunc(v) && math.Abs(v) < 1<<63
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63
	}
	return 0, false
}

func (s *Service) measureSpans(ctx context.Context, q *MetricQuery, filters []metricFilter, linked map[string][]string, g *groups) error {
	cost := slices.Index([]string{"input_cost", "output_cost", "total_cost"}, q.Metric)
	add := func(f *fact) {
		for _, want := range filters {
			if want.of == ViewSpans && want.value != map[string]string{"name": f.name, "status": string(f.status), "type": f.typ}[want.entity] {
				return
			}
		}
		at := sample{at: float64(f.start) / 1e6, value: 1}
		switch {
		case cost >= 0:
			if at.value = f.costs[cost]; math.IsNaN(at.value) || q.From != nil && f.start < *q.From*1e6 || q.To != nil && f.start >= (*q.To+1)*1e6 {
				return
			}
		case q.Metric == "latency":
			if f.end == 0 {
				return
			}
			at.value = math.Floor(float64(f.end-f.start) / 1e6)
		}
		var ok bool
		at.dims, ok = q.dims(func(d string) (string, bool) {
			switch d {
			case "span_name":
				return f.name, true
			case "span_type":
				return f.typ, true
			case "span_status":
				return string(f.status), true
			case "span_model_name":
				return f.model, f.model != ""
			}
			return f.provider, f.provider != ""
		})
		if ok {
			g.add(at)
		}
	}
	var ids []string
	err := s.st.eachTrace(ctx, q, filters, cost < 0, func(t *traceFacts) error {
		if t.passes(filters, linked) {
			ids = append(ids, t.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, factsStep) { // not while the first query holds its connection
		by, err := s.factsOf(ctx, part)
		if err != nil {
			return err
		}
		for _, id := range part {
			for i := range by[id] {
				add(&by[id][i])
			}
		}
	}
	return nil
}

// aggregate is an assessment's value as a number: numbers, true and false, yes and no.
func aggregate(v json.RawMessage) (float64, bool) {
	switch text := strings.ToLower(strings.TrimSpace(plain(v))); {
	case len(v) == 0:
		return 0, false
	case text == "true" && v[0] != '"', text == "yes" && v[0] == '"':
		return 1, true
	case text == "false" && v[0] != '"', text == "no" && v[0] == '"':
		return 0, true
	case v[0] == '"':
		return 0, false
	default:
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
}

func (s *Service) measureAssessments(ctx context.Context, q *MetricQuery, filters []metricFilter, linked map[string][]string, g *groups) error {
	return s.st.eachAssessment(ctx, q, filters, func(t *traceFacts, name, kind string, value json.RawMessage) error {
		for _, want := range filters {
			if want.of == ViewAssessments && want.value != map[string]string{"name": name, "type": kind}[want.entity] {
				return nil
			}
		}
		if !t.passes(filters, linked) {
			return nil
		}
		at := sample{at: float64(t.start), value: 1}
		ok := true
		if q.Metric == "assessment_value" {
			at.value, ok = aggregate(value)
		}
		at.dims, _ = q.dims(func(d string) (string, bool) {
			if d == "assessment_name" {
				return name, true
			}
			return pythonJSON(value), true
		})
		if ok {
			g.add(at)
		}
		return nil
	})
}

// pythonFloat writes a number as Python does.
func pythonFloat(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pythonJSON writes JSON as MLflow keeps it: with spaces behind commas and colons, numbers with a point and everything beyond ASCII
// escaped.
func pythonJSON(raw json.RawMessage) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case quoted && c == '\\':
			b.WriteByte(c)
			if i++; i < len(raw) {
				b.WriteByte(raw[i])
			}
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			b.WriteByte(c)
			b.WriteByte(' ')
			continue
		case !quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			continue
		case !quoted && (c == '-' || c >= '0' && c <= '9'):
			n := 1
			for i+n < len(raw) && strings.IndexByte("+-.0123456789eE", raw[i+n]) >= 0 {
				n++
			}
			if f, err := strconv.ParseFloat(string(raw[i:i+n]), 64); err == nil {
				b.WriteString(pythonFloat(f))
				i += n - 1
				continue
			}
		}
		if c < 0x80 {
			b.WriteByte(c)
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		i += n - 1
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
