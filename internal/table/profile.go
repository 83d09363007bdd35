package table

import (
	"cmp"
	"math"
	"slices"

	"github.com/modelyard/modelyard/internal/num/drift"
	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/num/stats"
)

const (
	distinctLimit = 100_000 // distinct texts that a profile counts exactly
	histogramBins = 30      // most bins of a profile's histogram
	topValues     = 20
)

// ProfileOptions bound a profile. The zero value is right for most.
type ProfileOptions struct {
	SketchBins      int // bins of the monitoring sketch of a numeric column; 0: sketch.DefaultBins
	SketchCategory  int // categories named by that of a string column; 0: 200
	WithoutSketches bool
}

// Profile describes a frame. It can be written as JSON.
type Profile struct {
	Rows    int             `json:"rows"`
	Columns []ColumnProfile `json:"columns"`
}

// Column finds the profile of a column by name.
func (p *Profile) Column(name string) (*ColumnProfile, bool) {
	i := slices.IndexFunc(p.Columns, func(c ColumnProfile) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return &p.Columns[i], true
}

// ColumnProfile describes one column. Numbers is there for Float and Int, Times for Time, Top for String, Bool and numbers of few distinct values.
type ColumnProfile struct {
	Name          string         `json:"name"`
	Type          Type           `json:"type"`
	Count         int            `json:"count"` // values that are there
	Missing       int            `json:"missing"`
	Distinct      int            `json:"distinct"`
	DistinctExact bool           `json:"distinct_exact"` // false: there are at least Distinct
	Numbers       *NumberProfile `json:"numbers,omitempty"`
	Times         *TimeProfile   `json:"times,omitempty"`
	Texts         *TextProfile   `json:"texts,omitempty"`
	Top           []sketch.Named `json:"top,omitempty"`    // most frequent values
	Sketch        *sketch.Column `json:"sketch,omitempty"` // what a monitor compares later windows with
}

// NumberProfile describes the finite numbers of a column.
type NumberProfile struct {
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Mean      float64   `json:"mean"`
	Std       float64   `json:"std"` // sample (ddof 1); 0 for one value
	Q01       float64   `json:"p1"`
	Q05       float64   `json:"p5"`
	Q25       float64   `json:"p25"`
	Q50       float64   `json:"p50"`
	Q75       float64   `json:"p75"`
	Q95       float64   `json:"p95"`
	Q99       float64   `json:"p99"`
	Zeros     int       `json:"zeros"`
	Negative  int       `json:"negative"`
	Infinite  int       `json:"infinite"` // left out of all other numbers
	Histogram Histogram `json:"histogram"`
}

// Histogram is for drawing: counts between equal steps from the least to the greatest value.
type Histogram struct {
	Edges  []float64 `json:"edges"`
	Counts []int64   `json:"counts"`
}

// TimeProfile describes the instants of a column, in RFC 3339.
type TimeProfile struct {
	Min string `json:"min"`
	Max string `json:"max"`
}

// TextProfile describes the lengths of texts in bytes.
type TextProfile struct {
	MinLength  int     `json:"min_length"`
	MaxLength  int     `json:"max_length"`
	MeanLength float64 `json:"mean_length"`
}

// NewProfile describes each column of f.
func NewProfile(f *Frame, o ProfileOptions) *Profile {
	if o.SketchCategory <= 0 {
		o.SketchCategory = 200
	}
	o.SketchCategory = min(o.SketchCategory, sketch.MaxCategories)
	o.SketchBins = min(max(o.SketchBins, 0), sketch.MaxBins)
	p := &Profile{Rows: f.Rows(), Columns: make([]ColumnProfile, 0, len(f.columns))}
	for _, c := range f.columns {
		p.Columns = append(p.Columns, profileColumn(c, o))
	}
	return p
}

func profileColumn(c *Column, o ProfileOptions) ColumnProfile {
	p := ColumnProfile{Name: c.name, Type: c.kind, Count: c.rows - c.missing, Missing: c.missing, DistinctExact: true}
	if c.kind.Numeric() {
		profileNumbers(&p, c, o)
		return p
	}
	counts := map[string]int64{}
	for i := range c.rows {
		if !c.Valid(i) {
			continue
		}
		text := c.Text(i)
		if _, known := counts[text]; !known && len(counts) == distinctLimit {
			p.DistinctExact = false
			continue
		}
		counts[text]++
	}
	p.Distinct = len(counts)
	switch c.kind {
	case Time:
		p.Times = profileTimes(c)
		return p
	case String:
		p.Texts = profileTexts(c)
	}
	p.Top = top(counts)
	if !o.WithoutSketches {
		p.Sketch, _ = sketch.NewCategorical(c.Present(), int64(c.missing), o.SketchCategory) // the limit is in range
	}
	return p
}

func top(counts map[string]int64) []sketch.Named {
	all := make([]sketch.Named, 0, len(counts))
	for value, n := range counts {
		all = append(all, sketch.Named{Value: shorten(value), Count: n})
	}
	slices.SortFunc(all, func(a, b sketch.Named) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return slices.Clone(all[:min(len(all), topValues)])
}

func profileNumbers(p *ColumnProfile, c *Column, o ProfileOptions) {
	sample := drift.NewSample(c.Floats())
	sorted := sample.Sorted
	p.Distinct = sample.Distinct
	n := &NumberProfile{Infinite: sample.Missing - c.missing, Histogram: Histogram{Edges: []float64{}, Counts: []int64{}}}
	p.Numbers = n
	if len(sorted) == 0 {
		return
	}
	n.Min, n.Max, n.Mean = sorted[0], sorted[len(sorted)-1], sample.Mean
	if len(sorted) > 1 {
		n.Std = stats.Std(sorted, 1)
	}
	for q, at := range map[float64]*float64{0.01: &n.Q01, 0.05: &n.Q05, 0.25: &n.Q25, 0.5: &n.Q50, 0.75: &n.Q75, 0.95: &n.Q95, 0.99: &n.Q99} {
		*at = stats.Quantile(sorted, q)
	}
	for _, x := range sorted {
		if x < 0 {
			n.Negative++
		} else if x == 0 {
			n.Zeros++
		}
	}
	n.Histogram = drawable(sorted, sample.Distinct)
	if sample.Distinct <= topValues {
		counts := map[string]int64{}
		for i := range c.rows {
			if c.Valid(i) {
				counts[c.Text(i)]++
			}
		}
		p.Top = top(counts)
	}
	if !o.WithoutSketches {
		// Extreme magnitudes can leave no room for edges; such a column has no sketch.
		p.Sketch, _ = sketch.NewNumeric(sorted, int64(sample.Missing), o.SketchBins)
	}
	finiteNumbers(n)
}

// drawable counts between equal edges: about Sturges' number of bins, at most histogramBins.
func drawable(sorted []float64, distinct int) Histogram {
	low, high := sorted[0], sorted[len(sorted)-1]
	bins := min(max(int(math.Ceil(math.Log2(float64(len(sorted)))+1)), 10), histogramBins, max(distinct, 1))
	if low == high {
		low, high = low-0.5, high+0.5
	}
	if math.IsInf(high-low, 0) || low == high {
		return Histogram{Edges: []float64{sorted[0], sorted[len(sorted)-1]}, Counts: []int64{int64(len(sorted))}}
	}
	edges := drift.Linspace(low, high, bins+1)
	counts := make([]int64, bins)
	for i, n := range drift.CountSorted(sorted, edges) {
		counts[i] = int64(n)
	}
	return Histogram{Edges: edges, Counts: counts}
}

// finiteNumbers keeps a profile writable as JSON where sums overflow.
func finiteNumbers(n *NumberProfile) {
	for _, x := range []*float64{&n.Mean, &n.Std, &n.Q01, &n.Q05, &n.Q25, &n.Q50, &n.Q75, &n.Q95, &n.Q99} {
		if math.IsNaN(*x) || math.IsInf(*x, 0) {
			*x = math.Copysign(math.MaxFloat64, *x)
		}
	}
}

func profileTimes(c *Column) *TimeProfile {
	first, last := -1, -1
	for i := range c.rows {
		if !c.Valid(i) {
			continue
		}
		if first < 0 || c.ints[i] < c.ints[first] {
			first = i
		}
		if last < 0 || c.ints[i] > c.ints[last] {
			last = i
		}
	}
	if first < 0 {
		return nil
	}
	return &TimeProfile{Min: c.Text(first), Max: c.Text(last)}
}

func profileTexts(c *Column) *TextProfile {
	present := c.rows - c.missing
	if present == 0 {
		return nil
	}
	t := &TextProfile{MinLength: math.MaxInt}
	var sum int
	for i, s := range c.strings {
		if c.Valid(i) {
			t.MinLength, t.MaxLength = min(t.MinLength, len(s)), max(t.MaxLength, len(s))
			sum += len(s)
		}
	}
	t.MeanLength = float64(sum) / float64(present)
	return t
}
