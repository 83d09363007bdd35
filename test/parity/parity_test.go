package parity

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/modelyard/modelyard/internal/num/drift"
	"github.com/modelyard/modelyard/internal/num/metric"
	"github.com/modelyard/modelyard/internal/num/stats"
)

// number reads what the script writes: JSON numbers, and "nan", "inf", "-inf" as texts.
type number float64

func (n *number) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	x, err := strconv.ParseFloat(text, 64)
	*n = number(x)
	return err
}

func floats(ns []number) []float64 {
	out := make([]float64, len(ns))
	for i, n := range ns {
		out[i] = float64(n)
	}
	return out
}

func load[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no case", name)
	}
	return cases
}

// same fails unless got is within relative or absolute tolerance of want.
func same(t *testing.T, what string, got, want, relative, absolute float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) || got == want {
		return
	}
	if difference := math.Abs(got - want); !(difference <= relative*math.Abs(want)+absolute) {
		t.Errorf("%s: got %v, want %v (relative difference %.2g)", what, got, want, difference/math.Abs(want))
	}
}

type verdict struct {
	Method    string
	Score     number
	Drifted   bool
	Threshold number
}

func TestDriftOfNumbers(t *testing.T) {
	t.Parallel()
	type vector struct {
		Name               string
		Reference, Current []float64
		KS                 number
		KSP                number `json:"ks_p"`
		Wasserstein        number
		Default            verdict
		Evidently          map[string]verdict
	}
	for _, v := range load[vector](t, "drift_numeric.json") {
		r, c := drift.NewSample(v.Reference), drift.NewSample(v.Current)
		test, err := stats.KS(r.Sorted, c.Sorted)
		if err != nil {
			t.Fatal(err)
		}
		// The statistic is a difference of two quotients; scipy makes them in another order.
		same(t, v.Name+" ks", test.Statistic, float64(v.KS), 1e-14, 1e-16)
		same(t, v.Name+" ks p", test.PValue, float64(v.KSP), 1e-11, 1e-15)
		same(t, v.Name+" wasserstein", drift.Merge(r.Sorted, c.Sorted).Wasserstein, float64(v.Wasserstein), 1e-12, 0)
		checkVerdict(t, v.Name, v.Default, func(o drift.Options) (drift.Result, error) { return drift.Numeric(r, c, o) }, true)
		for method, want := range v.Evidently {
			want.Method = method
			checkVerdict(t, v.Name, want, func(o drift.Options) (drift.Result, error) { return drift.Numeric(r, c, o) }, false)
		}
	}
}

func TestDriftOfCategories(t *testing.T) {
	t.Parallel()
	type vector struct {
		Name               string
		Reference, Current map[string]int64
		Default            verdict
		Evidently          map[string]verdict
		JS2, TV            number
	}
	for _, v := range load[vector](t, "drift_categorical.json") {
		measure := func(o drift.Options) (drift.Result, error) { return drift.Categorical(v.Reference, v.Current, o) }
		checkVerdict(t, v.Name, v.Default, measure, true)
		for method, want := range v.Evidently {
			want.Method = method
			checkVerdict(t, v.Name, want, measure, false)
		}
		got, err := measure(drift.Options{Method: drift.MethodTotalVariation})
		if err != nil {
			t.Fatal(err)
		}
		same(t, v.Name+" total variation", got.Score, float64(v.TV), 1e-13, 1e-16)
		var p, q []float64
		for k := range union(v.Reference, v.Current) {
			p, q = append(p, float64(v.Reference[k])), append(q, float64(v.Current[k]))
		}
		same(t, v.Name+" js base 2", drift.JensenShannon(p, q, 2), float64(v.JS2), 1e-9, 1e-8)
	}
}

