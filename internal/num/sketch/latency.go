package sketch

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"time"
)

const (
	latencySub     = 5 // bits: 32 sub-buckets a power of two, relative error of a quantile at most 1/64
	latencyBuckets = (40 - latencySub + 1) << latencySub
	latencyMax     = 1<<40 - 1 // microseconds, about 12 days
)

// Latency counts durations in logarithmic buckets of 1/32 relative width, in microseconds from 1 us to 12 days, as
// HdrHistogram does. Quantiles are off by at most 1.6 %. The zero value is ready; it takes 9 kB.
type Latency struct {
	cells [latencyBuckets]int64
	n     int64
	sum   float64 // microseconds
	max   int64   // microseconds
}

// Add counts one duration; a negative one counts as zero.
func (l *Latency) Add(d time.Duration) {
	us := min(max(int64(d/time.Microsecond), 0), latencyMax)
	l.cells[latencyCell(us)]++
	l.n++
	l.sum += float64(us)
	l.max = max(l.max, us)
}

func latencyCell(us int64) int {
	if us < 1<<latencySub {
		return int(us)
	}
	shift := bits.Len64(uint64(us)) - 1 - latencySub
	return shift<<latencySub + int(us>>shift)
}

// latencyBounds are the microseconds from..to (exclusive) that a cell counts.
func latencyBounds(cell int) (from, to int64) {
	if cell < 2<<latencySub {
		return int64(cell), int64(cell) + 1
	}
	shift := cell>>latencySub - 1
	from = int64(cell-shift<<latencySub) << shift
	return from, from + 1<<shift
}

// Merge adds the counts of other.
func (l *Latency) Merge(other *Latency) {
	for i, c := range other.cells {
		l.cells[i] += c
	}
	l.n += other.n
	l.sum += other.sum
	l.max = max(l.max, other.max)
}

// Count is the number of durations seen.
func (l *Latency) Count() int64 { return l.n }

// Mean is 0 before the first duration.
func (l *Latency) Mean() time.Duration {
	if l.n == 0 {
		return 0
	}
	return time.Duration(l.sum / float64(l.n) * float64(time.Microsecond))
}

// Max is the longest duration seen.
func (l *Latency) Max() time.Duration { return time.Duration(l.max) * time.Microsecond }

// Quantile is the duration below which a share q (0..1) lies; 0 before the first.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.n == 0 || math.IsNaN(q) {
		return 0
	}
	rank := max(int64(math.Ceil(min(max(q, 0), 1)*float64(l.n))), 1)
	for cell, c := range l.cells {
		rank -= c
		if rank > 0 {
			continue
		}
		from, to := latencyBounds(cell)
		middle := time.Duration(from+to-1) * time.Microsecond / 2
		return min(middle, l.Max())
	}
	return l.Max()
}

// Above is the number of durations longer than limit, exact when limit is the edge of a bucket.
func (l *Latency) Above(limit time.Duration) (n int64) {
	us := min(max(int64(limit/time.Microsecond), 0), latencyMax)
	for _, c := range l.cells[latencyCell(us)+1:] {
		n += c
	}
	return n
}

type latencyJSON struct {
	Cells map[int]int64 `json:"cells"` // sparse: most cells are empty
	SumUS float64       `json:"sum_us"`
	MaxUS int64         `json:"max_us"`
}

// MarshalJSON writes the cells that are not empty, the sum and the maximum in microseconds.
func (l *Latency) MarshalJSON() ([]byte, error) {
	out := latencyJSON{Cells: map[int]int64{}, SumUS: l.sum, MaxUS: l.max}
	for i, c := range l.cells {
		if c > 0 {
			out.Cells[i] = c
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what cannot be.
func (l *Latency) UnmarshalJSON(data []byte) error {
	var in latencyJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("sketch: read latency histogram: %w", err)
	}
	if !(in.SumUS >= 0) || in.MaxUS < 0 || in.MaxUS > latencyMax {
		return fmt.Errorf("sketch: latency sum %v or maximum %d is out of range", in.SumUS, in.MaxUS)
	}
	var out Latency
	for cell, c := range in.Cells {
		if cell < 0 || cell >= latencyBuckets || c < 0 || out.n > math.MaxInt64-c {
			return fmt.Errorf("sketch: latency cell %d with count %d is out of range", cell, c)
		}
		out.cells[cell] = c
		out.n += c
	}
	out.sum, out.max = in.SumUS, in.MaxUS
	*l = out
	return nil
}
