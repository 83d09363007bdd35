package drift

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// ErrEmpty says that a column has no value left to compare once the missing ones are out.
var ErrEmpty = errors.New("drift: a column without values cannot be compared")

// Method names a measure of drift, as Evidently does.
type Method string

// The methods. The score of those that give a p-value finds drift when it is small, that of the others when it is large.
const (
	MethodKS             Method = "ks"              // Kolmogorov-Smirnov, p-value
	MethodWasserstein    Method = "wasserstein"     // first Wasserstein distance / max(std of reference, 0.001)
	MethodJensenShannon  Method = "jensenshannon"   // distance, natural logarithm
	MethodPSI            Method = "psi"             // population stability index
	MethodKL             Method = "kl_div"          // Kullback-Leibler divergence of reference from current, nats
	MethodChiSquare      Method = "chisquare"       // goodness of fit to the scaled reference counts, p-value
	MethodZ              Method = "z"               // two proportions, p-value
	MethodTotalVariation Method = "total_variation" // half the L1 distance of the shares
)

// Methods lists all methods.
func Methods() []Method {
	return []Method{MethodKS, MethodWasserstein, MethodJensenShannon, MethodPSI, MethodKL, MethodChiSquare, MethodZ, MethodTotalVariation}
}

// Valid reports whether m is a known method.
func (m Method) Valid() bool { return slices.Contains(Methods(), m) }

// PValue reports whether the score of m is a p-value, so that less of it means more drift.
func (m Method) PValue() bool { return m == MethodKS || m == MethodChiSquare || m == MethodZ }

// Threshold is the default of m: 0.05 for p-values, 0.1 for distances (Evidently's; total variation has none there and takes 0.1).
func (m Method) Threshold() float64 {
	if m.PValue() {
		return 0.05
	}
	return 0.1
}

// drifted compares as Evidently does: KS finds drift at p <= threshold, the other tests at p < threshold, distances at >=.
func (m Method) drifted(score, threshold float64) bool {
	switch {
	case m == MethodKS:
		return score <= threshold
	case m.PValue():
		return score < threshold
	}
	return score >= threshold
}

// Profile names whose default method, bins and thresholds apply.
type Profile string

// ProfileEvidently follows Evidently 0.7.
const ProfileEvidently Profile = "evidently"

// Options choose how a column is measured. The zero value is Evidently's default method with its threshold.
type Options struct {
	Method    Method  `json:"method,omitempty"`    // empty: Choose
	Threshold float64 `json:"threshold,omitempty"` // 0: the method's default
}

// Result is the drift of one column.
type Result struct {
	Method      Method  `json:"method"`
	Score       float64 `json:"score"` // a p-value if PValue, else a distance
	Threshold   float64 `json:"threshold"`
	PValue      bool    `json:"p_value"`
	Drifted     bool    `json:"drifted"`
	Statistic   float64 `json:"statistic"`   // behind a p-value: its statistic; for wasserstein the raw distance; else the score
	Reference   int64   `json:"reference"`   // values compared, missing ones left out
	Current     int64   `json:"current"`     //
	Approximate bool    `json:"approximate"` // from a sketch whose bins only bound the answer, not from the column
}

// Choose is Evidently's default method: by whether the column is numeric, the number of distinct values in reference and current
// together, and the number of reference values.
//
//	numeric, > 5 distinct     KS up to 1000 reference values, Wasserstein above
//	3..5 distinct, or categories > 2    chi-square up to 1000, Jensen-Shannon above
//	<= 2 distinct             Z up to 1000, Jensen-Shannon above
func Choose(numeric bool, distinct int, referenceSize int64) Method {
	small := referenceSize <= 1000
	switch {
	case numeric && distinct > 5 && small:
		return MethodKS
	case numeric && distinct > 5:
		return MethodWasserstein
	case !small:
		return MethodJensenShannon
	case distinct > 2:
		return MethodChiSquare
	}
	return MethodZ
}

// result fills in what follows from method, score and options.
func (o Options) result(m Method, score, statistic float64, reference, current int64) (Result, error) {
	if math.IsNaN(score) {
		return Result{}, fmt.Errorf("drift: %s gave no number", m)
	}
	threshold := o.Threshold
	if threshold == 0 {
		threshold = m.Threshold()
	}
	return Result{
		Method: m, Score: finite(score), Threshold: threshold, PValue: m.PValue(), Drifted: m.drifted(score, threshold),
		Statistic: finite(statistic), Reference: reference, Current: current,
	}, nil
}

// finite keeps results writable as JSON: a chi-square statistic is infinite when a category is new.
func finite(x float64) float64 { return min(x, math.MaxFloat64) }

