package sketch

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// MaxDiscrete is the number of distinct values up to which a numeric column is counted value by value: quantile edges of a
// column full of ties make uneven bins, and the exact counts are small anyway.
const MaxDiscrete = 2000

// Discrete counts how often each of a known set of numbers occurs. Values that are not in the set are counted in the gap they
// fall into, so that the Kolmogorov-Smirnov distance from the sample that gave the set stays exact.
type Discrete struct {
	values []float64
	cells  []int64 // gap below values[0], values[0], gap, values[1], ..., gap above the last
	miss   int64
	total  Moments
}

// NewDiscrete counts the given values, which must be finite, strictly ascending and 1..MaxDiscrete many.
func NewDiscrete(values []float64) (*Discrete, error) {
	if len(values) < 1 || len(values) > MaxDiscrete {
		return nil, fmt.Errorf("sketch: a discrete column needs 1 to %d values, got %d", MaxDiscrete, len(values))
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || i > 0 && v <= values[i-1] {
			return nil, fmt.Errorf("sketch: values must be finite and strictly ascending, value %d is %v", i, v)
		}
	}
	return &Discrete{values: slices.Clone(values), cells: make([]int64, 2*len(values)+1)}, nil
}

// Add counts one value.
func (d *Discrete) Add(x float64) {
	if x-x != 0 {
		d.miss++
		return
	}
	d.total.Add(x)
	at, found := slices.BinarySearch(d.values, x)
	if found {
		d.cells[2*at+1]++
	} else {
		d.cells[2*at]++
	}
}

// AddMissing counts one absent value.
func (d *Discrete) AddMissing() { d.miss++ }

// Merge adds the counts of other; ErrIncompatible when its values differ.
func (d *Discrete) Merge(other *Discrete) error {
	if other == nil || !slices.Equal(d.values, other.values) {
		return ErrIncompatible
	}
	for i, c := range other.cells {
		d.cells[i] += c
	}
	d.miss += other.miss
	d.total.Merge(other.total)
	return nil
}

// Empty is a sketch of the same values that has seen nothing.
func (d *Discrete) Empty() *Discrete {
	return &Discrete{values: d.values, cells: make([]int64, len(d.cells))}
}

// Values are the known values; not to be changed.
func (d *Discrete) Values() []float64 { return d.values }

// Counts are the occurrences of each known value.
func (d *Discrete) Counts() []int64 {
	out := make([]int64, len(d.values))
	for i := range out {
		out[i] = d.cells[2*i+1]
	}
	return out
}

// Cells are all counts in ascending order: gap, value, gap, value, ..., gap.
func (d *Discrete) Cells() []int64 { return slices.Clone(d.cells) }

// Other counts the values that are not in the known set.
func (d *Discrete) Other() (n int64) {
	for i := 0; i < len(d.cells); i += 2 {
		n += d.cells[i]
	}
	return n
}

// Missing counts NaN, infinite and absent values.
func (d *Discrete) Missing() int64 { return d.miss }

// Count is the number of finite values seen.
func (d *Discrete) Count() int64 { return d.total.N }

// Moments are those of the finite values.
func (d *Discrete) Moments() Moments { return d.total }

type discreteJSON struct {
	Values  []float64 `json:"values"`
	Cells   []int64   `json:"cells"`
	Missing int64     `json:"missing"`
	Moments Moments   `json:"moments"`
}

// MarshalJSON writes values, cells, missing and moments.
func (d *Discrete) MarshalJSON() ([]byte, error) {
	return json.Marshal(discreteJSON{d.values, d.cells, d.miss, d.total})
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what cannot be.
func (d *Discrete) UnmarshalJSON(data []byte) error {
	var in discreteJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("sketch: read discrete column: %w", err)
	}
	out, err := NewDiscrete(in.Values)
	if err != nil {
		return err
	}
	if len(in.Cells) != len(out.cells) {
		return fmt.Errorf("sketch: %d values need %d cells, got %d", len(in.Values), len(out.cells), len(in.Cells))
	}
	if sum, err := total(in.Cells); err != nil || in.Missing < 0 || sum != in.Moments.N {
		return fmt.Errorf("sketch: discrete counts are negative or disagree with their moments")
	}
	out.cells, out.miss, out.total = in.Cells, in.Missing, in.Moments
	*d = *out
	return nil
}

// total adds counts, refusing negative ones and overflow.
func total(counts []int64) (int64, error) {
	var sum int64
	for _, c := range counts {
		if c < 0 || sum > math.MaxInt64-c {
			return 0, fmt.Errorf("sketch: count %d is out of range", c)
		}
		sum += c
	}
	return sum, nil
}
