package sketch

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// MaxBins bounds the bins of one histogram.
const MaxBins = 65_536

// Histogram counts values between ascending edges: bin i holds edges[i] <= x < edges[i+1], the last also its right edge (numpy.histogram).
// What lies outside is counted apart as under and over, NaN and infinities as missing.
type Histogram struct {
	edges []float64
	cells []int64 // under, the bins, over
	miss  int64
	total Moments
	first []int32 // for each 1/len(first) of the range, a cell to start the search at; nil when the range is not finite
	scale float64
}

// NewHistogram counts on the given edges, which must be finite, strictly ascending, and 2..MaxBins+1 many.
func NewHistogram(edges []float64) (*Histogram, error) {
	if len(edges) < 2 || len(edges) > MaxBins+1 {
		return nil, fmt.Errorf("sketch: a histogram needs 2 to %d edges, got %d", MaxBins+1, len(edges))
	}
	for i, e := range edges {
		if math.IsNaN(e) || math.IsInf(e, 0) || i > 0 && e <= edges[i-1] {
			return nil, fmt.Errorf("sketch: edges must be finite and strictly ascending, edge %d is %v", i, e)
		}
	}
	h := &Histogram{edges: slices.Clone(edges), cells: make([]int64, len(edges)+1)}
	h.index()
	return h, nil
}

// QuantileEdges are up to bins+1 edges that hold about equal shares of an ascending sample without NaN; fewer where values
// repeat. A constant sample gets one bin around its value. Nil when the sample is empty or bins < 1.
func QuantileEdges(sorted []float64, bins int) []float64 {
	if len(sorted) == 0 || bins < 1 {
		return nil
	}
	bins = min(bins, MaxBins)
	edges := make([]float64, 0, bins+1)
	for i := range bins + 1 {
		at := int(float64(i) / float64(bins) * float64(len(sorted)-1))
		if x := sorted[at]; len(edges) == 0 || x > edges[len(edges)-1] {
			edges = append(edges, x)
		}
	}
	if len(edges) == 1 {
		x := edges[0]
		return []float64{min(x-0.5, math.Nextafter(x, math.Inf(-1))), max(x+0.5, math.Nextafter(x, math.Inf(1)))}
	}
	return edges
}

// index builds the table that turns a value into the neighbourhood of its bin.
func (h *Histogram) index() {
	low, high := h.edges[0], h.edges[len(h.edges)-1]
	slots := 2 * (len(h.edges) - 1)
	h.scale = float64(slots) / (high - low)
	if math.IsInf(high-low, 0) || math.IsInf(h.scale, 0) {
		return
	}
	h.first = make([]int32, slots+2)
	edge := 0
	for s := range h.first {
		for edge < len(h.edges)-2 && (h.edges[edge+1]-low)*h.scale < float64(s) {
			edge++
		}
		h.first[s] = int32(edge)
	}
}

// Add counts one value.
func (h *Histogram) Add(x float64) {
	if x-x != 0 { // NaN or infinite
		h.miss++
		return
	}
	h.total.Add(x)
	h.cells[h.cell(x)]++
}

// AddMissing counts one absent value.
func (h *Histogram) AddMissing() { h.miss++ }

// cell is the index into cells: 0 under, 1.. the bins, len(edges) over.
func (h *Histogram) cell(x float64) int {
	last := len(h.edges) - 1
	switch {
	case x < h.edges[0]:
		return 0
	case x > h.edges[last]:
		return last + 1
	case x == h.edges[last]:
		return last
	}
	low, high := 0, last
	if h.first != nil {
		slot := int((x - h.edges[0]) * h.scale)
		low, high = int(h.first[slot]), min(int(h.first[slot+1])+1, last)
	}
	for high-low > 1 {
		mid := int(uint(low+high) >> 1)
		if h.edges[mid] <= x {
			low = mid
		} else {
			high = mid
		}
	}
	return low + 1
}

// Merge adds the counts of other; ErrIncompatible when its edges differ.
func (h *Histogram) Merge(other *Histogram) error {
	if other == nil || !slices.Equal(h.edges, other.edges) {
		return ErrIncompatible
	}
	for i, c := range other.cells {
		h.cells[i] += c
	}
	h.miss += other.miss
	h.total.Merge(other.total)
	return nil
}

// Empty is a histogram on the same edges that has seen nothing.
func (h *Histogram) Empty() *Histogram {
	return &Histogram{edges: h.edges, cells: make([]int64, len(h.cells)), first: h.first, scale: h.scale}
}

// Edges are the edges; not to be changed.
func (h *Histogram) Edges() []float64 { return h.edges }

// Bins are the counts between the edges, without under and over.
func (h *Histogram) Bins() []int64 { return slices.Clone(h.cells[1 : len(h.cells)-1]) }

// Cells are all counts: under the first edge, the bins, over the last edge.
func (h *Histogram) Cells() []int64 { return slices.Clone(h.cells) }

// Under and Over count the values outside the edges.
func (h *Histogram) Under() int64 { return h.cells[0] }

// Over counts the values above the last edge.
func (h *Histogram) Over() int64 { return h.cells[len(h.cells)-1] }

// Missing counts NaN, infinite and absent values.
func (h *Histogram) Missing() int64 { return h.miss }

// Count is the number of finite values seen.
func (h *Histogram) Count() int64 { return h.total.N }

// Moments are those of the finite values.
func (h *Histogram) Moments() Moments { return h.total }

// Quantile is an estimate that spreads each bin's values evenly; it is off by at most the width of the bin it falls in.
// NaN when nothing was seen.
func (h *Histogram) Quantile(q float64) float64 {
	if h.total.N == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	rank := q * float64(h.total.N)
	var before float64
	for i, c := range h.cells {
		if c == 0 || before+float64(c) < rank {
			before += float64(c)
			continue
		}
		low, high := h.total.Min, h.total.Max
		if i > 0 {
			low = max(low, h.edges[i-1])
		}
		if i < len(h.edges) {
			high = min(high, h.edges[i])
		}
		return low + (high-low)*(rank-before)/float64(c)
	}
	return h.total.Max
}

type histogramJSON struct {
	Edges   []float64 `json:"edges"`
	Counts  []int64   `json:"counts"`
	Under   int64     `json:"under"`
	Over    int64     `json:"over"`
	Missing int64     `json:"missing"`
	Moments Moments   `json:"moments"`
}

// MarshalJSON writes edges, counts, under, over, missing and moments.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	return json.Marshal(histogramJSON{h.edges, h.Bins(), h.Under(), h.Over(), h.miss, h.total})
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses edges or counts that cannot be.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("sketch: read histogram: %w", err)
	}
	out, err := NewHistogram(in.Edges)
	if err != nil {
		return err
	}
	if len(in.Counts) != len(in.Edges)-1 {
		return fmt.Errorf("sketch: histogram of %d edges needs %d counts, got %d", len(in.Edges), len(in.Edges)-1, len(in.Counts))
	}
	cells := slices.Concat([]int64{in.Under}, in.Counts, []int64{in.Over})
	var sum int64
	for _, c := range cells {
		if c < 0 || sum > math.MaxInt64-c {
			return fmt.Errorf("sketch: histogram count %d is out of range", c)
		}
		sum += c
	}
	if in.Missing < 0 || in.Moments.N != sum {
		return fmt.Errorf("sketch: histogram counts add up to %d, its moments to %d", sum, in.Moments.N)
	}
	out.cells, out.miss, out.total = cells, in.Missing, in.Moments
	*h = *out
	return nil
}
