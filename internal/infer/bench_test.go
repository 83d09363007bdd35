package infer

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/modelyard/modelyard/internal/infer/tree"
)

// benchmarkEnsemble is 100 full trees of depth 6 over 30 features, the size used for the side-by-side runs of the
// serving research. missing is the share of NaN values. Rows vary: a single repeated row flatters by a factor.
func benchmarkEnsemble(b *testing.B, rows int, missing float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	const features, depth = 30, 6
	builder, err := tree.NewBuilder(features, 1, true)
	if err != nil {
		b.Fatal(err)
	}
	for range 100 {
		nodes := make([]tree.Node, 1<<(depth+1)-1)
		for i := range nodes {
			if i >= 1<<depth-1 {
				nodes[i] = tree.Node{Left: -1, Value: rng.NormFloat64()}
				continue
			}
			nodes[i] = tree.Node{
				Left: int32(2*i + 1), Right: int32(2*i + 2), Feature: int32(rng.IntN(features)),
				Threshold: rng.NormFloat64(), Strict: true, DefaultLeft: rng.IntN(2) == 0,
			}
		}
		if err := builder.Add(0, nodes); err != nil {
			b.Fatal(err)
		}
	}
	e, err := builder.Build([]float64{0})
	if err != nil {
		b.Fatal(err)
	}
	const pool = 4096
	columns := make([]tree.Column, features)
	for f := range columns {
		data := make([]float64, pool)
		for i := range data {
			data[i] = rng.NormFloat64()
			if rng.Float64() < missing {
				data[i] = math.NaN()
			}
		}
		columns[f] = tree.Column{Data: data, Stride: 1}
	}
	out := make([]float64, rows)
	window := make([]tree.Column, features)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		for f := range window {
			window[f] = tree.Column{Data: columns[f].Data[at : at+rows], Stride: 1}
		}
		if at += rows; at+rows > pool {
			at = 0
		}
		e.Predict(out, window, rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}

func BenchmarkTreesOneRow(b *testing.B)      { benchmarkEnsemble(b, 1, 0) }
func BenchmarkTreesOneRowNaN(b *testing.B)   { benchmarkEnsemble(b, 1, 0.2) }
func BenchmarkTreesThousand(b *testing.B)    { benchmarkEnsemble(b, 1000, 0) }
func BenchmarkTreesThousandNaN(b *testing.B) { benchmarkEnsemble(b, 1000, 0.2) }
