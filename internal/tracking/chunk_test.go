package tracking

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func randomPoints(r *rand.Rand, n int, wide bool) []Point {
	out := make([]Point, n)
	at := int64(1_700_000_000_000)
	for i := range out {
		at += r.Int64N(2000)
		v := float64(float32(r.NormFloat64()))
		if wide {
			v = r.NormFloat64()
		}
		out[i] = Point{Step: int64(i) - r.Int64N(3), Time: at, Value: v}
	}
	return out
}

func TestChunkRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for name, points := range map[string][]Point{
		"one":      {{Step: -5, Time: -1, Value: math.NaN()}},
		"extremes": {{math.MinInt64, math.MaxInt64, math.Inf(-1)}, {math.MaxInt64, math.MinInt64, math.MaxFloat64}, {0, 0, math.SmallestNonzeroFloat64}},
		"narrow":   randomPoints(r, 1000, false),
		"wide":     randomPoints(r, 1000, true),
		"negative": {{0, 0, math.Copysign(0, -1)}},
	} {
		b := encodeChunk(points)
		got, err := decodeChunk(b, []Point{{Step: 7}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(append([]Point{{Step: 7}}, points...), got, cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if name == "narrow" && len(b) > 8*len(points) {
			t.Errorf("a point with a float32 value takes %d bytes", len(b)/len(points))
		}
		for cut := range min(len(b), 64) {
			if _, err := decodeChunk(b[:cut], nil); err == nil {
				t.Errorf("%s: cut to %d bytes is accepted", name, cut)
			}
		}
	}
}

// FuzzDecodeChunk: damaged bytes give an error, never a panic or a huge allocation.
func FuzzDecodeChunk(f *testing.F) {
	f.Add(encodeChunk([]Point{{1, 2, 3}, {2, 3, 0.1}}))
	f.Add([]byte{chunk32, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		points, err := decodeChunk(b, nil)
		if err == nil && len(points) > len(b) {
			t.Fatalf("%d points from %d bytes", len(points), len(b))
		}
	})
}

func TestDownsample(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	points := randomPoints(r, 10_000, true)
	points[1234].Value, points[4321].Value, points[5000].Value = 1e9, -1e9, math.NaN()
	got := Downsample(points, 1000)
	if len(got) > 1000 || len(got) < 900 {
		t.Fatalf("%d points", len(got))
	}
	hi, lo := math.Inf(-1), math.Inf(1)
	for i, p := range got {
		hi, lo = max(hi, p.Value), min(lo, p.Value)
		if i > 0 && p.Time < got[i-1].Time {
			t.Fatalf("point %d is out of order", i)
		}
	}
	if hi != 1e9 || lo != -1e9 {
		t.Errorf("peaks are lost: %v %v", lo, hi)
	}
	if got := Downsample(points[:10], 1000); len(got) != 10 {
		t.Errorf("few points must stay as they are, got %d", len(got))
	}
	gap := make([]Point, 100)
	for i := range gap {
		gap[i].Value = math.NaN()
	}
	if got := Downsample(gap, 10); len(got) != 5 || !math.IsNaN(got[0].Value) {
		t.Errorf("a gap must stay visible: %v", got)
	}
	if got := Downsample(points, 0); len(got) != 2 {
		t.Errorf("the least is two, got %d", len(got))
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	got := tidy([]Point{{2, 20, 1}, {1, 10, 1}, {2, 20, 1}, {1, 10, nan}, {1, 10, nan}, {0, 10, 5}})
	want := []Point{{0, 10, 5}, {1, 10, nan}, {1, 10, 1}, {2, 20, 1}}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
}

func BenchmarkEncodeChunk(b *testing.B) {
	points := randomPoints(rand.New(rand.NewPCG(1, 2)), 1024, true)
	for b.Loop() {
		encodeChunk(points)
	}
}
