package sketch

import (
	"encoding/json"
	"fmt"
	"slices"
)

// DefaultBins is the resolution of a column's histogram: KS read from it is off by at most the largest bin's share.
const DefaultBins = 256

// Column is a sketch of one column: exactly one of Discrete (few distinct numbers), Histogram (many) and Categories (strings).
// A window is counted with reference.Empty(), so that both have the same bins and can be compared.
type Column struct {
	Discrete   *Discrete   `json:"discrete,omitempty"`
	Histogram  *Histogram  `json:"histogram,omitempty"`
	Categories *Categories `json:"categories,omitempty"`
}

// NewNumeric is the sketch of an ascending reference sample without NaN, with those values and the missing ones counted:
// Discrete up to MaxDiscrete distinct values and an average of at least two observations each, else a Histogram on the
// reference's quantiles with up to bins bins (0: DefaultBins).
func NewNumeric(sorted []float64, missing int64, bins int) (*Column, error) {
	if len(sorted) == 0 {
		return nil, fmt.Errorf("sketch: a numeric reference needs at least one value that is not missing")
	}
	if bins == 0 {
		bins = DefaultBins
	}
	column := &Column{}
	if values, few := distinct(sorted); few {
		d, err := NewDiscrete(values)
		if err != nil {
			return nil, err
		}
		column.Discrete = d
	} else {
		h, err := NewHistogram(QuantileEdges(sorted, bins))
		if err != nil {
			return nil, err
		}
		column.Histogram = h
	}
	for _, x := range sorted {
		column.AddFloat(x)
	}
	for range missing {
		column.AddMissing()
	}
	return column, nil
}

// distinct lists the values of a sorted sample, and whether they are few enough to be counted one by one.
func distinct(sorted []float64) ([]float64, bool) {
	limit := min(MaxDiscrete, max(len(sorted)/2, 2))
	var values []float64
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			continue
		}
		if len(values) == limit {
			return nil, false
		}
		values = append(values, x)
	}
	return values, true
}

// NewCategorical is the sketch of a reference sample of strings, naming its limit most frequent ones; the window's unseen ones share
// the room that is left and then "other".
func NewCategorical(values []string, missing int64, limit int) (*Column, error) {
	counts := map[string]int64{}
	for _, v := range values {
		counts[cut(v)]++
	}
	all := &Categories{counts: counts, limit: len(counts)}
	c, err := NewCategories(limit)
	if err != nil {
		return nil, err
	}
	for _, n := range all.Top(len(counts)) {
		c.add(n.Value, n.Count)
	}
	c.miss = missing
	return &Column{Categories: c}, nil
}

// AddFloat counts a number; in a column of categories it is counted as missing.
func (c *Column) AddFloat(x float64) {
	switch {
	case c.Discrete != nil:
		c.Discrete.Add(x)
	case c.Histogram != nil:
		c.Histogram.Add(x)
	default:
		c.AddMissing()
	}
}

// AddString counts a category; in a column of numbers it is counted as missing.
func (c *Column) AddString(s string) {
	if c.Categories != nil {
		c.Categories.Add(s)
		return
	}
	c.AddMissing()
}

// AddMissing counts one absent value.
func (c *Column) AddMissing() {
	switch {
	case c.Discrete != nil:
		c.Discrete.AddMissing()
	case c.Histogram != nil:
		c.Histogram.AddMissing()
	case c.Categories != nil:
		c.Categories.AddMissing()
	}
}

// Numeric says whether the column holds numbers.
func (c *Column) Numeric() bool { return c.Categories == nil }

// Empty is a sketch with the same bins that has seen nothing.
func (c *Column) Empty() *Column {
	switch {
	case c.Discrete != nil:
		return &Column{Discrete: c.Discrete.Empty()}
	case c.Histogram != nil:
		return &Column{Histogram: c.Histogram.Empty()}
	case c.Categories != nil:
		return &Column{Categories: c.Categories.Empty()}
	}
	return &Column{}
}

// Merge adds the counts of other; ErrIncompatible when it is of another kind or on other bins.
func (c *Column) Merge(other *Column) error {
	switch {
	case other == nil:
	case c.Discrete != nil:
		return c.Discrete.Merge(other.Discrete)
	case c.Histogram != nil:
		return c.Histogram.Merge(other.Histogram)
	case c.Categories != nil:
		return c.Categories.Merge(other.Categories)
	}
	return ErrIncompatible
}

// Count is the number of values seen that were not missing.
func (c *Column) Count() int64 {
	switch {
	case c.Discrete != nil:
		return c.Discrete.Count()
	case c.Histogram != nil:
		return c.Histogram.Count()
	case c.Categories != nil:
		return c.Categories.Count()
	}
	return 0
}

// Missing counts absent values.
func (c *Column) Missing() int64 {
	switch {
	case c.Discrete != nil:
		return c.Discrete.Missing()
	case c.Histogram != nil:
		return c.Histogram.Missing()
	case c.Categories != nil:
		return c.Categories.Missing()
	}
	return 0
}

// Moments are those of a numeric column's finite values; zero for categories.
func (c *Column) Moments() Moments {
	switch {
	case c.Discrete != nil:
		return c.Discrete.Moments()
	case c.Histogram != nil:
		return c.Histogram.Moments()
	}
	return Moments{}
}

// Unseen counts the values that the bins have no place for: outside the edges, not among the known values, or "other".
func (c *Column) Unseen() int64 {
	switch {
	case c.Discrete != nil:
		return c.Discrete.Other()
	case c.Histogram != nil:
		return c.Histogram.Under() + c.Histogram.Over()
	case c.Categories != nil:
		return c.Categories.Other()
	}
	return 0
}

// UnmarshalJSON reads a column and insists on exactly one kind.
func (c *Column) UnmarshalJSON(data []byte) error {
	type plain Column
	var in plain
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	kinds := []bool{in.Discrete != nil, in.Histogram != nil, in.Categories != nil}
	if i := slices.Index(kinds, true); i < 0 || slices.Contains(kinds[i+1:], true) {
		return fmt.Errorf("sketch: a column needs exactly one of discrete, histogram and categories")
	}
	*c = Column(in)
	return nil
}
