package evaluation

import (
	"math"
	"testing"
)

// Expected values: scipy 1.17.1, stats.ttest_rel(a, b).confidence_interval(0.95) of the losses; rmse by the same formula in numpy, and
// within 0.05 of a paired bootstrap of 20,000 draws.
func TestDifferenceOfPairedScores(t *testing.T) {
	t.Parallel()
	actual := []float64{3, 5, 8, 1, 9, 4, 7, 2, 6, 10}
	of := func(p ...float64) *scored {
		s, err := score(truth{task: Regression, numbers: actual}, predictions{numbers: p})
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	a, b := of(2.5, 5.5, 7, 1.5, 9.5, 4, 6.5, 2.5, 6.5, 9), of(4, 4, 9.5, 0, 7, 5.5, 8.5, 1, 4.5, 12)
	for name, want := range map[string][3]float64{
		"mae":  {-0.8499999999999999, -1.1444668707932433, -0.5555331292067567},
		"mse":  {-1.725, -2.4858553000920494, -0.9641446999079508},
		"r2":   {0.2090909090909091, 0.11686602423126677, 0.3013157939505514},
		"rmse": {-0.8367652389231495, -1.107466298541562, -0.566064179304737},
	} {
		d := difference(name, a, b)
		if d == nil || d.Rows != 10 {
			t.Fatalf("%s: %+v", name, d)
		}
		for i, got := range []float64{d.Value, d.Low, d.High} {
			if math.Abs(got-want[i]) > 1e-12 {
				t.Errorf("%s %d: got %v, want %v", name, i, got, want[i])
			}
		}
		if got := a.metrics[name] - b.metrics[name]; math.Abs(got-d.Value) > 1e-12 {
			t.Errorf("%s: the difference of the metrics is %v, of the interval %v", name, got, d.Value)
		}
	}
	if d := difference("max_error", a, b); d != nil {
		t.Errorf("a metric that is no mean has no such interval: %+v", d)
	}
	if d := difference("mae", a, a); d == nil || d.Value != 0 || d.Low != 0 || d.High != 0 {
		t.Errorf("equal predictions differ by nothing: %+v", d)
	}
}

func TestDifferenceOfAccuracyHasItsSign(t *testing.T) {
	t.Parallel()
	of := func(labels ...string) *scored {
		s, err := score(truth{task: Classification, labels: []string{"a", "a", "b", "b", "a", "b", "a", "b"}}, predictions{labels: labels})
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	d := difference("accuracy", of("a", "a", "b", "b", "a", "b", "a", "a"), of("a", "b", "a", "b", "b", "b", "a", "a"))
	if d == nil || math.Abs(d.Value-0.375) > 1e-12 || d.Low > d.Value || d.High < d.Value || d.Low >= d.High {
		t.Fatalf("%+v", d)
	}
}
