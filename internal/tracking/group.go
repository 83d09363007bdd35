package tracking

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// GroupQuery asks for the runs of experiments by the values of some keys.
type GroupQuery struct {
	ExperimentIDs []string
	Filter        string
	View          View
	By            []string // 1 to 4 of params.x, tags.x and text attributes
	Metrics       []string // keys, at most 32
}

// Group is the runs that share their values.
type Group struct {
	Keys    map[string]*string // by the names asked for; nil where the runs have no value
	Runs    int
	Metrics map[string]Spread // by key; missing where no run has a number
}

// Spread sums up the last values of one metric in the runs of a group that have a finite number; NaN and the infinities do not count.
type Spread struct {
	Count          int
	Min, Max, Mean float64
	Best           float64 // Min or Max, see TagBest
	BestRun        string  // its id
}

// The bounds of a GroupQuery.
const (
	maxGroupKeys    = 4
	maxGroupMetrics = 32
	maxGroups       = 1000
)

// GroupRuns counts runs and sums up their metrics by group, the largest group first; more says that groups were left out after the first
// thousand. Kinds: Invalid.
func (s *Service) GroupRuns(ctx context.Context, q GroupQuery) (groups []Group, more bool, err error) {
	if q.View == "" {
		q.View = ViewActive
	}
	tree, err := filter.Parse(q.Filter, runDialect())
	if err != nil {
		return nil, false, err
	}
	by, err := q.by()
	if err != nil {
		return nil, false, err
	}
	exps, err := s.experimentNumbers(ctx, q.ExperimentIDs)
	if err != nil {
		return nil, false, err
	}
	if err := s.searching.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.searching.leave()
	g := grouping{q: q, by: by, all: map[string]*Group{}}
	for _, exp := range exps {
		if err := s.groupIn(ctx, exp, shown(tree, q.View), &g); err != nil {
			return nil, false, err
		}
	}
	groups, more = g.largest()
	return groups, more, nil
}

func (q GroupQuery) by() ([]filter.Ref, error) {
	if len(q.By) == 0 || len(q.By) > maxGroupKeys {
		return nil, errs.Invalidf("tracking.group", "runs are grouped by 1 to %d keys, got %d", maxGroupKeys, len(q.By)).WithField("by", "expected keys such as params.depth")
	}
	if len(q.Metrics) > maxGroupMetrics {
		return nil, errs.Invalidf("tracking.group", "expected at most %d metrics, got %d", maxGroupMetrics, len(q.Metrics)).WithField("metrics", "ask for fewer")
	}
	out := make([]filter.Ref, len(q.By))
	for i, text := range q.By {
		ref, err := filter.ParseRef(text, runDialect())
		if err != nil {
			return nil, err
		}
		if c := newColumn(ref, 0); c.codes == nil {
			return nil, errs.Invalidf("tracking.group", "runs cannot be grouped by %s", clip(text)).WithField("by", "expected params, tags or attributes that are text")
		}
		out[i] = ref
	}
	return out, nil
}

type grouping struct {
	q   GroupQuery
	by  []filter.Ref
	all map[string]*Group
}

func (s *Service) groupIn(ctx context.Context, exp int64, tree filter.Node, g *grouping) error {
	metrics, ask := make([]filter.Ref, len(g.q.Metrics)), []filter.Ref{}
	for i, key := range g.q.Metrics {
		metrics[i] = filter.Ref{Entity: filter.Metric, Key: key}
		ask = append(ask, filter.Ref{Entity: filter.Metric, Key: key, Of: filter.Best})
	}
	best, err := s.st.bestOf(ctx, exp, slices.Concat(filter.Refs(tree, nil), ask))
	if err != nil {
		return err
	}
	tree = best.node(tree)
	refs := slices.Concat(filter.Refs(tree, nil), g.by, metrics)
	sh, err := s.st.index.open(ctx, exp, refs)
	if err != nil {
		return err
	}
	defer s.st.index.close(sh)
	hits := sh.table.match(tree)
	for i := range sh.table.n {
		if !hits.has(i) {
			continue
		}
		group := g.of(sh, i)
		group.Runs++
		for k, ref := range metrics {
			if v := sh.table.cols[ref].nums[i]; !math.IsNaN(v) && !math.IsInf(v, 0) {
				group.add(ref.Key, v, sh.ids[i], best[ask[k]].Of == filter.Min)
			}
		}
	}
	return nil
}

// of finds the group of a row.
func (g *grouping) of(sh *shard, row int) *Group {
	var id strings.Builder
	values := make([]*string, len(g.by))
	for k, ref := range g.by {
		c := sh.table.cols[ref]
		switch {
		case c.text != nil:
			s := c.text(row)
			values[k] = &s
		case c.codes[row] != 0:
			values[k] = &c.dict.values[c.codes[row]]
		}
		if values[k] != nil {
			id.WriteByte('=')
			id.WriteString(*values[k])
		}
		id.WriteByte(0) // no value holds NUL
	}
	group, ok := g.all[id.String()]
	if !ok {
		group = &Group{Keys: make(map[string]*string, len(g.by)), Metrics: map[string]Spread{}}
		for k, name := range g.q.By {
			group.Keys[name] = values[k]
		}
		g.all[id.String()] = group
	}
	return group
}

func (g *Group) add(key string, v float64, run string, lower bool) {
	s, ok := g.Metrics[key]
	if !ok {
		s = Spread{Min: v, Max: v, Best: v, BestRun: run}
	}
	s.Count++
	s.Mean += (v - s.Mean) / float64(s.Count)
	s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	if (lower && v < s.Best) || (!lower && v > s.Best) {
		s.Best, s.BestRun = v, run
	}
	g.Metrics[key] = s
}

func (g *grouping) largest() (groups []Group, more bool) {
	ids := make([]string, 0, len(g.all))
	for id := range g.all {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(g.all[b].Runs, g.all[a].Runs), strings.Compare(a, b)) })
	more = len(ids) > maxGroups
	for _, id := range ids[:min(len(ids), maxGroups)] {
		groups = append(groups, *g.all[id])
	}
	return groups, more
}
