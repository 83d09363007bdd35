package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestTooFewIsACaseOfItsOwn(t *testing.T) {
	t.Parallel()
	checks := map[string]error{}
	_, checks["ks"] = KS(nil, []float64{1})
	_, checks["z"] = TwoProportionZ(0, 0, 1, 2, TwoSided)
	_, checks["welch"] = WelchT([]float64{1}, []float64{1, 2}, TwoSided)
	_, checks["paired"] = PairedT([]float64{1}, []float64{1}, TwoSided)
	_, checks["chi-square"] = ChiSquareGoodness([]float64{1}, []float64{1})
	_, checks["drift"] = ChiSquareDrift([]float64{0, 0}, []float64{1, 1})
	_, checks["contingency"] = ChiSquareContingency([][]float64{{1, 2}, {0, 0}})
	_, checks["wilson"] = Wilson(0, 0, 0.95)
	_, checks["bootstrap"] = PairedBootstrap([]float64{1}, []float64{1}, 100, 0.9, rand.New(rand.NewPCG(1, 1)))
	_, checks["sequence"] = ConfidenceSequence(1, 0, 1, 0.05, 100)
	for name, err := range checks {
		if !errors.Is(err, ErrTooFew) {
			t.Errorf("%s: got %v, want ErrTooFew", name, err)
		}
	}
	if _, err := TwoProportionZ(3, 2, 1, 2, TwoSided); !errors.Is(err, ErrInvalid) {
		t.Errorf("3 of 2: %v", err)
	}
	if _, err := WelchT([]float64{1, 2}, []float64{1, 3}, "sideways"); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown alternative: %v", err)
	}
	if !math.IsNaN(Mean(nil)) || !math.IsNaN(Quantile(nil, 0.5)) {
		t.Error("mean or quantile of nothing is a number")
	}
}

func TestPairedBootstrap(t *testing.T) {
	t.Parallel()
	data := rand.New(rand.NewPCG(1, 2))
	a, b := make([]float64, 200), make([]float64, 200)
	for i := range a {
		b[i] = data.NormFloat64()
		a[i] = b[i] + 0.5 + data.NormFloat64()
	}
	first, err := PairedBootstrap(a, b, 2000, 0.95, rand.New(rand.NewPCG(7, 7)))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := PairedBootstrap(a, b, 2000, 0.95, rand.New(rand.NewPCG(7, 7)))
	if first != again {
		t.Error("the same seed gave another answer")
	}
	// For 200 differences the percentile interval lies within a few per cent of Student's.
	diff := differences(a, b)
	half := StudentQuantile(0.975, 199) * Std(diff, 1) / math.Sqrt(200)
	if math.Abs(first.Interval.Low-(first.Mean-half)) > 0.15*half || math.Abs(first.Interval.High-(first.Mean+half)) > 0.15*half {
		t.Errorf("interval %+v, Student's is %v +- %v", first.Interval, first.Mean, half)
	}
	if first.PGreater > 0.01 {
		t.Errorf("a is greater, yet PGreater is %v", first.PGreater)
	}
}

// A judgement that is looked at after each of 3000 rows may fail an equal challenger in at most alpha of all streams.
func TestJudgePairedKeepsItsPromiseUnderPeeking(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	const streams, alpha = 400, 0.05
	verdicts := map[Verdict]int{}
	judge := func(mean, margin float64) Verdict {
		var n, sum, squares float64
		for range 3000 {
			x := mean + rng.NormFloat64()
			n, sum, squares = n+1, sum+x, squares+x*x
			m := sum / n
			j, err := JudgePaired(int64(n), m, math.Sqrt(squares/n-m*m), margin, alpha, 50)
			if err != nil {
				t.Fatal(err)
			}
			if n < 50 && j.Verdict != VerdictUndecided {
				t.Fatal("a verdict below the minimum")
			}
			if j.Verdict != VerdictUndecided {
				return j.Verdict
			}
		}
		return VerdictUndecided
	}
	for range streams {
		verdicts[judge(0, 0)]++
	}
	if wrong := verdicts[VerdictFail]; wrong > streams*alpha {
		t.Errorf("%d of %d equal challengers failed, allowed are %v", wrong, streams, streams*alpha)
	}
	for range 20 {
		if v := judge(0.5, 0); v != VerdictFail {
			t.Errorf("a worse challenger got %s", v)
		}
		if v := judge(-0.2, 0.1); v != VerdictPass {
			t.Errorf("a better challenger got %s", v)
		}
	}
}

func TestJudgeProportion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k1, n1, k2, n2 int64
		want           Verdict
	}{
		{0, 0, 0, 100, VerdictUndecided},
		{0, 20, 1, 1000, VerdictUndecided},
		{8, 20, 1, 1000, VerdictFail},
		{2, 1000, 4, 9000, VerdictPass},
		{60, 1000, 45, 9000, VerdictFail},
	} {
		j, err := JudgeProportion(c.k1, c.n1, c.k2, c.n2, 0.01, 0.01, 200)
		if err != nil || j.Verdict != c.want {
			t.Errorf("%+v: got %+v %v", c, j, err)
		}
	}
}

func TestJudgementIsJSONBeforeAnyRow(t *testing.T) {
	t.Parallel()
	j, err := JudgePaired(0, math.NaN(), math.NaN(), 0, 0.05, 50)
	if err != nil || j.Verdict != VerdictUndecided {
		t.Fatalf("%+v %v", j, err)
	}
	if _, err := json.Marshal(j); err != nil {
		t.Error(err)
	}
}

func TestLowerSequenceIsTighterThanTwoSided(t *testing.T) {
	t.Parallel()
	two, err := ConfidenceSequence(200, 1, 2, 0.05, 200)
	if err != nil {
		t.Fatal(err)
	}
	one, err := LowerConfidenceSequence(200, 1, 2, 0.05, 200)
	if err != nil || !(one > two.Low && one < 1) {
		t.Errorf("one-sided bound %v, two-sided %v, %v", one, two, err)
	}
	// Wider than the interval for one look, which is 1.96 s/sqrt(n), yet not twice as wide where it is tightest.
	fixed := 1.96 * 2 / math.Sqrt(200)
	if half := (two.High - two.Low) / 2; half <= fixed || half > 2*fixed {
		t.Errorf("half width %v, for one look %v", half, fixed)
	}
}

func BenchmarkKSExact(b *testing.B) {
	for b.Loop() {
		KSPValue(0.03, 5000, 4999)
	}
}
