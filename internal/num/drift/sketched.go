package drift

import (
	"math"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/num/stats"
)

// coarseBins is how many groups a fine histogram is folded into for PSI, KL, Jensen-Shannon and total variation. With the 256 bins that suit KS,
// a window of a few hundred rows would drift by chance alone: PSI's mean without drift is about (bins-1)(1/n + 1/m).
const coarseBins = 10

// Sketched measures a window's sketch against the reference's, both on the same bins (current made with reference.Empty()).
// The default method is chosen as by Evidently. What the bins make exact: everything for categories (up to their limit) and for
// discrete columns, there also KS; for histograms KS is a lower bound short by at most the largest bin's share, Wasserstein assumes values
// spread evenly in each bin, and the divergences are taken on about ten bins of equal reference share instead of
// Evidently's. Those results say Approximate.
func Sketched(reference, current *sketch.Column, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	switch {
	case reference == nil || current == nil:
		return Result{}, ErrEmpty
	case reference.Categories != nil && current.Categories != nil:
		return sketchedCategories(reference.Categories, current.Categories, o)
	case reference.Discrete != nil && current.Discrete != nil:
		if !equalFloats(reference.Discrete.Values(), current.Discrete.Values()) {
			return Result{}, sketch.ErrIncompatible
		}
	case reference.Histogram != nil && current.Histogram != nil:
		if !equalFloats(reference.Histogram.Edges(), current.Histogram.Edges()) {
			return Result{}, sketch.ErrIncompatible
		}
	default:
		return Result{}, sketch.ErrIncompatible
	}
	if reference.Count() == 0 || current.Count() == 0 {
		return Result{}, ErrEmpty
	}
	return sketchedNumbers(reference, current, o)
}

func equalFloats(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		if x != b[i] {
			return false
		}
	}
	return true
}

// otherKey names the bin of categories beyond the limit; no category can have it, their bytes being valid UTF-8.
const otherKey = "\xffother"

func sketchedCategories(reference, current *sketch.Categories, o Options) (Result, error) {
	r, c := reference.Counts(), current.Counts()
	r[otherKey], c[otherKey] = reference.Other(), current.Other()
	result, err := Categorical(r, c, o)
	result.Approximate = reference.Other() > 0 && current.Other() > 0
	return result, err
}

func sketchedNumbers(reference, current *sketch.Column, o Options) (Result, error) {
	n, m := reference.Count(), current.Count()
	r, c := cells(reference), cells(current)
	method := o.Method
	if method == "" {
		method = Choose(true, distinctCells(reference, r, c), n)
	}
	var score, statistic float64
	switch method {
	case MethodKS:
		statistic = KSFromCounts(r, c)
		score = stats.KSPValue(statistic, clampInt(n), clampInt(m))
	case MethodWasserstein:
		statistic = wassersteinCells(reference, current, r, c)
		moments := reference.Moments()
		score = statistic / max(moments.Std(0), minStd)
	case MethodChiSquare, MethodZ:
		if reference.Discrete != nil {
			r, c = dropEmpty(r, c)
		} else {
			r, c = fold(r, c, coarseBins)
		}
		return approximately(reference, method, r, c, o)
	default:
		if reference.Discrete == nil || len(reference.Discrete.Values()) > 20 {
			r, c = fold(r, c, coarseBins)
			result, err := measureCounts(method, r, c, o)
			result.Approximate = true
			return result, err
		}
		r, c = dropEmpty(r, c)
		return approximately(reference, method, r, c, o)
	}
	result, err := o.result(method, score, statistic, n, m)
	result.Approximate = reference.Histogram != nil || method == MethodWasserstein && current.Unseen() > 0
	return result, err
}

func approximately(reference *sketch.Column, method Method, r, c []float64, o Options) (Result, error) {
	result, err := measureCounts(method, r, c, o)
	result.Approximate = reference.Histogram != nil
	return result, err
}

func cells(column *sketch.Column) []float64 {
	var counts []int64
	if column.Discrete != nil {
		counts = column.Discrete.Cells()
	} else {
		counts = column.Histogram.Cells()
	}
	out := make([]float64, len(counts))
	for i, c := range counts {
		out[i] = float64(c)
	}
	return out
}

// distinctCells counts the distinct values that both sketches show; a histogram always stands for many.
func distinctCells(column *sketch.Column, r, c []float64) (n int) {
	if column.Histogram != nil {
		return math.MaxInt32
	}
	for i := range r {
		if r[i] > 0 || c[i] > 0 {
			n++
		}
	}
	return n
}

func dropEmpty(r, c []float64) (p, q []float64) {
	for i := range r {
		if r[i] > 0 || c[i] > 0 {
			p, q = append(p, r[i]), append(q, c[i])
		}
	}
	return p, q
}

// fold groups ascending cells into about bins groups of equal reference share. What lies below or above every reference value stays
// in the outermost groups.
func fold(r, c []float64, bins int) (p, q []float64) {
	total := stats.Sum(r)
	var before, pr, qc float64
	for i := range r {
		pr, qc = pr+r[i], qc+c[i]
		before += r[i]
		if pr > 0 && before >= total*float64(len(p)+1)/float64(bins) && before < total {
			p, q = append(p, pr), append(q, qc)
			pr, qc = 0, 0
		}
	}
	return append(p, pr), append(q, qc)
}

// wassersteinCells integrates the distance of the two distribution functions, which are steps at the values of a discrete column (what fell
// into a gap counts at its middle) and taken for straight lines within the bins of a histogram.
func wassersteinCells(reference, current *sketch.Column, r, c []float64) float64 {
	a, b := reference.Moments(), current.Moments()
	low, high := min(a.Min, b.Min), max(a.Max, b.Max)
	if reference.Discrete != nil {
		return WassersteinFromCounts(discretePositions(reference.Discrete.Values(), low, high), r, c)
	}
	edges := reference.Histogram.Edges()
	p, q := Shares(r), Shares(c)
	var gap, above, below float64
	for i := range p {
		from, to := low, high
		if i > 0 {
			from = edges[i-1]
		}
		if i < len(edges) {
			to = edges[i]
		}
		next := gap + p[i] - q[i]
		if width := to - from; width > 0 {
			up, down := parts(gap, next)
			above += width * up
			below += width * down
		}
		gap = next
	}
	// The difference of the two areas is that of the means, which are known exactly: only the smaller area is an estimate.
	return math.Abs(a.Mean()-b.Mean()) + 2*min(above, below)
}

func discretePositions(values []float64, low, high float64) []float64 {
	positions := make([]float64, 2*len(values)+1)
	positions[0] = min(low, values[0])
	for i, v := range values {
		positions[2*i+1] = v
		if i+1 < len(values) {
			positions[2*i+2] = v + (values[i+1]-v)/2
		}
	}
	positions[2*len(values)] = max(high, values[len(values)-1])
	return positions
}

// parts are the areas above and below zero of a straight line from a to b over a unit width.
func parts(a, b float64) (above, below float64) {
	switch {
	case a >= 0 && b >= 0:
		return (a + b) / 2, 0
	case a <= 0 && b <= 0:
		return 0, -(a + b) / 2
	}
	width := math.Abs(a) + math.Abs(b)
	high, low := max(a, b), min(a, b)
	return high * high / (2 * width), low * low / (2 * width)
}

func clampInt(n int64) int { return int(min(n, math.MaxInt32)) }
