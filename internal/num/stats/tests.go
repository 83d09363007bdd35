package stats

import (
	"cmp"
	"math"
	"slices"
)

// ChiSquareResult is a chi-square test.
type ChiSquareResult struct {
	Statistic float64 // +Inf when something was observed where nothing is expected
	DF        int
	PValue    float64
}

// ChiSquareGoodness tests observed counts against expected ones of equal total (scipy.stats.chisquare). A category expected
// zero times but observed makes the statistic +Inf and the p-value 0, as there; one that is zero in both adds nothing but still
// counts as a degree of freedom. ErrInvalid when the lengths differ or a count is negative, ErrTooFew below two categories.
func ChiSquareGoodness(observed, expected []float64) (ChiSquareResult, error) {
	if len(observed) != len(expected) {
		return ChiSquareResult{}, ErrInvalid
	}
	if len(observed) < 2 {
		return ChiSquareResult{}, ErrTooFew
	}
	var statistic float64
	for i, e := range expected {
		o := observed[i]
		if !(o >= 0) || !(e >= 0) {
			return ChiSquareResult{}, ErrInvalid
		}
		if o == e {
			continue
		}
		statistic += (o - e) * (o - e) / e
	}
	df := len(observed) - 1
	return ChiSquareResult{Statistic: statistic, DF: df, PValue: ChiSquareSF(statistic, float64(df))}, nil
}

// ChiSquareDrift is the goodness-of-fit test that Evidently runs: reference counts, scaled to the size of the current
// sample, are the expected ones.
func ChiSquareDrift(reference, current []float64) (ChiSquareResult, error) {
	nRef, nCur := Sum(reference), Sum(current)
	if len(reference) != len(current) {
		return ChiSquareResult{}, ErrInvalid
	}
	if nRef <= 0 || nCur <= 0 {
		return ChiSquareResult{}, ErrTooFew
	}
	scale := nCur / nRef
	expected := make([]float64, len(reference))
	for i, r := range reference {
		expected[i] = r * scale
	}
	return ChiSquareGoodness(current, expected)
}

// ChiSquareContingency tests the independence of rows and columns in a table of counts (scipy.stats.chi2_contingency without
// Yates' correction). Rows and columns that are all zero are left out. ErrTooFew when fewer than two of either remain.
func ChiSquareContingency(table [][]float64) (ChiSquareResult, error) {
	if len(table) == 0 {
		return ChiSquareResult{}, ErrTooFew
	}
	rows, columns := make([]float64, len(table)), make([]float64, len(table[0]))
	var total float64
	for i, row := range table {
		if len(row) != len(columns) {
			return ChiSquareResult{}, ErrInvalid
		}
		for j, count := range row {
			if !(count >= 0) {
				return ChiSquareResult{}, ErrInvalid
			}
			rows[i] += count
			columns[j] += count
			total += count
		}
	}
	df := (positive(rows) - 1) * (positive(columns) - 1)
	if df <= 0 {
		return ChiSquareResult{}, ErrTooFew
	}
	var statistic float64
	for i, row := range table {
		for j, count := range row {
			if expected := rows[i] * columns[j] / total; expected > 0 {
				statistic += (count - expected) * (count - expected) / expected
			}
		}
	}
	return ChiSquareResult{Statistic: statistic, DF: df, PValue: ChiSquareSF(statistic, float64(df))}, nil
}

func positive(xs []float64) (n int) {
	for _, x := range xs {
		if x > 0 {
			n++
		}
	}
	return n
}

// Alternative says which difference a test looks for.
type Alternative string

// The alternatives, always about the first sample in relation to the second.
const (
	TwoSided Alternative = "two-sided"
	Greater  Alternative = "greater"
	Less     Alternative = "less"
)

// ZResult is a test whose statistic is standard normal under the null hypothesis.
type ZResult struct {
	Statistic float64
	PValue    float64
}

// TwoProportionZ tests whether k1 of n1 and k2 of n2 come from one proportion, with the pooled standard error and no continuity
// correction (statsmodels proportions_ztest; Evidently's "z"). When all observations agree the statistic is 0 and the p-value 1.
func TwoProportionZ(k1, n1, k2, n2 int64, alternative Alternative) (ZResult, error) {
	if n1 <= 0 || n2 <= 0 {
		return ZResult{}, ErrTooFew
	}
	if k1 < 0 || k2 < 0 || k1 > n1 || k2 > n2 {
		return ZResult{}, ErrInvalid
	}
	a, b := float64(n1), float64(n2)
	p1, p2 := float64(k1)/a, float64(k2)/b
	pooled := (float64(k1) + float64(k2)) / (a + b)
	if pooled == 0 || pooled == 1 {
		return ZResult{PValue: 1}, nil
	}
	z := (p1 - p2) / math.Sqrt(pooled*(1-pooled)*(1/a+1/b))
	p, err := tailOf(z, alternative, NormalSF)
	return ZResult{Statistic: z, PValue: p}, err
}

// tailOf turns a symmetric statistic into a p-value with the upper tail sf.
func tailOf(x float64, alternative Alternative, sf func(float64) float64) (float64, error) {
	switch alternative {
	case TwoSided:
		return clip(2 * sf(math.Abs(x))), nil
	case Greater:
		return sf(x), nil
	case Less:
		return sf(-x), nil
	}
	return math.NaN(), ErrInvalid
}

