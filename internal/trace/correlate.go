package trace

import (
	"context"
	"math"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Correlation says how often two filters hold together. NPMI is the normalized pointwise mutual information, from -1 (never together) to 1
// (always together); NaN when it is not defined because a filter never holds. Smoothed adds half a count to every cell.
type Correlation struct {
	First, Second, Joint, Total int64
	NPMI, Smoothed              float64
}

// maxCorrelated bounds the traces that one correlation looks at.
const maxCorrelated = 200_000

// Correlate counts the traces of experiments that pass base, and of those the ones that pass first, second and both. Kinds: Invalid,
// Exhausted when there are too many traces.
func (s *Service) Correlate(ctx context.Context, experiments []string, first, second, base string) (Correlation, error) {
	a, err := parseFilter(first)
	if err != nil {
		return Correlation{}, err
	}
	b, err := parseFilter(second)
	if err != nil {
		return Correlation{}, err
	}
	p, err := s.plan(ctx, Query{ExperimentIDs: experiments, Filter: base})
	if err != nil {
		return Correlation{}, err
	}
	var out Correlation
	const step = 1000
	for seen := 0; ; seen += step {
		if seen >= maxCorrelated {
			return out, errs.E(errs.Exhausted, "trace.correlate", "there are too many traces to correlate", nil).WithHint("narrow them with base_filter, for example by timestamp_ms")
		}
		chunk, err := s.st.chunk(ctx, p, p.from, step)
		if err != nil {
			return out, err
		}
		more := len(chunk) == step
		if len(chunk) > 0 {
			p.from = p.values(&chunk[len(chunk)-1])
		}
		kept, err := s.filterTraces(ctx, p.tree, chunk)
		if err != nil {
			return out, err
		}
		if err := s.count(ctx, &out, kept, a, b); err != nil {
			return out, err
		}
		if !more {
			break
		}
	}
	out.NPMI, out.Smoothed = npmi(out, 0), npmi(out, .5)
	return out, nil
}

func (s *Service) count(ctx context.Context, out *Correlation, kept []Trace, a, b node) error {
	inA, err := s.filterTraces(ctx, a, append([]Trace(nil), kept...))
	if err != nil {
		return err
	}
	inB, err := s.filterTraces(ctx, b, append([]Trace(nil), kept...))
	if err != nil {
		return err
	}
	has := make(map[string]bool, len(inA))
	for i := range inA {
		has[inA[i].ID] = true
	}
	for i := range inB {
		if has[inB[i].ID] {
			out.Joint++
		}
	}
	out.Total += int64(len(kept))
	out.First += int64(len(inA))
	out.Second += int64(len(inB))
	return nil
}

// npmi is log(p(a,b) / (p(a) p(b))) / -log p(a,b) (Bouma 2009), with k added to each of the four cells.
func npmi(c Correlation, k float64) float64 {
	n := float64(c.Total) + 4*k
	a, b, joint := float64(c.First)+2*k, float64(c.Second)+2*k, float64(c.Joint)+k
	switch {
	case c.Total == 0 || a == 0 || b == 0:
		return math.NaN()
	case joint == 0:
		return -1
	case joint == n:
		return 1
	}
	return max(-1, min(1, math.Log(joint*n/(a*b))/-math.Log(joint/n)))
}
