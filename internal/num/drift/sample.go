package drift

import (
	"math"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// Sample is a numeric column made ready for comparing: sorted once, without NaN and infinities. Use it as the Reference of many
// comparisons; it is not changed by them and may be shared by goroutines.
type Sample struct {
	Sorted   []float64 // ascending, finite
	Missing  int       // NaN and infinite values that were left out
	Distinct int
	Mean     float64 // NaN when empty
	Std      float64 // population (ddof 0), as Evidently norms Wasserstein by; NaN when empty
}

// Reference is the sample that others are compared with.
type Reference = Sample

// NewSample sorts a copy of values.
func NewSample(values []float64) *Sample {
	sorted := make([]float64, 0, len(values))
	for _, x := range values {
		if x-x == 0 {
			sorted = append(sorted, x)
		}
	}
	s := &Sample{Sorted: sorted, Missing: len(values) - len(sorted)}
	s.Mean, s.Std = stats.Mean(sorted), stats.Std(sorted, 0)
	SortFloats(sorted)
	for i, x := range sorted {
		if i == 0 || x != sorted[i-1] {
			s.Distinct++
		}
	}
	return s
}

// Len is the number of finite values.
func (s *Sample) Len() int { return len(s.Sorted) }

// Pair holds what one merge of two sorted samples gives.
type Pair struct {
	KS          float64 // Kolmogorov-Smirnov statistic
	Wasserstein float64 // first Wasserstein distance, in the column's unit (scipy.stats.wasserstein_distance)
	Distinct    int     // distinct values in both together
}

// Merge walks two ascending samples once: the distance between their distribution functions is largest at KS and integrates to
// Wasserstein (Ramdas, Garcia and Cuturi 2017). All is NaN when one is empty.
func Merge(a, b []float64) Pair {
	if len(a) == 0 || len(b) == 0 {
		return Pair{KS: math.NaN(), Wasserstein: math.NaN()}
	}
	na, nb := float64(len(a)), float64(len(b))
	var out Pair
	var i, j int
	var gap, last, area, lost float64
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
		// Neumaier's sum keeps the last digits of long columns.
		if out.Distinct > 0 {
			part := gap * (x - last)
			next := area + part
			if area >= part {
				lost += (area - next) + part
			} else {
				lost += (part - next) + area
			}
			area = next
		}
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		gap = math.Abs(float64(i)/na - float64(j)/nb)
		out.KS = max(out.KS, gap)
		out.Distinct++
		last = x
	}
	out.Wasserstein = area + lost
	return out
}

// minStd is what Evidently divides by when the reference hardly varies.
const minStd = 0.001

// Norm is what a raw Wasserstein distance from this reference is divided by: max(Std, 0.001).
func (s *Sample) Norm() float64 { return max(s.Std, minStd) }
