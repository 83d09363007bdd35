package tracking

import (
	"context"
	"math/bits"
	"slices"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/filter"
)

// VariedQuery asks in which columns the runs of a search differ.
type VariedQuery struct {
	ExperimentIDs []string
	Filter        string
	View          View
	Columns       []string // at most maxColumns
}

// Varied gives the columns that are not the same in all runs that pass the filter, in the order asked for, and how many runs those are.
// Having no value is a value of its own; NaN is one too. Kinds: Invalid.
func (s *Service) Varied(ctx context.Context, q VariedQuery) (differ []string, runs int, err error) {
	if q.View == "" {
		q.View = ViewActive
	}
	if len(q.Columns) == 0 || len(q.Columns) > maxColumns {
		return nil, 0, errs.Invalidf("tracking.varied", "there are %d columns to look at", len(q.Columns)).WithField("columns", "expected 1 to %d", maxColumns)
	}
	tree, err := filter.Parse(q.Filter, runDialect())
	if err != nil {
		return nil, 0, err
	}
	looks := make([]varied, len(q.Columns))
	for i, text := range q.Columns {
		if looks[i].ref, err = filter.ParseRef(text, runDialect()); err != nil {
			return nil, 0, err
		}
	}
	exps, err := s.experimentNumbers(ctx, q.ExperimentIDs)
	if err != nil {
		return nil, 0, err
	}
	if err := s.searching.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.searching.leave()
	for _, exp := range exps {
		n, err := s.variedIn(ctx, exp, shown(tree, q.View), looks)
		if err != nil {
			return nil, 0, err
		}
		runs += n
	}
	differ = []string{}
	for i, l := range looks {
		if l.differs {
			differ = append(differ, q.Columns[i])
		}
	}
	return differ, runs, nil
}

// varied is what was seen of one column so far.
type varied struct {
	ref     filter.Ref
	seen    bool
	first   any // its value in the first run: float64 bits, texts, or nil for none
	differs bool
}

func (s *Service) variedIn(ctx context.Context, exp int64, tree filter.Node, looks []varied) (int, error) {
	refs := filter.Refs(tree, nil)
	for _, l := range looks {
		if !l.differs && !slices.Contains(refs, l.ref) {
			refs = append(refs, l.ref)
		}
	}
	best, err := s.st.bestOf(ctx, exp, refs)
	if err != nil {
		return 0, err
	}
	sh, err := s.st.index.open(ctx, exp, best.refs(refs))
	if err != nil {
		return 0, err
	}
	defer s.st.index.close(sh)
	hits := sh.table.match(best.node(tree))
	for i := range looks {
		if l := &looks[i]; !l.differs {
			l.look(sh.table.cols[best.ref(l.ref)], hits)
		}
	}
	return hits.count(), nil
}

// look compares the rows of a set with the first run seen, until one differs.
func (l *varied) look(c *column, hits bitmap) {
	if c == nil {
		return
	}
	first := -1
	for w, word := range hits {
		for ; word != 0; word &= word - 1 {
			row := w*64 + bits.TrailingZeros64(word)
			if first >= 0 {
				if !c.same(first, row) {
					l.differs = true
					return
				}
				continue
			}
			first = row
			v := c.value(row)
			if l.seen && v != l.first {
				l.differs = true
				return
			}
			l.seen, l.first = true, v
		}
	}
}

// same reports whether two rows of a column have the same value, or both none.
func (c *column) same(a, b int) bool {
	switch {
	case c.nums != nil:
		x, y := c.nums[a], c.nums[b]
		return x == y || (x != x && y != y && isAbsent(x) == isAbsent(y)) //nolint:gocritic // NaN
	case c.multi != nil:
		return slices.Equal(c.multi[a], c.multi[b])
	case c.text != nil:
		return c.text(a) == c.text(b)
	}
	return c.codes[a] == c.codes[b]
}

// value is a row's value in a form that compares across experiments.
func (c *column) value(row int) any {
	switch {
	case c.nums != nil:
		if v := c.nums[row]; !isAbsent(v) {
			return number(v)
		}
		return nil
	case c.multi != nil:
		out := ""
		for _, code := range c.multi[row] {
			out += c.dict.values[code] + "\x00"
		}
		return out
	case c.text != nil:
		return c.text(row)
	case c.codes[row] == 0:
		return nil
	}
	return c.dict.values[c.codes[row]]
}
