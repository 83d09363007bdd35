package tracking

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/modelyard/modelyard/internal/platform/filter"
	"github.com/modelyard/modelyard/internal/platform/page"
)

// table is what a search works on: rows by position and one column for each key that the search names. The column index keeps those of
// runs; those of experiments and logged models are made for one search.
type table struct {
	n    int
	cols map[filter.Ref]*column
	id   func(row int) string // the last tie-break of every order
}

func newTable(n int, id func(row int) string) *table {
	return &table{n: n, cols: map[filter.Ref]*column{}, id: id}
}

func (t *table) text(ref filter.Ref, value func(i int) string) { t.cols[ref] = &column{text: value} }

func (t *table) number(ref filter.Ref, value func(i int) float64) {
	c := &column{nums: make([]float64, t.n)}
	for i := range c.nums {
		c.nums[i] = value(i)
	}
	t.cols[ref] = c
}

// sparse adds a column whose values come one by one; rows that get none have none.
func (t *table) sparse(ref filter.Ref) *column {
	c := newColumn(ref, t.n)
	t.cols[ref] = c
	return c
}

// match gives the rows that pass a tree. NOT is the complement: the rows that the inside does not give, so a value that is not there
// passes NOT of every comparison but IS NULL.
func (t *table) match(n filter.Node) bitmap {
	switch n := n.(type) {
	case *filter.And:
		out := t.match(n.Parts[0])
		for _, p := range n.Parts[1:] {
			out.and(t.match(p))
		}
		return out
	case *filter.Or:
		out := t.match(n.Parts[0])
		for _, p := range n.Parts[1:] {
			out.or(t.match(p))
		}
		return out
	case *filter.Not:
		return t.match(n.Part).not(t.n)
	case *filter.Compare:
		if c := t.cols[n.Ref]; c != nil {
			return c.match(t.n, n)
		}
		if n.Op != filter.IsNull {
			return newBitmap(t.n)
		}
	}
	return fullBitmap(t.n)
}

// order is sort keys with their columns.
type order struct {
	t    *table
	keys []sortKey
}

type sortKey struct {
	col  *column // nil: no row has the key
	desc bool
}

func (t *table) order(orders []filter.Order) order {
	o := order{t: t, keys: make([]sortKey, len(orders))}
	for k, by := range orders {
		o.keys[k] = sortKey{t.cols[by.Ref], by.Desc}
	}
	return o
}

func (o order) compare(a, b int) int {
	for _, k := range o.keys {
		if k.col == nil {
			continue
		}
		if d := k.col.compare(a, b, k.desc); d != 0 {
			return d
		}
	}
	return strings.Compare(o.t.id(a), o.t.id(b))
}

// top gives the first most rows of a set in the order, after the cursor if there is one. It keeps a heap of that size with the last of
// them on top, and walks from the newest row, which is most often among the first.
func (o order) top(set bitmap, from *cursor, most int) []int {
	if most <= 0 {
		return nil
	}
	heap := make([]int, 0, min(most, set.count()))
	for w := len(set) - 1; w >= 0; w-- {
		for word := set[w]; word != 0; {
			bit := 63 - bits.LeadingZeros64(word)
			word &^= 1 << bit
			row := w*64 + bit
			switch {
			case len(heap) == most && o.compare(row, heap[0]) > 0:
			case from != nil && !o.after(*from, row):
			case len(heap) < most:
				heap = append(heap, row)
				if len(heap) == most {
					for i := most/2 - 1; i >= 0; i-- {
						o.sink(heap, i)
					}
				}
			default:
				heap[0] = row
				o.sink(heap, 0)
			}
		}
	}
	slices.SortFunc(heap, o.compare)
	return heap
}

func (o order) sink(heap []int, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && o.compare(heap[child+1], heap[child]) > 0 {
			child++
		}
		if o.compare(heap[child], heap[i]) <= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// cursor is where a page ended: the sort values of its last row and its id. Rows that are added or changed meanwhile do not shift the
// pages after it.
type cursor struct {
	Query string `json:"q"` // fingerprint of the search that the token belongs to
	Keys  []key  `json:"k"`
	ID    string `json:"i"`
}

// key is one sort value of one row, apart from the table it came from.
type key struct {
	Rank   int     `json:"r,omitempty"`
	Number float64 `json:"n,omitempty"`
	Text   []byte  `json:"t,omitempty"`
	Inf    int     `json:"f,omitempty"` // JSON has no infinities
}

// sortedText is how much of a text counts in a sort, in bytes, so that a page token stays short.
const sortedText = 256

func (k key) number() float64 {
	if k.Inf != 0 {
		return math.Inf(k.Inf)
	}
	return k.Number
}

func (k key) compare(with key, desc bool) int {
	if d := cmp.Compare(k.Rank, with.Rank); d != 0 || k.Rank != rankValue {
		return d
	}
	if d := cmp.Compare(k.number(), with.number()); d != 0 {
		return sign(d, desc)
	}
	return sign(bytes.Compare(k.Text, with.Text), desc)
}

// at gives a row's sort values.
func (o order) at(row int) []key {
	out := make([]key, len(o.keys))
	for k := range o.keys {
		out[k] = o.keys[k].at(row)
	}
	return out
}

func (s sortKey) at(row int) (k key) {
	if s.col == nil {
		return key{Rank: rankAbsent}
	}
	if k.Rank = s.col.rank(row); k.Rank != rankValue {
		return k
	}
	if s.col.nums == nil {
		k.Text = []byte(s.col.textAt(row))
		return k
	}
	switch v := s.col.nums[row]; {
	case math.IsInf(v, 1):
		k.Inf = 1
	case math.IsInf(v, -1):
		k.Inf = -1
	default:
		k.Number = v
	}
	return k
}

// after reports whether a row comes after the cursor's.
func (o order) after(c cursor, row int) bool {
	for k, by := range o.keys {
		if k >= len(c.Keys) {
			break
		}
		if d := by.at(row).compare(c.Keys[k], by.desc); d != 0 {
			return d > 0
		}
	}
	return o.t.id(row) > c.ID
}

// page filters, sorts and cuts: the rows of one page, and the token of the next, which is empty at the end.
func (t *table) page(n filter.Node, orders []filter.Order, from *cursor, limit int, mark string) (rows []int, next string) {
	by := t.order(orders)
	rows = by.top(t.match(n), from, limit+1)
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	last := rows[limit-1]
	return rows, page.Encode(cursor{mark, by.at(last), t.id(last)})
}
