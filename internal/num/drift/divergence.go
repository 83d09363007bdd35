package drift

import (
	"math"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// Shares divides counts by their sum; all zero stays all zero.
func Shares(counts []float64) []float64 {
	total := stats.Sum(counts)
	out := make([]float64, len(counts))
	if total > 0 {
		for i, c := range counts {
			out[i] = c / total
		}
	}
	return out
}

// FillZeros is a copy of shares in which each 0 is what Evidently puts there: 0.0001, or a millionth of the smallest share when
// that is itself at most 0.0001. The result is not scaled to add up to 1 again, as there.
func FillZeros(shares []float64) []float64 {
	smallest := math.Inf(1)
	for _, s := range shares {
		if s > 0 {
			smallest = min(smallest, s)
		}
	}
	fill := 0.0001
	if smallest <= fill {
		fill = smallest / 1e6
	}
	out := make([]float64, len(shares))
	for i, s := range shares {
		out[i] = s
		if s == 0 {
			out[i] = fill
		}
	}
	return out
}

// PSI is the population stability index sum (r - c) ln(r / c) of two sets of shares over the same bins, zeros filled as
// FillZeros does. NaN when the lengths differ or there are no bins.
func PSI(reference, current []float64) float64 {
	if len(reference) != len(current) || len(reference) == 0 {
		return math.NaN()
	}
	reference, current = FillZeros(reference), FillZeros(current)
	var psi float64
	for i, r := range reference {
		psi += (r - current[i]) * math.Log(r/current[i])
	}
	return psi
}

// KL is the Kullback-Leibler divergence of the reference from the current shares in nats, zeros filled and both scaled to add up
// to 1 (Evidently "kl_div": scipy.stats.entropy(reference, current)).
func KL(reference, current []float64) float64 {
	if len(reference) != len(current) || len(reference) == 0 {
		return math.NaN()
	}
	reference, current = Shares(FillZeros(reference)), Shares(FillZeros(current))
	var kl float64
	for i, r := range reference {
		kl += r * math.Log(r/current[i])
	}
	return max(kl, 0)
}

// JensenShannon is the Jensen-Shannon distance, the square root of the divergence (scipy.spatial.distance.jensenshannon), in the
// given base of logarithm: math.E as Evidently has it (at most 0.83), 2 as NannyML (at most 1). Zeros need no filling.
func JensenShannon(reference, current []float64, base float64) float64 {
	if len(reference) != len(current) || len(reference) == 0 {
		return math.NaN()
	}
	p, q := Shares(reference), Shares(current)
	var sum float64
	for i := range p {
		m := (p[i] + q[i]) / 2
		sum += relative(p[i], m) + relative(q[i], m)
	}
	if base != math.E {
		sum /= math.Log(base)
	}
	return math.Sqrt(max(sum, 0) / 2)
}

// relative is p ln(p/m), 0 for p = 0.
func relative(p, m float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log(p/m)
}

// TotalVariation is half the sum of absolute differences of two sets of shares: 0 equal, 1 disjoint.
func TotalVariation(reference, current []float64) float64 {
	if len(reference) != len(current) || len(reference) == 0 {
		return math.NaN()
	}
	p, q := Shares(reference), Shares(current)
	var sum float64
	for i := range p {
		sum += math.Abs(p[i] - q[i])
	}
	return min(sum/2, 1)
}

// KSFromCounts is the Kolmogorov-Smirnov distance of two sets of counts over the same ascending cells: a lower bound of the true one, short
// by at most the largest cell's share.
func KSFromCounts(reference, current []float64) float64 {
	if len(reference) != len(current) || len(reference) == 0 {
		return math.NaN()
	}
	p, q := Shares(reference), Shares(current)
	var gap, worst float64
	for i := range p {
		gap += p[i] - q[i]
		worst = max(worst, math.Abs(gap))
	}
	return min(worst, 1)
}

// WassersteinFromCounts is the first Wasserstein distance of two sets of counts held at the given ascending positions, one position a cell:
// exact when all values of a cell lie there, else off by at most the mean distance of the values from it.
func WassersteinFromCounts(positions, reference, current []float64) float64 {
	if len(reference) != len(current) || len(reference) != len(positions) || len(reference) == 0 {
		return math.NaN()
	}
	p, q := Shares(reference), Shares(current)
	var gap, area float64
	for i := range len(p) - 1 {
		gap += p[i] - q[i]
		area += math.Abs(gap) * (positions[i+1] - positions[i])
	}
	return area
}

// SturgesEdges are numpy.histogram_bin_edges(x, bins="sturges") for n floating-point values from low to high: equal bins of about
// (high - low) / (log2 n + 1).
func SturgesEdges(low, high float64, n int) []float64 {
	if n <= 0 || !(low <= high) {
		return nil
	}
	bins := 1
	if width := (high - low) / (math.Log2(float64(n)) + 1); width > 0 {
		bins = int(math.Ceil((high - low) / width))
	}
	if low == high {
		low, high = low-0.5, high+0.5
	}
	return Linspace(low, high, bins+1)
}

// Linspace is numpy.linspace(low, high, n), n >= 2.
func Linspace(low, high float64, n int) []float64 {
	edges := make([]float64, n)
	step := (high - low) / float64(n-1)
	for i := range edges {
		edges[i] = float64(i)*step + low
	}
	edges[n-1] = high
	return edges
}

// CountSorted is numpy.histogram of an ascending sample: how many values lie in each bin, left edges included, the last
// bin's right one too.
func CountSorted(sorted, edges []float64) []float64 {
	counts := make([]float64, len(edges)-1)
	before := searchLeft(sorted, edges[0])
	for i := range counts {
		var to int
		if i == len(counts)-1 {
			to = searchRight(sorted, edges[i+1])
		} else {
			to = searchLeft(sorted, edges[i+1])
		}
		counts[i] = float64(to - before)
		before = to
	}
	return counts
}

func searchLeft(sorted []float64, x float64) int {
	low, high := 0, len(sorted)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if sorted[mid] < x {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func searchRight(sorted []float64, x float64) int {
	low, high := 0, len(sorted)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if sorted[mid] <= x {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