func (o Options) check() error {
	if o.Method != "" && !o.Method.Valid() {
		return fmt.Errorf("drift: unknown method %q, expected one of %v", o.Method, Methods())
	}
	if !(o.Threshold >= 0) || math.IsInf(o.Threshold, 1) {
		return fmt.Errorf("drift: threshold must be a number above 0, got %v", o.Threshold)
	}
	return nil
}

// Numeric measures a current sample against a reference, exactly. ErrEmpty when either has no finite value.
func Numeric(reference, current *Sample, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	n, m := reference.Len(), current.Len()
	if n == 0 || m == 0 {
		return Result{}, ErrEmpty
	}
	pair := Merge(reference.Sorted, current.Sorted)
	method := o.Method
	if method == "" {
		method = Choose(true, pair.Distinct, int64(n))
	}
	var score, statistic float64
	switch method {
	case MethodKS:
		score, statistic = stats.KSPValue(pair.KS, n, m), pair.KS
	case MethodWasserstein:
		score, statistic = pair.Wasserstein/reference.Norm(), pair.Wasserstein
	case MethodChiSquare, MethodZ:
		r, c := valueCounts(reference.Sorted, current.Sorted)
		return measureCounts(method, r, c, o)
	default:
		r, c := Bins(reference, current)
		return measureCounts(method, r, c, o)
	}
	return o.result(method, score, statistic, int64(n), int64(m))
}

// Bins are the counts of both samples over Evidently's bins: numpy's "sturges" edges of both together when the reference has
// more than 20 distinct values, else one bin per value.
func Bins(reference, current *Sample) (r, c []float64) {
	a, b := reference.Sorted, current.Sorted
	if reference.Distinct <= 20 {
		return valueCounts(a, b)
	}
	low, high := a[0], a[len(a)-1]
	if len(b) > 0 {
		low, high = min(low, b[0]), max(high, b[len(b)-1])
	}
	edges := SturgesEdges(low, high, len(a)+len(b))
	return CountSorted(a, edges), CountSorted(b, edges)
}

// valueCounts counts each distinct value of two ascending samples.
func valueCounts(a, b []float64) (r, c []float64) {
	var i, j int
	for i < len(a) || j < len(b) {
		var x float64
		switch {
		case i == len(a):
			x = b[j]
		case j == len(b):
			x = a[i]
		default:
			x = min(a[i], b[j])
		}
		fromI, fromJ := i, j
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		r, c = append(r, float64(i-fromI)), append(c, float64(j-fromJ))
	}
	return r, c
}

// Counts counts the categories of a column.
func Counts(values []string) map[string]int64 {
	counts := map[string]int64{}
	for _, v := range values {
		counts[v]++
	}
	return counts
}

// Categorical measures counts of categories against a reference's. KS and Wasserstein are refused: categories have no order.
func Categorical(reference, current map[string]int64, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	r, c := align(reference, current)
	method := o.Method
	if method == "" {
		method = Choose(false, len(r), int64(stats.Sum(r)))
	}
	if method == MethodKS || method == MethodWasserstein {
		return Result{}, fmt.Errorf("drift: method %q needs numbers, for categories choose chisquare, jensenshannon, psi, kl_div or total_variation", method)
	}
	return measureCounts(method, r, c, o)
}

// align lists the counts of two maps over the sorted union of their keys that occur.
func align(reference, current map[string]int64) (r, c []float64) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(reference)), maps.Keys(current))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if reference[k] > 0 || current[k] > 0 {
			r, c = append(r, float64(reference[k])), append(c, float64(current[k]))
		}
	}
	return r, c
}

// measureCounts applies a method for counts over common bins, which for MethodZ are in the order of their values.
func measureCounts(method Method, r, c []float64, o Options) (Result, error) {
	n, m := stats.Sum(r), stats.Sum(c)
	if n == 0 || m == 0 {
		return Result{}, ErrEmpty
	}
	var score, statistic float64
	switch method {
	case MethodChiSquare:
		score = 1 // a single bin in both
		if len(r) > 1 {
			test, err := stats.ChiSquareDrift(r, c)
			if err != nil {
				return Result{}, err
			}
			score, statistic = test.PValue, test.Statistic
		}
	case MethodZ:
		test, err := stats.TwoProportionZ(int64(n-r[0]), int64(n), int64(m-c[0]), int64(m), stats.TwoSided)
		if err != nil {
			return Result{}, err
		}
		score, statistic = test.PValue, test.Statistic
	default:
		p, q := Shares(r), Shares(c)
		switch method {
		case MethodPSI:
			score = PSI(p, q)
		case MethodKL:
			score = KL(p, q)
		case MethodJensenShannon:
			score = JensenShannon(p, q, math.E)
		case MethodTotalVariation:
			score = TotalVariation(p, q)
		default:
			return Result{}, fmt.Errorf("drift: method %q cannot be taken from counts", method)
		}
		statistic = score
	}
	return o.result(method, score, statistic, int64(n), int64(m))
}
