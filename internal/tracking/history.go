package tracking

import (
	"cmp"
	"math"
	"slices"
)

// tidy puts points into the order of MLflow's histories (time, step, value) and drops exact repeats, which a client's retry leaves.
func tidy(points []Point) []Point {
	order := func(a, b Point) int { // no cmp.Or: it would compare all three for each of a million points
		if a.Time != b.Time {
			return cmp.Compare(a.Time, b.Time)
		}
		if a.Step != b.Step {
			return cmp.Compare(a.Step, b.Step)
		}
		return cmp.Compare(a.Value, b.Value)
	}
	if !slices.IsSortedFunc(points, order) {
		slices.SortFunc(points, order)
	}
	return slices.CompactFunc(points, func(a, b Point) bool { return order(a, b) == 0 })
}

// Downsample keeps at most most points for a chart: it splits them by position into most/2 buckets and keeps the smallest and the
// largest value of each, in their order, so that no peak is lost. NaN never counts as a peak, but a bucket of nothing else keeps its
// first one, so that a gap stays visible. Points must be in the order of the chart; most is at least 2.
func Downsample(points []Point, most int) []Point {
	most = max(most, 2)
	if len(points) <= most {
		return points
	}
	buckets := most / 2
	out := make([]Point, 0, 2*buckets)
	for b := range buckets {
		from, to := b*len(points)/buckets, (b+1)*len(points)/buckets
		lo, hi := -1, -1
		for i := from; i < to; i++ {
			v := points[i].Value
			if math.IsNaN(v) {
				continue
			}
			if lo < 0 || v < points[lo].Value {
				lo = i
			}
			if hi < 0 || v > points[hi].Value {
				hi = i
			}
		}
		switch {
		case lo < 0:
			out = append(out, points[from])
		case lo == hi:
			out = append(out, points[lo])
		default:
			out = append(out, points[min(lo, hi)], points[max(lo, hi)])
		}
	}
	return out
}

// byStep is the order of charts. Most histories are in it already.
func byStep(points []Point) {
	order := func(a, b Point) int {
		if a.Step != b.Step {
			return cmp.Compare(a.Step, b.Step)
		}
		return cmp.Compare(a.Time, b.Time)
	}
	if !slices.IsSortedFunc(points, order) {
		slices.SortStableFunc(points, order)
	}
}