func union(a, b map[string]int64) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// checkVerdict compares score and verdict. Scores agree to 1e-9; Jensen-Shannon takes the root of a sum that cancels, so that near zero
// only 1e-8 absolute is attainable, and Evidently takes 2 (1 - cdf) where we keep the tail, hence 1e-15.
func checkVerdict(t *testing.T, name string, want verdict, measure func(drift.Options) (drift.Result, error), isDefault bool) {
	t.Helper()
	o := drift.Options{Method: drift.Method(want.Method)}
	if isDefault {
		o.Method = ""
	}
	got, err := measure(o)
	if err != nil {
		t.Errorf("%s %s: %v", name, want.Method, err)
		return
	}
	if math.IsNaN(float64(want.Score)) {
		want.Score = 1 // Evidently's chi-square of a single category has no degree of freedom; we say that nothing drifted
	}
	absolute := 1e-15
	if want.Method == "jensenshannon" {
		absolute = 1e-8
	}
	same(t, name+" "+want.Method, got.Score, float64(want.Score), 1e-9, absolute)
	if string(got.Method) != want.Method || got.Drifted != want.Drifted {
		t.Errorf("%s: got %s drifted=%v, want %s drifted=%v", name, got.Method, got.Drifted, want.Method, want.Drifted)
	}
	if isDefault {
		same(t, name+" threshold", got.Threshold, float64(want.Threshold), 0, 0)
	}
}

func TestSturgesEdges(t *testing.T) {
	t.Parallel()
	type vector struct {
		Name      string
		Low, High float64
		N         int
		Edges     []float64
	}
	for _, v := range load[vector](t, "sturges.json") {
		got := drift.SturgesEdges(v.Low, v.High, v.N)
		if len(got) != len(v.Edges) {
			t.Errorf("%s: %d edges, want %d", v.Name, len(got), len(v.Edges))
			continue
		}
		for i, want := range v.Edges {
			same(t, v.Name, got[i], want, 0, 0) // the very same floats, or values at an edge change bins
		}
	}
}

func TestDistributions(t *testing.T) {
	t.Parallel()
	type vector struct {
		F     string
		Args  []float64
		Value number
	}
	functions := map[string]func(a []float64) float64{
		"normal_cdf":       func(a []float64) float64 { return stats.NormalCDF(a[0]) },
		"normal_sf":        func(a []float64) float64 { return stats.NormalSF(a[0]) },
		"normal_quantile":  func(a []float64) float64 { return stats.NormalQuantile(a[0]) },
		"chi2_sf":          func(a []float64) float64 { return stats.ChiSquareSF(a[0], a[1]) },
		"gamma_q":          func(a []float64) float64 { return stats.GammaQ(a[0], a[1]) },
		"gamma_p":          func(a []float64) float64 { return stats.GammaP(a[0], a[1]) },
		"beta_i":           func(a []float64) float64 { return stats.BetaI(a[0], a[1], a[2]) },
		"student_sf":       func(a []float64) float64 { return stats.StudentSF(a[0], a[1]) },
		"student_quantile": func(a []float64) float64 { return stats.StudentQuantile(a[0], a[1]) },
		"kolmogorov_sf":    func(a []float64) float64 { return stats.KolmogorovSF(a[0], int(a[1])) },
		"smirnov_sf":       func(a []float64) float64 { return stats.SmirnovSF(a[0], int(a[1])) },
		"ks_p":             func(a []float64) float64 { return stats.KSPValue(a[0], int(a[1]), int(a[2])) },
	}
	for _, v := range load[vector](t, "distributions.json") {
		f, ok := functions[v.F]
		if !ok {
			t.Fatalf("no function %q", v.F)
		}
		name := v.F
		for _, a := range v.Args {
			name += " " + strconv.FormatFloat(a, 'g', -1, 64)
		}
		// 1e-9 relative down to 1e-290, where neither side promises digits.
		same(t, name, f(v.Args), float64(v.Value), 1e-9, 1e-290)
	}
}

