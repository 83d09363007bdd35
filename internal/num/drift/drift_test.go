package drift

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/modelyard/modelyard/internal/num/sketch"
)

func normal(n int, mean float64, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = mean + rng.NormFloat64()
	}
	return out
}

func TestSortFloats(t *testing.T) {
	t.Parallel()
	xs := append(normal(5000, 0, 1), 0, math.Copysign(0, -1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-320, -1e-320)
	want := slices.Sorted(slices.Values(xs))
	SortFloats(xs)
	if !slices.Equal(xs, want) {
		t.Error("radix sort disagrees with slices.Sort")
	}
	same := slices.Repeat([]float64{3}, 1000)
	SortFloats(same)
	if same[0] != 3 || same[999] != 3 {
		t.Error("a constant column changed")
	}
}

func TestSampleLeavesOutMissing(t *testing.T) {
	t.Parallel()
	s := NewSample([]float64{2, math.NaN(), 1, math.Inf(1), 1})
	if s.Len() != 3 || s.Missing != 2 || s.Distinct != 2 || s.Mean != 4.0/3 {
		t.Errorf("%+v", s)
	}
	if _, err := Numeric(s, NewSample([]float64{math.NaN()}), Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty current: %v", err)
	}
	if _, err := Numeric(s, s, Options{Method: "magic"}); err == nil {
		t.Error("an unknown method was taken")
	}
	if _, err := Categorical(map[string]int64{"a": 1}, map[string]int64{"a": 1}, Options{Method: MethodKS}); err == nil {
		t.Error("KS of categories was taken")
	}
}

func TestSketchedDiscreteIsExact(t *testing.T) {
	t.Parallel()
	round := func(xs []float64) []float64 {
		for i := range xs {
			xs[i] = math.Round(xs[i] * 2)
		}
		return xs
	}
	// The current values leave the reference's range: the cells between known values keep the distance exact.
	ref, cur := round(normal(900, 0, 2)), round(normal(400, 1.5, 3))
	reference, window := sketches(t, ref, cur)
	if reference.Discrete == nil {
		t.Fatal("expected a discrete sketch")
	}
	for _, method := range []Method{MethodKS, MethodPSI, MethodJensenShannon, MethodKL, MethodChiSquare} {
		got, err := Sketched(reference, window, Options{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Numeric(NewSample(ref), NewSample(cur), Options{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if method == MethodKS && (math.Abs(got.Statistic-want.Statistic) > 1e-12 || got.Approximate) {
			t.Errorf("%s: got %+v, want %+v", method, got, want)
		}
		if got.Drifted != want.Drifted || got.Method != want.Method {
			t.Errorf("%s: got %+v, want %+v", method, got, want)
		}
	}
}

func TestSketchedHistogramComesNear(t *testing.T) {
	t.Parallel()
	for _, shift := range []float64{0, 0.05, 0.5, 3} {
		ref, cur := normal(20_000, 0, 4), normal(3000, shift, 5)
		reference, window := sketches(t, ref, cur)
		if reference.Histogram == nil {
			t.Fatal("expected a histogram")
		}
		pair := Merge(NewSample(ref).Sorted, NewSample(cur).Sorted)
		ks, err := Sketched(reference, window, Options{Method: MethodKS})
		if err != nil {
			t.Fatal(err)
		}
		if ks.Statistic > pair.KS+1e-12 || ks.Statistic < pair.KS-2.0/sketch.DefaultBins || !ks.Approximate {
			t.Errorf("shift %v: KS %v, exact %v", shift, ks.Statistic, pair.KS)
		}
		got, err := Sketched(reference, window, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Numeric(NewSample(ref), NewSample(cur), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Method != MethodWasserstein || got.Drifted != want.Drifted || math.Abs(got.Score-want.Score) > 0.02+0.02*want.Score {
			t.Errorf("shift %v: got %+v, want %+v", shift, got, want)
		}
		psi, err := Sketched(reference, window, Options{Method: MethodPSI})
		if err != nil || psi.Drifted != (shift >= 0.5) {
			t.Errorf("shift %v: PSI %+v %v", shift, psi, err)
		}
	}
}

func sketches(t *testing.T, ref, cur []float64) (reference, window *sketch.Column) {
	t.Helper()
	reference, err := sketch.NewNumeric(NewSample(ref).Sorted, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	window = reference.Empty()
	for _, x := range cur {
		window.AddFloat(x)
	}
	return reference, window
}

func TestSketchedCategories(t *testing.T) {
	t.Parallel()
	reference, err := sketch.NewCategorical([]string{"a", "a", "b", "b", "c"}, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	window := reference.Empty()
	for _, s := range []string{"a", "b", "b", "z"} {
		window.AddString(s)
	}
	got, err := Sketched(reference, window, Options{})
	want, _ := Categorical(map[string]int64{"a": 2, "b": 2, "c": 1}, map[string]int64{"a": 1, "b": 2, "z": 1}, Options{})
	if err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	number, _ := sketch.NewNumeric([]float64{1, 2}, 0, 0)
	if _, err := Sketched(reference, number, Options{}); !errors.Is(err, sketch.ErrIncompatible) {
		t.Errorf("categories against numbers: %v", err)
	}
}

func BenchmarkNumeric(b *testing.B) {
	reference := NewSample(normal(100_000, 0, 6))
	cur := normal(100_000, 0.1, 7)
	for b.Loop() {
		if _, err := Numeric(reference, NewSample(cur), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	xs := normal(100_000, 0, 8)
	spare := make([]float64, len(xs))
	for name, sort := range map[string]func([]float64){"radix": SortFloats, "slices": slices.Sort[[]float64]} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				copy(spare, xs)
				sort(spare)
			}
		})
	}
}
