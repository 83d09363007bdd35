package sketch

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func normal(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = rng.NormFloat64()
	}
	return out
}

func TestHistogramPutsEachValueInItsBin(t *testing.T) {
	t.Parallel()
	sorted := slices.Sorted(slices.Values(normal(5000, 1)))
	for _, edges := range [][]float64{
		{0, 1}, {0, 1, 2, 3}, {-1e300, 0, 1e-300, 1e300}, {0, 1e-9, 1, 1e9}, {-math.MaxFloat64, 0, math.MaxFloat64},
		QuantileEdges(sorted, 256), QuantileEdges([]float64{7, 7, 7}, 10), QuantileEdges([]float64{1e17, 1e17}, 10), {5, math.Nextafter(5, 6)},
	} {
		h, err := NewHistogram(edges)
		if err != nil {
			t.Fatal(err)
		}
		values := slices.Concat(normal(2000, 2), edges, []float64{-math.MaxFloat64, math.MaxFloat64, 0})
		for _, e := range edges {
			values = append(values, math.Nextafter(e, math.Inf(1)), math.Nextafter(e, math.Inf(-1)))
		}
		for _, x := range values {
			if x-x != 0 {
				continue
			}
			want := 0 // the plain definition, edge by edge
			for i, e := range edges {
				if x >= e {
					want = i + 1
				}
			}
			if x == edges[len(edges)-1] {
				want = len(edges) - 1
			}
			if got := h.cell(x); got != want {
				t.Fatalf("%v lands in cell %d, want %d", x, got, want)
			}
		}
	}
}