// FisherExact is the p-value that k1 of n1 and k2 of n2 come from one proportion, from the hypergeometric distribution
// (scipy.stats.fisher_exact on [[k1, n1-k1], [k2, n2-k2]]). It is right for the handful of errors a young canary has, where
// TwoProportionZ is not.
func FisherExact(k1, n1, k2, n2 int64, alternative Alternative) (float64, error) {
	if n1 <= 0 || n2 <= 0 {
		return math.NaN(), ErrTooFew
	}
	if k1 < 0 || k2 < 0 || k1 > n1 || k2 > n2 {
		return math.NaN(), ErrInvalid
	}
	hits, total := k1+k2, n1+n2
	low, high := max(0, hits-n2), min(hits, n1)
	if high-low > 10_000_000 {
		z, err := TwoProportionZ(k1, n1, k2, n2, alternative)
		return z.PValue, err
	}
	base := logChoose(float64(total), float64(hits))
	mass := func(k int64) float64 {
		return math.Exp(logChoose(float64(n1), float64(k)) + logChoose(float64(n2), float64(hits-k)) - base)
	}
	var p float64
	switch alternative {
	case Greater:
		for k := k1; k <= high; k++ {
			p += mass(k)
		}
	case Less:
		for k := low; k <= k1; k++ {
			p += mass(k)
		}
	case TwoSided:
		limit := mass(k1) * (1 + 1e-7)
		for k := low; k <= high; k++ {
			if m := mass(k); m <= limit {
				p += m
			}
		}
	default:
		return math.NaN(), ErrInvalid
	}
	return clip(p), nil
}

// TResult is a test whose statistic follows Student's t.
type TResult struct {
	Difference float64 // mean of the first minus mean of the second
	StdErr     float64
	Statistic  float64
	DF         float64
	PValue     float64
}

// WelchT tests whether two samples have one mean without assuming one variance (scipy.stats.ttest_ind, equal_var=False;
// Welch 1947). Each needs two observations. Two constant samples give p = 1 when equal, 0 when the difference is what the
// alternative looks for.
func WelchT(a, b []float64, alternative Alternative) (TResult, error) {
	if len(a) < 2 || len(b) < 2 {
		return TResult{}, ErrTooFew
	}
	na, nb := float64(len(a)), float64(len(b))
	va, vb := Variance(a, 1)/na, Variance(b, 1)/nb
	df := (va + vb) * (va + vb) / (va*va/(na-1) + vb*vb/(nb-1))
	return tTest(Mean(a)-Mean(b), math.Sqrt(va+vb), df, alternative)
}

// PairedT tests whether the mean of the paired differences a[i] - b[i] is zero (scipy.stats.ttest_rel).
func PairedT(a, b []float64, alternative Alternative) (TResult, error) {
	if len(a) != len(b) {
		return TResult{}, ErrInvalid
	}
	if len(a) < 2 {
		return TResult{}, ErrTooFew
	}
	diff := differences(a, b)
	n := float64(len(diff))
	return tTest(Mean(diff), math.Sqrt(Variance(diff, 1)/n), n-1, alternative)
}

func tTest(difference, stdErr, df float64, alternative Alternative) (TResult, error) {
	if math.IsNaN(difference) || math.IsNaN(stdErr) {
		return TResult{}, ErrInvalid
	}
	result := TResult{Difference: difference, StdErr: stdErr, DF: df, PValue: 1}
	if stdErr == 0 {
		if difference == 0 {
			return result, nil
		}
		result.Statistic, result.DF = math.Inf(int(math.Copysign(1, difference))), 1
	} else {
		result.Statistic = difference / stdErr
	}
	var err error
	result.PValue, err = tailOf(result.Statistic, alternative, func(t float64) float64 { return StudentSF(t, result.DF) })
	return result, err
}

func differences(a, b []float64) []float64 {
	diff := make([]float64, len(a))
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	return diff
}

// Interval is a closed interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Wilson is the score interval of a proportion k of n at the confidence level 0 < level < 1 (Wilson 1927; statsmodels
// proportion_confint, method "wilson").
func Wilson(k, n int64, level float64) (Interval, error) {
	if n <= 0 {
		return Interval{}, ErrTooFew
	}
	if k < 0 || k > n || !(level > 0 && level < 1) {
		return Interval{}, ErrInvalid
	}
	z := NormalQuantile(0.5 + level/2)
	size, p := float64(n), float64(k)/float64(n)
	scale := 1 + z*z/size
	centre := (p + z*z/(2*size)) / scale
	half := z / scale * math.Sqrt(p*(1-p)/size+z*z/(4*size*size))
	return Interval{Low: max(0, centre-half), High: min(1, centre+half)}, nil
}

// BenjaminiHochberg adjusts p-values for the false discovery rate (Benjamini and Hochberg 1995; scipy.stats
// false_discovery_control): a hypothesis is rejected at rate q when its adjusted value is <= q. NaN stays NaN and is not counted.
func BenjaminiHochberg(pValues []float64) []float64 {
	adjusted := slices.Clone(pValues)
	order := make([]int, 0, len(pValues))
	for i, p := range pValues {
		if !math.IsNaN(p) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(pValues[i], pValues[j]) })
	smallest := 1.0
	for rank := len(order); rank >= 1; rank-- {
		i := order[rank-1]
		smallest = min(smallest, pValues[i]*float64(len(order))/float64(rank))
		adjusted[i] = smallest
	}
	return adjusted
}
