package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap is the result of PairedBootstrap.
type Bootstrap struct {
	Mean     float64  // observed mean of a[i] - b[i]
	Interval Interval // percentile interval of that mean
	PGreater float64  // share of draws whose mean is <= 0: small when a is really greater than b (add-one, never 0)
}

// PairedBootstrap resamples the paired differences a[i] - b[i] draws times with rng and gives the percentile interval of their
// mean at the confidence level (Efron and Tibshirani 1993, chapter 13). Equal seeds give equal answers. Draws: 100..100,000.
func PairedBootstrap(a, b []float64, draws int, level float64, rng *rand.Rand) (Bootstrap, error) {
	if len(a) != len(b) || rng == nil || draws < 100 || draws > 100_000 || !(level > 0 && level < 1) {
		return Bootstrap{}, ErrInvalid
	}
	if len(a) < 2 {
		return Bootstrap{}, ErrTooFew
	}
	diff := differences(a, b)
	means := make([]float64, draws)
	below := 1
	for d := range means {
		var sum float64
		for range diff {
			sum += diff[rng.IntN(len(diff))]
		}
		means[d] = sum / float64(len(diff))
		if means[d] <= 0 {
			below++
		}
	}
	slices.Sort(means)
	return Bootstrap{
		Mean:     Mean(diff),
		Interval: Interval{Low: Quantile(means, (1-level)/2), High: Quantile(means, (1+level)/2)},
		PGreater: float64(below) / float64(draws+1),
	}, nil
}

// ConfidenceSequence is an interval for a mean that holds at every sample size at once with probability 1 - alpha, so that a
// canary may be looked at after every row without raising its false alarms: the asymptotic confidence sequence of Waudby-Smith,
// Arbour, Sinha, Kennedy and Ramdas (2024, "Time-uniform central limit theory", Theorem 2.2)
//
//	mean +- s sqrt( 2(n r^2 + 1)/(n^2 r^2) log( sqrt(n r^2 + 1)/alpha ) )
//
// with r chosen to be tightest near tightest observations: r^2 = (-2 log alpha + log(1 - 2 log alpha)) / tightest.
// n, mean and std (ddof 0 or 1) are of the differences seen so far. Being asymptotic, it should not be trusted below about 30.
func ConfidenceSequence(n int64, mean, std, alpha float64, tightest int64) (Interval, error) {
	r2, err := mixture(n, std, alpha, tightest)
	if err != nil {
		return Interval{}, err
	}
	size := float64(n)
	half := std * math.Sqrt(2*(size*r2+1)/(size*size*r2)*(0.5*math.Log(size*r2+1)-math.Log(alpha)))
	return Interval{Low: mean - half, High: mean + half}, nil
}

// LowerConfidenceSequence is the one-sided form: with probability 1 - alpha the true mean never lies below it at any n
// (same paper, one-sided boundary log(1 + sqrt(n r^2 + 1)/(2 alpha))).
func LowerConfidenceSequence(n int64, mean, std, alpha float64, tightest int64) (float64, error) {
	r2, err := mixture(n, std, alpha, tightest)
	if err != nil {
		return math.NaN(), err
	}
	size := float64(n)
	return mean - std*math.Sqrt(2*(size*r2+1)/(size*size*r2)*math.Log1p(math.Sqrt(size*r2+1)/(2*alpha))), nil
}

func mixture(n int64, std, alpha float64, tightest int64) (float64, error) {
	if n < 2 {
		return 0, ErrTooFew
	}
	if !(alpha > 0 && alpha < 1) || tightest < 1 || !(std >= 0) {
		return 0, ErrInvalid
	}
	l := -2 * math.Log(alpha)
	return (l + math.Log1p(l)) / float64(tightest), nil
}

// Verdict is the outcome of a one-sided judgement.
type Verdict string

// A judgement that lacks rows says so instead of guessing.
const (
	VerdictPass      Verdict = "pass"            // shown not to be worse than the margin allows
	VerdictFail      Verdict = "fail"            // shown to be worse than the margin allows
	VerdictUndecided Verdict = "not_enough_data" // neither is shown yet
)

