package lifecycle

import (
	"math"
	"testing"
)

func ptr(x float64) *float64 { return &x }

func TestJudge(t *testing.T) {
	t.Parallel()
	all := Checks{MaxErrorRate: ptr(0.02), MaxLatencyRatio: ptr(2), MaxMetricIncrease: ptr(0.05)}
	side := func(n, errors int64, p95 float64) Side {
		return Side{Count: n, Errors: errors, P95: p95, P95Low: p95 * 0.9, P95High: p95 * 1.1}
	}
	// losses makes a comparison of n labelled rows: champion's mean loss 50, the challenger's differs by d with the given spread.
	losses := func(n int64, d, std float64) Comparison {
		return Comparison{Labelled: n, Metric: "mae", ChampionLoss: 50, ChallengerLoss: 50 + d, DifferenceMean: d, DifferenceStd: std}
	}
	with := func(c Comparison, a, b Side) Comparison {
		c.Challenger, c.Champion, c.Paired = a, b, min(a.Count, b.Count)
		return c
	}
	for name, c := range map[string]struct {
		checks   Checks
		evidence Comparison
		look     int
		want     Verdict
		failing  string
	}{
		"good canary":               {all, with(losses(200, -20, 30), side(200, 0, 10), side(200, 0, 10)), 5, OK, ""},
		"as good, many rows":        {all, with(losses(5000, 0, 20), side(5000, 5, 10), side(5000, 5, 10)), 9, OK, ""},
		"no rows":                   {all, Comparison{}, 0, NotEnoughData, ""},
		"too few rows":              {all, with(losses(20, -20, 30), side(20, 0, 10), side(20, 0, 10)), 1, NotEnoughData, ""},
		"no labels yet":             {all, with(losses(0, 0, 0), side(200, 0, 10), side(200, 0, 10)), 1, NotEnoughData, ""},
		"fails every row, at once":  {all, with(losses(0, 0, 0), side(12, 12, 10), side(12, 0, 10)), 1, Fail, checkErrors},
		"fails one row in five":     {all, with(losses(200, -20, 30), side(200, 40, 10), side(200, 0, 10)), 5, Fail, checkErrors},
		"not looked at again":       {all, with(losses(200, -20, 30), side(200, 40, 10), side(200, 0, 10)), 0, Inconclusive, ""},
		"a few failures more":       {all, with(losses(200, -20, 30), side(100, 3, 10), side(100, 1, 10)), 4, Inconclusive, ""},
		"champion fails as much":    {all, with(losses(200, -20, 30), side(200, 30, 10), side(200, 30, 10)), 5, OK, ""},
		"slow":                      {all, with(losses(200, -20, 30), side(200, 0, 100), side(200, 0, 10)), 5, Fail, checkLatency},
		"slow, but for few rows":    {all, with(losses(200, -20, 30), side(200, 0, 23), side(200, 0, 10)), 5, Inconclusive, ""},
		"slower, but under 2 ms":    {all, with(losses(200, -20, 30), side(200, 0, 1.5), side(200, 0, 0.2)), 5, OK, ""},
		"worse on labelled rows":    {all, with(losses(200, 30, 30), side(200, 0, 10), side(200, 0, 10)), 5, Fail, checkMetric},
		"worse, on too few labels":  {all, with(losses(20, 30, 30), side(200, 0, 10), side(200, 0, 10)), 5, NotEnoughData, ""},
		"borderline":                {all, with(losses(200, 2.5, 30), side(200, 0, 10), side(200, 0, 10)), 5, Inconclusive, ""},
		"slightly worse, very sure": {all, with(losses(100_000, 4, 30), side(200, 0, 10), side(200, 0, 10)), 5, Fail, checkMetric},
		"error is not a number":     {all, with(losses(200, math.NaN(), 30), side(200, 0, 10), side(200, 0, 10)), 5, Fail, checkMetric},
		"errors only":               {Checks{MaxErrorRate: ptr(0)}, with(Comparison{}, side(60, 0, 0), side(60, 0, 0)), 2, OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks, got, err := judge(evidence{checks: c.checks, minSamples: 50, minLabelled: 30, step: c.evidence, whole: c.evidence, look: c.look})
			if err != nil || got != c.want {
				t.Fatalf("%s (%v), want %s: %+v", got, err, c.want, checks)
			}
			for _, k := range checks {
				if (k.Verdict == Fail) != (k.Name == c.failing) {
					t.Errorf("%s: %s (%s), the failing check should be %q", k.Name, k.Verdict, k.Note, c.failing)
				}
				if k.Note == "" {
					t.Errorf("%s says nothing", k.Name)
				}
			}
		})
	}
}

// TestLooksShareAlpha shows that testing as rows come in rarely condemns a version that fails as often as the champion.
func TestLooksShareAlpha(t *testing.T) {
	t.Parallel()
	state := uint64(1)
	fails := func() int64 { // one row in ten, by a linear congruential generator (Knuth, MMIX)
		state = state*6364136223846793005 + 1442695040888963407
		if state>>33%10 == 0 {
			return 1
		}
		return 0
	}
	condemned := 0
	const runs = 200
	for range runs {
		var a, b Side
		looks, at := 0, int64(0)
		for range 400 {
			a.Count, b.Count = a.Count+1, b.Count+1
			a.Errors, b.Errors = a.Errors+fails(), b.Errors+fails()
			look := 0
			if nextLook(looks, at, a.Count) {
				looks, at = looks+1, a.Count
				look = looks
			}
			c, err := judgeErrors(evidence{minSamples: 1000, step: Comparison{Champion: b, Challenger: a}, look: look}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if c.Verdict == Fail {
				condemned++
				break
			}
		}
	}
	if share := float64(condemned) / runs; share > alpha {
		t.Errorf("%.1f %% of equal versions were condemned, at most %.0f %% may be", share*100, alpha*100)
	}
}
