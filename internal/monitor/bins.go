package monitor

import (
	"slices"

	"github.com/modelyard/modelyard/internal/num/sketch"
)

const (
	shownBins       = 24 // bins of a number for display
	shownCategories = 20 // categories for display; the rest is one more
)

// distributions folds two sketches on the same bins into few enough bins to draw.
func distributions(ref, cur *sketch.Column) (r, c *Distribution) {
	if ref.Categories != nil {
		return categories(ref.Categories, cur.Categories)
	}
	low, high := ref.Moments().Min, ref.Moments().Max
	m := cur.Moments()
	if m.N > 0 {
		low, high = min(low, m.Min), max(high, m.Max)
	}
	var edges []float64
	if d := ref.Discrete; d != nil && len(d.Values()) <= shownBins {
		edges = between(d.Values(), low, high)
	} else {
		if low == high {
			low, high = low-0.5, high+0.5
		}
		edges = make([]float64, shownBins+1)
		for i := range edges {
			edges[i] = low + (high-low)*float64(i)/shownBins
		}
		edges[shownBins] = high
	}
	return numbers(ref, edges), numbers(cur, edges)
}

// between are edges in the middle between a few values.
func between(values []float64, low, high float64) []float64 {
	edges := []float64{}
	for i := 1; i < len(values); i++ {
		edges = append(edges, values[i-1]+(values[i]-values[i-1])/2)
	}
	first, last := values[0], values[len(values)-1]
	margin := 0.5
	if len(values) > 1 {
		margin = (last - first) / float64(len(values)-1) / 2
	}
	return append([]float64{min(low, first-margin)}, append(edges, max(high, last+margin))...)
}

// numbers spreads the counts of a sketch over other bins.
func numbers(c *sketch.Column, edges []float64) *Distribution {
	out := &Distribution{Edges: edges, Shares: make([]float64, len(edges)-1), Count: c.Count()}
	m := c.Moments()
	if m.N == 0 {
		return out
	}
	out.Mean = num(m.Mean())
	put := func(low, high float64, n int64) {
		if n == 0 {
			return
		}
		last := len(edges) - 2
		find := func(x float64) int {
			i, exact := slices.BinarySearch(edges, x)
			if !exact {
				i--
			}
			return min(max(i, 0), last)
		}
		from, to := find(low), find(high)
		if from == to || high <= low {
			out.Shares[from] += float64(n)
			return
		}
		for i := from; i <= to; i++ {
			part := min(high, edges[i+1]) - max(low, edges[i])
			out.Shares[i] += float64(n) * max(part, 0) / (high - low)
		}
	}
	if d := c.Discrete; d != nil {
		values, cells := d.Values(), d.Cells()
		for i, n := range cells {
			switch {
			case i%2 == 1:
				put(values[i/2], values[i/2], n)
			case i == 0:
				put(min(m.Min, values[0]), values[0], n)
			case i == len(cells)-1:
				put(values[len(values)-1], max(m.Max, values[len(values)-1]), n)
			default:
				put(values[i/2-1], values[i/2], n)
			}
		}
	} else if h := c.Histogram; h != nil {
		es, cells := h.Edges(), h.Cells()
		for i, n := range cells {
			switch i {
			case 0:
				put(min(m.Min, es[0]), es[0], n)
			case len(cells) - 1:
				put(es[len(es)-1], max(m.Max, es[len(es)-1]), n)
			default:
				put(es[i-1], es[i], n)
			}
		}
	}
	var total float64
	for _, n := range out.Shares {
		total += n
	}
	if total > 0 {
		for i := range out.Shares {
			out.Shares[i] /= total
		}
	}
	return out
}

// categories lists the most frequent ones of both together.
func categories(ref, cur *sketch.Categories) (r, c *Distribution) {
	counts, now := ref.Counts(), cur.Counts()
	weight := func(n, all int64) float64 { return float64(n) / float64(max(all, 1)) }
	names := []string{}
	for name := range now {
		if counts[name] > 0 || now[name] > 0 {
			names = append(names, name)
		}
	}
	for name := range counts {
		if _, ok := now[name]; !ok && counts[name] > 0 {
			names = append(names, name)
		}
	}
	both := func(name string) float64 {
		return weight(counts[name], ref.Count()) + weight(now[name], cur.Count())
	}
	slices.SortFunc(names, func(a, b string) int {
		if x := compare(both(b), both(a)); x != 0 {
			return x
		}
		return map[bool]int{true: -1, false: 1}[a < b]
	})
	r, c = &Distribution{Count: ref.Count()}, &Distribution{Count: cur.Count()}
	restR, restC := weight(ref.Other(), ref.Count()), weight(cur.Other(), cur.Count())
	for i, name := range names {
		x, y := weight(counts[name], ref.Count()), weight(now[name], cur.Count())
		if i >= shownCategories {
			restR, restC = restR+x, restC+y
			continue
		}
		r.Labels = append(r.Labels, name)
		r.Shares, c.Shares = append(r.Shares, x), append(c.Shares, y)
	}
	if restR > 0 || restC > 0 {
		r.Labels = append(r.Labels, other)
		r.Shares, c.Shares = append(r.Shares, restR), append(c.Shares, restC)
	}
	c.Labels = r.Labels
	if r.Shares == nil {
		r.Shares, c.Shares = []float64{}, []float64{}
	}
	return r, c
}
