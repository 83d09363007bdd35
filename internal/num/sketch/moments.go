package sketch

import "math"

// Moments are the count, mean, variance and extremes of a stream (Welford 1962; merged after Chan, Golub and LeVeque 1983).
// The zero value is ready. NaN and infinities are the caller's to leave out.
type Moments struct {
	N       int64   `json:"n"`
	Average float64 `json:"mean"`
	Squares float64 `json:"m2"` // sum of squared deviations from the mean
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
}

// Add counts one value.
func (m *Moments) Add(x float64) {
	m.N++
	if m.N == 1 {
		m.Average, m.Min, m.Max = x, x, x
		return
	}
	delta := x - m.Average
	m.Average += delta / float64(m.N)
	m.Squares += delta * (x - m.Average)
	m.Min, m.Max = min(m.Min, x), max(m.Max, x)
}

// Merge adds what other has seen.
func (m *Moments) Merge(other Moments) {
	if other.N == 0 {
		return
	}
	if m.N == 0 {
		*m = other
		return
	}
	a, b := float64(m.N), float64(other.N)
	delta := other.Average - m.Average
	m.Average += delta * b / (a + b)
	m.Squares += other.Squares + delta*delta*a*b/(a+b)
	m.N += other.N
	m.Min, m.Max = min(m.Min, other.Min), max(m.Max, other.Max)
}

// Mean is NaN before the first value.
func (m *Moments) Mean() float64 {
	if m.N == 0 {
		return math.NaN()
	}
	return m.Average
}

// Variance has ddof degrees of freedom taken off; NaN when N <= ddof.
func (m *Moments) Variance(ddof int64) float64 {
	if m.N <= ddof || m.N == 0 {
		return math.NaN()
	}
	return m.Squares / float64(m.N-ddof)
}

// Std is the square root of Variance.
func (m *Moments) Std(ddof int64) float64 { return math.Sqrt(m.Variance(ddof)) }