func TestTests(t *testing.T) {
	t.Parallel()
	type vector struct {
		F    string
		Args struct {
			A, B, Q        []float64
			Table          [][]float64
			K1, N1, K2, N2 int64
			Level          float64
			Alternative    stats.Alternative
		}
		Value []number
	}
	for _, v := range load[vector](t, "tests.json") {
		a := v.Args
		var got []float64
		var err error
		switch v.F {
		case "describe":
			d := stats.Describe(a.A)
			got = []float64{d.Mean, d.Variance, d.Skewness, d.Kurtosis, stats.Std(a.A, 0)}
		case "quantile":
			got = stats.Quantiles(a.A, a.Q...)
		case "chi2_goodness":
			var r stats.ChiSquareResult
			r, err = stats.ChiSquareGoodness(a.A, a.B)
			got = []float64{r.Statistic, r.PValue}
		case "chi2_contingency":
			var r stats.ChiSquareResult
			r, err = stats.ChiSquareContingency(a.Table)
			got = []float64{r.Statistic, r.PValue, float64(r.DF)}
		case "two_proportion_z":
			var r stats.ZResult
			r, err = stats.TwoProportionZ(a.K1, a.N1, a.K2, a.N2, a.Alternative)
			got = []float64{r.Statistic, r.PValue}
		case "fisher":
			var p float64
			p, err = stats.FisherExact(a.K1, a.N1, a.K2, a.N2, a.Alternative)
			got = []float64{p}
		case "newcombe":
			var i stats.Interval
			i, err = stats.NewcombeDifference(a.K1, a.N1, a.K2, a.N2, 0.95)
			got = []float64{i.Low, i.High}
		case "wilson":
			var i stats.Interval
			i, err = stats.Wilson(a.K1, a.N1, a.Level)
			got = []float64{i.Low, i.High}
		case "welch", "paired":
			test := stats.WelchT
			if v.F == "paired" {
				test = stats.PairedT
			}
			var r stats.TResult
			r, err = test(a.A, a.B, a.Alternative)
			got = []float64{r.Statistic, r.PValue, r.DF}
		case "benjamini_hochberg":
			got = stats.BenjaminiHochberg(a.A)
		default:
			t.Fatalf("no function %q", v.F)
		}
		if err != nil || len(got) != len(v.Value) {
			t.Errorf("%s: %v %v", v.F, got, err)
			continue
		}
		for i, want := range floats(v.Value) {
			same(t, v.F+" "+strconv.Itoa(i), got[i], want, 1e-9, 1e-15)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	type vector struct {
		Kind              string
		Truth, Prediction json.RawMessage
		Positive          []bool
		Score             []float64
		Confusion         [][]int
		Value             map[string]number
	}
	for _, v := range load[vector](t, "metrics.json") {
		got := map[string]float64{}
		switch v.Kind {
		case "regression":
			r, err := metric.NewRegression(decode[[]float64](t, v.Truth), decode[[]float64](t, v.Prediction))
			if err != nil {
				t.Fatal(err)
			}
			got = map[string]float64{"mae": r.MAE, "rmse": r.RMSE, "mape": r.MAPE, "r2": r.R2, "bias": r.Bias}
		case "classification":
			c, err := metric.NewClassification(decode[[]string](t, v.Truth), decode[[]string](t, v.Prediction))
			if err != nil {
				t.Fatal(err)
			}
			got = c.Map()
			for i, row := range v.Confusion {
				for j, n := range row {
					same(t, "confusion", float64(c.Confusion[i][j]), float64(n), 0, 0)
				}
			}
		case "scores":
			for name, f := range map[string]func([]bool, []float64) (float64, error){"auc": metric.AUC, "log_loss": metric.LogLoss, "brier": metric.Brier} {
				x, err := f(v.Positive, v.Score)
				if err != nil {
					t.Fatal(err)
				}
				got[name] = x
			}
		}
		for name, want := range v.Value {
			x, ok := got[name]
			if !ok {
				t.Errorf("%s has no %s", v.Kind, name)
			}
			same(t, v.Kind+" "+name, x, float64(want), 1e-12, 1e-15)
		}
	}
}

func decode[T any](t *testing.T, data json.RawMessage) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
