package stats

import (
	"math"
)

// KSExactLimit is the size of the larger sample up to which KSPValue is exact, as scipy.stats.ks_2samp(method="auto") has it.
const KSExactLimit = 10_000

// KSResult is a two-sample Kolmogorov-Smirnov test.
type KSResult struct {
	Statistic float64 // largest distance between the two empirical distribution functions, 0..1
	PValue    float64 // two-sided
}

// KS tests two ascending samples without NaN (scipy.stats.ks_2samp, two-sided, method "auto"). ErrTooFew when one is empty.
func KS(sortedA, sortedB []float64) (KSResult, error) {
	if len(sortedA) == 0 || len(sortedB) == 0 {
		return KSResult{}, ErrTooFew
	}
	d := KSStatistic(sortedA, sortedB)
	return KSResult{Statistic: d, PValue: KSPValue(d, len(sortedA), len(sortedB))}, nil
}

// KSStatistic is the largest distance between the empirical distribution functions of two ascending samples; NaN when one is empty.
func KSStatistic(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return math.NaN()
	}
	na, nb := float64(len(a)), float64(len(b))
	var i, j int
	var worst float64
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] <= x {
			i++
		}
		for j < len(b) && b[j] <= x {
			j++
		}
		worst = max(worst, math.Abs(float64(i)/na-float64(j)/nb))
	}
	return worst
}

// KSPValue is the two-sided p-value of a statistic d from samples of n and m observations: exact by counting lattice paths
// while the larger has at most KSExactLimit (Hodges 1958), else the finite-sample distribution of Kolmogorov's statistic at
// round(n m / (n + m)), as scipy.stats.ks_2samp does.
func KSPValue(d float64, n, m int) float64 {
	if math.IsNaN(d) || n <= 0 || m <= 0 {
		return math.NaN()
	}
	if n < m {
		n, m = m, n
	}
	if n <= KSExactLimit {
		return ksExact(d, n, m)
	}
	effective := float64(n) * float64(m) / (float64(n) + float64(m))
	return KolmogorovSF(d, int(math.RoundToEven(effective)))
}

func ksExact(d float64, n, m int) float64 {
	g := gcd(n, m)
	steps := int64(n/g) * int64(m)
	h := int64(math.RoundToEven(d * float64(steps)))
	switch {
	case h <= 0:
		return 1
	case h > steps:
		return 0
	case n == m:
		return ksEqualSizes(n, int(h))
	}
	return ksPathsOutside(n, m, g, h)
}

// ksEqualSizes is P(D >= h/n) for two samples of n: 2 A0 (1 - A1 (1 - A2 ...)), Gnedenko and Korolyuk (1951).
func ksEqualSizes(n, h int) float64 {
	p := 0.0
	for k := n / h; k >= 0; k-- {
		a := 1.0
		for j := range h {
			a *= float64(n-k*h-j) / float64(n+k*h+j+1)
		}
		p = a * (1 - p)
	}
	return clip(2 * p)
}

// ksPathsOutside is the share of lattice paths from (0,0) to (n,m) that leave the band |m x - n y| / g < h, kept as a
// probability at each point, so that nothing overflows or cancels (Hodges 1958, section 4; n >= m).
func ksPathsOutside(n, m, g int, h int64) float64 {
	stepX, stepY := int64(m/g), int64(n/g)
	low, high := int64(0), min(ceilDiv(h, stepY), int64(m)+1)
	row := make([]float64, min(2*high+2, int64(m)+1))
	for j := high; j < int64(len(row)); j++ {
		row[j] = 1
	}
	for i := int64(1); i <= int64(n); i++ {
		lastLow, lastLen := low, high-low
		low = min(max(floorDiv(stepX*i-h, stepY)+1, 0), int64(m))
		high = min(ceilDiv(stepX*i+h, stepY), int64(m)+1)
		if high <= low {
			return 1
		}
		value := 1.0
		if low == 0 {
			value = 0
		}
		for k := range high - low {
			j := low + k
			below := 1.0
			if at := j - lastLow; at < int64(len(row)) {
				below = row[at]
			}
			value = (below*float64(i) + value*float64(j)) / float64(i+j)
			row[k] = value
		}
		for k := high - low; k < min(lastLen, int64(len(row))); k++ {
			row[k] = 1
		}
	}
	return clip(row[high-low-1])
}

// KolmogorovSF is P(D_n > d) for the one-sample statistic of n observations (scipy.stats.kstwo.sf), with the choice of method
// of Simard and L'Ecuyer (2011): Durbin's matrix (Marsaglia, Tsang and Wang 2003), twice Smirnov's one-sided tail, and the
// series of Pelz and Good (1976).
func KolmogorovSF(d float64, n int) float64 {
	if math.IsNaN(d) || n <= 0 {
		return math.NaN()
	}
	size := float64(n)
	t := size * d
	switch {
	case d >= 1:
		return 0
	case t <= 0.5:
		return 1
	case t <= 1: // Ruben and Gambino: CDF = n!/n^n (2t-1)^n
		lg, _ := math.Lgamma(size + 1)
		return clip(1 - math.Exp(lg-size*math.Log(size)+size*math.Log(2*t-1)))
	case t >= size-1:
		return clip(2 * math.Pow(1-d, size))
	case d >= 0.5:
		return clip(2 * SmirnovSF(d, n))
	}
	z2 := t * d
	switch {
	case z2 >= 370:
		return 0
	case n <= 140 && z2 <= 4, n > 140 && z2 < 2.2 && n <= 100_000 && size*math.Pow(d, 1.5) <= 1.4:
		return clip(1 - kolmogorovMatrix(n, d))
	case n <= 140 || z2 >= 2.2:
		return clip(2 * SmirnovSF(d, n))
	}
	return clip(1 - kolmogorovSeries(size, d))
}

// smirnovSumLimit bounds the terms that SmirnovSF adds; above it the first correction to the limit is exact to about 1/n.
const smirnovSumLimit = 1_000_000

// SmirnovSF is P(D_n+ > d), the one-sided statistic of n observations (scipy.special.smirnov): Birnbaum and Tingey's sum
// (1951), whose terms are all positive; above a million observations exp(-(6 n d + 1)^2 / 18 n) of Maag and Dicaire (1971).
func SmirnovSF(d float64, n int) float64 {
	size := float64(n)
	switch {
	case d <= 0:
		return 1
	case d >= 1:
		return 0
	case n > smirnovSumLimit:
		u := 6*size*d + 1
		return math.Exp(-u * u / (18 * size))
	}
	var sum float64
	choose := 0.0 // log of the binomial coefficient
	for k := 0; k <= int(size*(1-d)); k++ {
		kf := float64(k)
		if k > 0 {
			choose = logChoose(size, kf)
		}
		rest := 1 - d - kf/size
		if rest <= 0 {
			break
		}
		sum += math.Exp(choose + (kf-1)*math.Log(d+kf/size) + (size-kf)*math.Log(rest))
	}
	return clip(d * sum)
}

// logChoose is the logarithm of the binomial coefficient, through the beta function so that big arguments do not cancel.
func logChoose(n, k float64) float64 { return -math.Log1p(n) - logBeta(n-k+1, k+1) }

func clip(p float64) float64 { return min(max(p, 0), 1) }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }
