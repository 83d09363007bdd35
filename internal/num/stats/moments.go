package stats

import (
	"math"
	"slices"
)

// Sum adds xs with Neumaier's compensated summation, so that long columns keep their last digits.
func Sum(xs []float64) float64 {
	var sum, lost float64
	for _, x := range xs {
		next := sum + x
		if math.Abs(sum) >= math.Abs(x) {
			lost += (sum - next) + x
		} else {
			lost += (x - next) + sum
		}
		sum = next
	}
	if math.IsInf(sum, 0) || math.IsNaN(sum) {
		return sum
	}
	return sum + lost
}

// Mean is the arithmetic mean of xs, NaN when empty (numpy.mean).
func Mean(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return Sum(xs) / float64(len(xs))
}

// Variance is the variance of xs with ddof delta degrees of freedom taken off (numpy.var): 0 for the population, 1 for a
// sample. It is NaN when len(xs) <= ddof. Two passes, with the correction term of Chan, Golub and LeVeque (1983).
func Variance(xs []float64, ddof int) float64 {
	if len(xs) <= ddof || len(xs) == 0 {
		return math.NaN()
	}
	mean := Mean(xs)
	var squares, rest float64
	for _, x := range xs {
		d := x - mean
		squares += d * d
		rest += d
	}
	n := float64(len(xs))
	return (squares - rest*rest/n) / (n - float64(ddof))
}

// Std is the square root of Variance (numpy.std).
func Std(xs []float64, ddof int) float64 { return math.Sqrt(Variance(xs, ddof)) }

// Description is the set of moments and extremes that a profile shows.
type Description struct {
	Count    int
	Mean     float64
	Variance float64 // sample variance, ddof 1; NaN below two observations
	Skewness float64 // biased, g1 = m3 / m2^1.5 (scipy.stats.skew); NaN when constant
	Kurtosis float64 // biased excess, g2 = m4 / m2^2 - 3 (scipy.stats.kurtosis); NaN when constant
	Min, Max float64
}

// Describe computes the moments of xs in three passes (scipy.stats.describe with bias). All but Count are NaN when xs is empty.
func Describe(xs []float64) Description {
	nan := math.NaN()
	d := Description{Count: len(xs), Mean: nan, Variance: nan, Skewness: nan, Kurtosis: nan, Min: nan, Max: nan}
	if len(xs) == 0 {
		return d
	}
	d.Mean, d.Min, d.Max = Mean(xs), slices.Min(xs), slices.Max(xs)
	// The mean of values far from zero is rounded by more than they may differ; rest is what it lacks.
	var m2, m3, m4, rest float64
	for _, x := range xs {
		rest += (x - d.Mean) / float64(len(xs))
	}
	for _, x := range xs {
		e := x - d.Mean - rest
		m2 += e * e
		m3 += e * e * e
		m4 += e * e * e * e
	}
	n := float64(len(xs))
	d.Variance = Variance(xs, 1)
	if d.Min < d.Max {
		m2, m3, m4 = m2/n, m3/n, m4/n
		d.Skewness, d.Kurtosis = m3/math.Pow(m2, 1.5), m4/(m2*m2)-3
	}
	return d
}

// Quantile is the q-quantile (0..1) of an ascending sample by linear interpolation: numpy.quantile's default, type 7 of
// Hyndman and Fan (1996). It is NaN when sorted is empty or q is outside 0..1.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	if low >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return lerp(sorted[low], sorted[low+1], at-float64(low))
}

// Quantiles is Quantile at each of qs.
func Quantiles(sorted []float64, qs ...float64) []float64 {
	out := make([]float64, len(qs))
	for i, q := range qs {
		out[i] = Quantile(sorted, q)
	}
	return out
}

// lerp interpolates as numpy does: from the nearer end, so that it is monotone and exact at both ends.
func lerp(a, b, t float64) float64 {
	if t >= 0.5 {
		return b - (b-a)*(1-t)
	}
	return a + (b-a)*t
}