func TestMergedIsWhole(t *testing.T) {
	t.Parallel()
	values := append(normal(4000, 3), math.NaN(), math.Inf(1))
	sorted := slices.Sorted(slices.Values(values[:4000]))
	rounded := make([]float64, len(sorted))
	for i, x := range sorted {
		rounded[i] = math.Round(x * 4)
	}
	fine, err := NewNumeric(sorted, 0, 64)
	if err != nil || fine.Histogram == nil {
		t.Fatal(err, fine)
	}
	few, err := NewNumeric(rounded, 0, 0)
	if err != nil || few.Discrete == nil {
		t.Fatal(err, few)
	}
	names, err := NewCategorical([]string{"a", "b", "a", "c"}, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []*Column{fine, few, names} {
		whole, left, right := reference.Empty(), reference.Empty(), reference.Empty()
		for i, x := range values {
			part := left
			if i%3 == 0 {
				part = right
			}
			for _, c := range []*Column{whole, part} {
				if c.Numeric() {
					c.AddFloat(math.Round(x*8) / 2)
				} else {
					c.AddString([]string{"a", "b", "d", "e"}[i%4])
				}
			}
		}
		if err := left.Merge(right); err != nil {
			t.Fatal(err)
		}
		if left.Count() != whole.Count() || left.Missing() != whole.Missing() || left.Unseen() != whole.Unseen() {
			t.Errorf("merged %d/%d/%d, whole %d/%d/%d", left.Count(), left.Missing(), left.Unseen(), whole.Count(), whole.Missing(), whole.Unseen())
		}
		a, b := left.Moments(), whole.Moments()
		if math.Abs(a.Mean()-b.Mean()) > 1e-12 || whole.Numeric() && math.Abs(a.Std(1)-b.Std(1)) > 1e-12 {
			t.Errorf("moments %+v, want %+v", a, b)
		}
		text, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		var back Column
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(&back); string(again) != string(text) {
			t.Errorf("JSON came back as %s, want %s", again, text)
		}
		if err := back.Merge(whole); err != nil || back.Count() != 2*whole.Count() {
			t.Errorf("a sketch from JSON does not go on: %v", err)
		}
	}
	if err := fine.Merge(few); !errors.Is(err, ErrIncompatible) {
		t.Errorf("merging different kinds: %v", err)
	}
	other, _ := NewHistogram([]float64{0, 1})
	if err := fine.Histogram.Merge(other); !errors.Is(err, ErrIncompatible) {
		t.Errorf("merging different edges: %v", err)
	}
}

func TestJSONRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `{"histogram":{"edges":[0],"counts":[]}}`, `{"histogram":{"edges":[0,1],"counts":[-1],"moments":{"n":-1}}}`,
		`{"histogram":{"edges":[0,1],"counts":[2],"moments":{"n":1}}}`, `{"histogram":{"edges":[1,0],"counts":[0]}}`,
		`{"discrete":{"values":[1],"cells":[0]}}`, `{"categories":{"limit":1,"counts":{"a":1,"b":1}}}`, `{"categories":{"limit":0}}`,
		`{"categories":{"limit":3,"counts":{"a":-1}}}`,
		`{"categories":{"limit":3,"counts":{}},"discrete":{"values":[1],"cells":[0,0,0]}}`,
	} {
		var c Column
		if err := json.Unmarshal([]byte(text), &c); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	var l Latency
	for _, text := range []string{`{"cells":{"-1":1}}`, `{"cells":{"99999":1}}`, `{"cells":{"1":-1}}`, `{"max_us":-5}`} {
		if err := json.Unmarshal([]byte(text), &l); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestHistogramQuantile(t *testing.T) {
	t.Parallel()
	sorted := slices.Sorted(slices.Values(normal(20_000, 4)))
	c, err := NewNumeric(sorted, 0, 256)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.999, 1} {
		got, want := c.Histogram.Quantile(q), sorted[int(q*float64(len(sorted)-1))]
		if rank, _ := slices.BinarySearch(sorted, got); math.Abs(float64(rank)/float64(len(sorted))-q) > 1.0/256 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}

func TestLatencyQuantiles(t *testing.T) {
	t.Parallel()
	var a, b Latency
	rng := rand.New(rand.NewPCG(5, 5))
	all := make([]time.Duration, 20_000)
	for i := range all {
		all[i] = time.Duration(math.Exp(rng.NormFloat64()*2+8)) * time.Microsecond
		if i%2 == 0 {
			a.Add(all[i])
		} else {
			b.Add(all[i])
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
		if got := a.Quantile(q); math.Abs(float64(got-want)) > 0.016*float64(want)+float64(time.Microsecond) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if a.Count() != 20_000 || a.Max() != all[len(all)-1] {
		t.Errorf("count %d, max %v", a.Count(), a.Max())
	}
	text, err := json.Marshal(&a)
	if err != nil {
		t.Fatal(err)
	}
	var back Latency
	if err := json.Unmarshal(text, &back); err != nil || back != a {
		t.Errorf("latency does not come back from JSON: %v", err)
	}
	a.Add(-time.Second)
	a.Add(math.MaxInt64)
	for us := int64(0); us < 1<<40; us = us*9/8 + 1 {
		if from, to := latencyBounds(latencyCell(us)); us < from || us >= to {
			t.Fatalf("%d us is counted in %d..%d", us, from, to)
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	c, err := NewNumeric(slices.Sorted(slices.Values(normal(5000, 6))), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	names, err := NewCategorical([]string{"winter", "summer"}, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	var l Latency
	x := 0.1
	if n := testing.AllocsPerRun(100, func() {
		x += 0.01
		c.AddFloat(x)
		names.AddString("summer")
		names.AddString("autumn")
		l.Add(time.Duration(x * 1e6))
	}); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	values := normal(4096, 7)
	for name, bins := range map[string]int{"256": 256, "2048": 2048} {
		b.Run(name, func(b *testing.B) {
			h, err := NewHistogram(QuantileEdges(slices.Sorted(slices.Values(normal(100_000, 8))), bins))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.Add(values[i&4095])
			}
		})
	}
}

func BenchmarkLatencyAdd(b *testing.B) {
	var l Latency
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Add(time.Duration(i&0xfffff) * time.Microsecond)
	}
}
