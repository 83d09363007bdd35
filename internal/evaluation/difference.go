package evaluation

import (
	"math"

	"github.com/modelyard/modelyard/internal/num/stats"
)

// level is the confidence of the interval of a Difference.
const level = 0.95

// difference gives the interval of a metric's difference between two sets of predictions for the same rows, nil where the metric is not
// made of means over rows or the rows are too few.
//
// Means (mae, mse, mape, accuracy, brier, log_loss): Student's interval of the mean of the paired differences of losses, as
// scipy.stats.ttest_rel(a, b).confidence_interval() has it. r2 is the mean squared error on the scale of the variance of the truth, which
// is taken as given. rmse is a root of a mean: its interval is that of the linear part of the difference of roots (delta method; Oehlert
// 1992, The American Statistician 46(1)).
func difference(name string, s, other *scored) *Difference {
	a, b := s.losses(name), other.losses(name)
	if a == nil || b == nil || len(a) != len(b) || len(a) < 2 {
		return nil
	}
	scale := 1.0
	switch name {
	case "accuracy":
		scale = -1
	case "r2":
		scale = -1 / stats.Variance(s.truth.numbers, 0)
	}
	value := scale * (stats.Mean(a) - stats.Mean(b))
	parts := make([]float64, len(a))
	for i := range parts {
		parts[i] = scale * (a[i] - b[i])
	}
	if name == "rmse" {
		rootA, rootB := math.Sqrt(stats.Mean(a)), math.Sqrt(stats.Mean(b))
		if rootA == 0 || rootB == 0 {
			return nil // a perfect fit has no linear part
		}
		value = rootA - rootB
		for i := range parts {
			parts[i] = a[i]/(2*rootA) - b[i]/(2*rootB)
		}
	}
	n := float64(len(parts))
	half := stats.StudentQuantile((1+level)/2, n-1) * math.Sqrt(stats.Variance(parts, 1)/n)
	if math.IsNaN(half) || math.IsInf(half, 0) || math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &Difference{Value: value, Low: value - half, High: value + half, Rows: len(parts)}
}
