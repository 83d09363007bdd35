package tracking

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/tracking/filter"
)

// table is what a search works on: rows by position and, for each key that the search names, one column. It is filled by a loader per
// noun, from the store; a search never sees where a column came from.
type table struct {
	n    int
	cols map[filter.Ref]*column
}

// column holds numbers or texts; multi holds several texts a row (the datasets of a run).
type column struct {
	nums  []float64
	texts []string
	multi [][]string
	has   []bool // nil: every row has a value
}

func newTable(n int) *table { return &table{n: n, cols: map[filter.Ref]*column{}} }

func (t *table) text(ref filter.Ref, value func(i int) string) {
	c := &column{texts: make([]string, t.n)}
	for i := range c.texts {
		c.texts[i] = value(i)
	}
	t.cols[ref] = c
}

func (t *table) number(ref filter.Ref, value func(i int) float64) {
	c := &column{nums: make([]float64, t.n)}
	for i := range c.nums {
		c.nums[i] = value(i)
	}
	t.cols[ref] = c
}

// sparse adds a column whose values come one by one; rows that get none have none.
func (t *table) sparse(ref filter.Ref) *column {
	c := &column{has: make([]bool, t.n)}
	switch ref.Entity {
	case filter.Metric:
		c.nums = make([]float64, t.n)
	case filter.Dataset:
		c.multi = make([][]string, t.n)
	default:
		c.texts = make([]string, t.n)
	}
	t.cols[ref] = c
	return c
}

func (c *column) present(i int) bool { return c.has == nil || c.has[i] }

// test makes the predicate of a tree over the rows. A value that is not there passes IS NULL alone, as in SQL.
func (t *table) test(n filter.Node) func(i int) bool {
	switch n := n.(type) {
	case *filter.And:
		parts := t.tests(n.Parts)
		return func(i int) bool {
			for _, p := range parts {
				if !p(i) {
					return false
				}
			}
			return true
		}
	case *filter.Or:
		parts := t.tests(n.Parts)
		return func(i int) bool {
			for _, p := range parts {
				if p(i) {
					return true
				}
			}
			return false
		}
	case *filter.Compare:
		return t.testOne(n)
	}
	return func(int) bool { return true }
}

func (t *table) tests(nodes []filter.Node) []func(int) bool {
	out := make([]func(int) bool, len(nodes))
	for i, n := range nodes {
		out[i] = t.test(n)
	}
	return out
}

func (t *table) testOne(c *filter.Compare) func(i int) bool {
	col := t.cols[c.Ref]
	switch {
	case col == nil:
		return func(int) bool { return c.Op == filter.IsNull }
	case c.Op == filter.IsNull:
		return func(i int) bool { return !col.present(i) }
	case col.multi != nil:
		return func(i int) bool { return slices.ContainsFunc(col.multi[i], c.TextMatches) }
	case col.nums != nil:
		return func(i int) bool { return col.present(i) && c.NumberMatches(col.nums[i]) }
	}
	known := map[string]bool{} // a text is tested once, however many rows hold it
	return func(i int) bool {
		if !col.present(i) {
			return false
		}
		s := col.texts[i]
		ok, seen := known[s]
		if !seen {
			ok = c.TextMatches(s)
			known[s] = ok
		}
		return ok
	}
}

// compare orders rows by the sort keys: values that are not there come last, NaN before them, whatever the direction.
func (t *table) compare(orders []filter.Order) func(a, b int) int {
	cols := make([]*column, len(orders))
	for k, o := range orders {
		cols[k] = t.cols[o.Ref]
	}
	return func(a, b int) int {
		for k, o := range orders {
			col := cols[k]
			if col == nil {
				continue
			}
			ra, rb := col.rank(a), col.rank(b)
			c := cmp.Compare(ra, rb)
			if c == 0 && ra == 0 {
				if col.nums != nil {
					c = cmp.Compare(col.nums[a], col.nums[b])
				} else {
					c = strings.Compare(col.texts[a], col.texts[b])
				}
				if o.Desc {
					c = -c
				}
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
}

func (c *column) rank(i int) int {
	switch {
	case !c.present(i):
		return 2
	case c.nums != nil && math.IsNaN(c.nums[i]):
		return 1
	}
	return 0
}

// cursor is where a page ended: the sort values of its last row and its id. Rows that are added or changed meanwhile do not shift the
// pages after it.
type cursor struct {
	Query string `json:"q"` // fingerprint of the search that the token belongs to
	Keys  []key  `json:"k"`
	ID    string `json:"i"`
}

type key struct {
	Rank   int     `json:"r,omitempty"`
	Number float64 `json:"n,omitempty"`
	Text   string  `json:"t,omitempty"`
	Inf    int     `json:"f,omitempty"` // JSON has no infinities
}

func (t *table) keys(orders []filter.Order, i int) []key {
	out := make([]key, len(orders))
	for k, o := range orders {
		col := t.cols[o.Ref]
		if col == nil {
			continue
		}
		out[k].Rank = col.rank(i)
		switch {
		case out[k].Rank != 0:
		case col.nums == nil:
			out[k].Text = col.texts[i]
		case math.IsInf(col.nums[i], 0):
			out[k].Inf = 1
			if col.nums[i] < 0 {
				out[k].Inf = -1
			}
		default:
			out[k].Number = col.nums[i]
		}
	}
	return out
}

// after reports whether row i comes after the cursor's row; id gives the last tie-break, ascending.
func (t *table) after(orders []filter.Order, c cursor, i int, id string) bool {
	for k, o := range orders {
		col := t.cols[o.Ref]
		if col == nil || k >= len(c.Keys) {
			continue
		}
		want := c.Keys[k]
		r := col.rank(i)
		d := cmp.Compare(r, want.Rank)
		if d == 0 && r == 0 {
			if col.nums != nil {
				f := want.Number
				if want.Inf != 0 {
					f = math.Inf(want.Inf)
				}
				d = cmp.Compare(col.nums[i], f)
			} else {
				d = strings.Compare(col.texts[i], want.Text)
			}
			if o.Desc {
				d = -d
			}
		}
		if d != 0 {
			return d > 0
		}
	}
	return id > c.ID
}

// page filters, sorts and cuts: the positions of the rows of one page, and whether more follow.
func (t *table) page(n filter.Node, orders []filter.Order, from *cursor, limit int, id func(i int) string) (rows []int, more bool) {
	pass := t.test(n)
	order := t.compare(orders)
	full := func(a, b int) int {
		if c := order(a, b); c != 0 {
			return c
		}
		return strings.Compare(id(a), id(b))
	}
	for i := range t.n {
		if pass(i) && (from == nil || t.after(orders, *from, i, id(i))) {
			rows = append(rows, i)
		}
	}
	slices.SortFunc(rows, full)
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}