// Judgement tells what a comparison of a challenger with a champion showed.
type Judgement struct {
	Verdict    Verdict  `json:"verdict"`
	N          int64    `json:"n"`
	Difference float64  `json:"difference"` // challenger minus champion, of a quantity where less is better
	Interval   Interval `json:"interval"`   // of the difference; +-math.MaxFloat64 (which JSON can hold) while nothing is known
}

// JudgePaired judges the loss of a challenger against a champion's on the same rows (n differences challenger - champion with
// the given mean and standard deviation; streaming moments will do). It fails once the confidence sequence lies above margin, passes once
// it lies below, and is undecided between and under minimum rows. It may be called after every row.
func JudgePaired(n int64, mean, std, margin, alpha float64, minimum int64) (Judgement, error) {
	j := Judgement{Verdict: VerdictUndecided, N: n, Difference: mean, Interval: Interval{Low: -math.MaxFloat64, High: math.MaxFloat64}}
	if !(alpha > 0 && alpha < 1) || math.IsNaN(margin) || minimum < 2 || n > 0 && mean-mean != 0 {
		return j, ErrInvalid
	}
	if n == 0 {
		j.Difference = 0 // the mean of nothing is no number
	}
	if n < minimum {
		return j, nil
	}
	interval, err := ConfidenceSequence(n, mean, std, alpha, minimum)
	if err != nil {
		return j, err
	}
	j.Interval = interval
	switch {
	case interval.Low > margin:
		j.Verdict = VerdictFail
	case interval.High <= margin:
		j.Verdict = VerdictPass
	}
	return j, nil
}

// JudgeProportion judges an error rate of a challenger (k1 of n1) against a champion's (k2 of n2): it fails when Fisher's exact
// one-sided test says the challenger's is greater at alpha, passes when both have minimum rows and the upper end of Newcombe's
// interval (1998, method 10) of the difference is at most margin, and is undecided otherwise. A clear failure needs no minimum.
// Unlike JudgePaired its alpha holds for one look: divide it by the number of looks.
func JudgeProportion(k1, n1, k2, n2 int64, margin, alpha float64, minimum int64) (Judgement, error) {
	j := Judgement{Verdict: VerdictUndecided, N: n1, Interval: Interval{Low: -1, High: 1}}
	if !(alpha > 0 && alpha < 1) || !(margin >= 0) {
		return j, ErrInvalid
	}
	if n1 == 0 || n2 == 0 {
		return j, nil
	}
	p, err := FisherExact(k1, n1, k2, n2, Greater)
	if err != nil {
		return j, err
	}
	interval, err := NewcombeDifference(k1, n1, k2, n2, 1-2*min(alpha, 0.25))
	if err != nil {
		return j, err
	}
	j.Interval, j.Difference = interval, float64(k1)/float64(n1)-float64(k2)/float64(n2)
	switch {
	case p <= alpha && j.Difference > margin:
		j.Verdict = VerdictFail
	case min(n1, n2) >= minimum && interval.High <= margin:
		j.Verdict = VerdictPass
	}
	return j, nil
}

// NewcombeDifference is an interval for p1 - p2 from the Wilson intervals of both (Newcombe 1998, method 10; statsmodels
// confint_proportions_2indep, method "newcomb").
func NewcombeDifference(k1, n1, k2, n2 int64, level float64) (Interval, error) {
	a, err := Wilson(k1, n1, level)
	if err != nil {
		return Interval{}, err
	}
	b, err := Wilson(k2, n2, level)
	if err != nil {
		return Interval{}, err
	}
	p1, p2 := float64(k1)/float64(n1), float64(k2)/float64(n2)
	d := p1 - p2
	return Interval{Low: d - math.Hypot(p1-a.Low, b.High-p2), High: d + math.Hypot(a.High-p1, p2-b.Low)}, nil
}
