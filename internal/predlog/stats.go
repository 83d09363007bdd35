package predlog

import (
	"math"
	"math/bits"
	"sort"
	"sync"
	"time"
)

// Latency is counted in buckets that are a quarter octave wide: 1 µs to 67 s, so a quantile is off by at most 9 %.
const (
	perOctave = 4
	octaves   = 26
	latBins   = perOctave * octaves
)

// histogram counts latencies.
type histogram [latBins]uint32

func latBin(us int64) int {
	if us < 1 {
		us = 1
	}
	o := bits.Len64(uint64(us)) - 1
	if o >= octaves {
		return latBins - 1
	}
	return o*perOctave + min(int(float64(perOctave)*(float64(us)/float64(int64(1)<<o)-1)), perOctave-1)
}

// binEdges are the bounds of a bucket in µs: each octave is cut into equal parts.
func binEdges(i int) (lo, hi float64) {
	base := math.Exp2(float64(i / perOctave))
	step := base / perOctave
	lo = base + step*float64(i%perOctave)
	return lo, lo + step
}

// quantiles gives the latencies in ms below which the shares qs (rising) of the counted values lie; nil when there are none.
func (h *histogram) quantiles(qs ...float64) []float64 {
	total := uint64(0)
	for _, n := range h {
		total += uint64(n)
	}
	if total == 0 {
		return nil
	}
	out := make([]float64, 0, len(qs))
	seen, i := uint64(0), 0
	for _, q := range qs {
		want := q * float64(total)
		for i < latBins-1 && float64(seen+uint64(h[i])) < want {
			seen += uint64(h[i])
			i++
		}
		lo, hi := binEdges(i)
		share := 1.0
		if h[i] > 0 {
			share = min(max((want-float64(seen))/float64(h[i]), 0), 1)
		}
		out = append(out, (lo+(hi-lo)*share)/1000)
	}
	return out
}

// cell is what happened in one bucket of time. Latency counts requests, count counts predictions.
type cell struct {
	start  int64 // s since 1970
	count  uint64
	errors uint64
	lat    histogram
}

// ring keeps the newest cells of one width. A cell exists only where there was traffic.
type ring struct {
	width int64 // s
	cells []*cell
}

func (r *ring) at(sec int64) *cell {
	start := sec - sec%r.width
	i := (start / r.width) % int64(len(r.cells))
	c := r.cells[i]
	if c == nil || c.start < start {
		c = &cell{start: start}
		r.cells[i] = c
	}
	if c.start > start {
		return nil // older than the ring remembers
	}
	return c
}

const (
	fineWidth, fineCells     = 10, 6 * 60 // the last hour by 10 s
	coarseWidth, coarseCells = 60, 24 * 60
)

// versionStats are the live figures of one version behind one endpoint: what it answered, and apart from that what it scored beside
// another version (mirrored). Each takes at most 0.8 MiB when it is busy all day.
type versionStats struct {
	version          string
	mu               sync.Mutex
	served, mirrored rings
	role             Role // of the newest answer; empty when there was none
}

// rings are the same counts, finely for the last hour and coarsely for the last day.
type rings struct{ fine, coarse ring }

func newRings() rings {
	return rings{ring{fineWidth, make([]*cell, fineCells)}, ring{coarseWidth, make([]*cell, coarseCells)}}
}

func (v *versionStats) add(now time.Time, b *Batch, rows int) {
	v.put(now, b.Role, b.Status == Failed, b.Latency, rows)
}

func (v *versionStats) put(at time.Time, role Role, failed bool, latency time.Duration, rows int) {
	if v == nil {
		return
	}
	sec, bin := at.Unix(), latBin(latency.Microseconds())
	v.mu.Lock()
	defer v.mu.Unlock()
	into := &v.served
	if role == Shadow {
		into = &v.mirrored
	} else {
		v.role = role
	}
	for _, r := range [2]*ring{&into.fine, &into.coarse} {
		c := r.at(sec)
		if c == nil {
			continue
		}
		c.count += uint64(rows)
		if failed {
			c.errors += uint64(rows)
		}
		c.lat[bin]++
	}
}

// liveStats are the figures of the endpoint pages.
type liveStats struct {
	mu   sync.RWMutex
	ends map[string]map[string]*versionStats
}

func newLiveStats() *liveStats { return &liveStats{ends: map[string]map[string]*versionStats{}} }

func (l *liveStats) version(endpoint, version string) *versionStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	vs := l.ends[endpoint]
	if vs == nil {
		vs = map[string]*versionStats{}
		l.ends[endpoint] = vs
	}
	v := vs[version]
	if v == nil {
		v = &versionStats{version: version, served: newRings(), mirrored: newRings()}
		vs[version] = v
	}
	return v
}

// Forget drops the live figures of an endpoint that is gone.
func (s *Service) Forget(endpoint string) {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	delete(s.stats.ends, endpoint)
}

func (l *liveStats) of(endpoint string) []*versionStats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]*versionStats, 0, len(l.ends[endpoint]))
	for _, v := range l.ends[endpoint] {
		out = append(out, v)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].version < out[j].version })
	return out
}

// Figures sum up what happened in a span of time. Count counts predictions; latencies are per request, in ms, null without traffic.
type Figures struct {
	Count     uint64   `json:"count"`
	Errors    uint64   `json:"errors"`
	ErrorRate *float64 `json:"error_rate"` // errors / count; null without traffic
	PerSecond float64  `json:"requests_per_s"`
	P50       *float64 `json:"p50_ms"`
	P95       *float64 `json:"p95_ms"`
	P99       *float64 `json:"p99_ms"`
}

// VersionFigures are the figures of one version: of what it answered, or of its shadow scores if it answered nothing.
type VersionFigures struct {
	Version  string `json:"version"`
	Role     Role   `json:"role"`
	Weight   int    `json:"weight"`   // filled by serving
	Mirrored uint64 `json:"mirrored"` // rows scored beside another version; not in the totals
	Figures
}

// StatsPoint is one bucket of the series: figures by version.
type StatsPoint struct {
	Time     time.Time          `json:"time"`
	Versions map[string]Figures `json:"versions"`
}

// Stats are the live figures of an endpoint.
type Stats struct {
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	Bucket   int64            `json:"bucket_s"`
	Totals   Figures          `json:"totals"`
	Series   []StatsPoint     `json:"series"`
	Versions []VersionFigures `json:"versions"`
}

type tally struct {
	count, errors uint64
	lat           histogram
}

func (t *tally) add(c *cell) {
	t.count += c.count
	t.errors += c.errors
	for i, n := range c.lat {
		t.lat[i] += n
	}
}

func (t *tally) merge(o *tally) {
	t.count += o.count
	t.errors += o.errors
	for i, n := range o.lat {
		t.lat[i] += n
	}
}

// sum tallies the cells between two moments (s), whole and by bucket.
func (r *ring) sum(from, to, bucket int64) (whole tally, points []tally) {
	points = make([]tally, (to-from)/bucket)
	for _, c := range r.cells {
		if c != nil && c.start >= from && c.start < to {
			points[(c.start-from)/bucket].add(c)
			whole.add(c)
		}
	}
	return whole, points
}

func (t *tally) figures(seconds float64) Figures {
	f := Figures{Count: t.count, Errors: t.errors, PerSecond: float64(t.count) / seconds}
	if t.count > 0 {
		rate := float64(t.errors) / float64(t.count)
		f.ErrorRate = &rate
	}
	if q := t.lat.quantiles(.5, .95, .99); q != nil {
		f.P50, f.P95, f.P99 = &q[0], &q[1], &q[2]
	}
	return f
}

// Stats gives the figures of the last window (at most 24 h) in about that many buckets (at most 1440).
func (s *Service) Stats(endpoint string, window time.Duration, buckets int) Stats {
	window = min(max(window, time.Minute), coarseWidth*coarseCells*time.Second)
	width := int64(fineWidth)
	pick := func(r *rings) *ring { return &r.fine }
	if window > fineWidth*fineCells*time.Second {
		width, pick = coarseWidth, func(r *rings) *ring { return &r.coarse }
	}
	secs := int64(window / time.Second)
	bucket := max(secs/int64(max(min(buckets, coarseCells), 1))/width, 1) * width
	to := s.d.Clock.Now().Unix()
	to += bucket - to%bucket
	n := (secs + bucket - 1) / bucket
	from := to - n*bucket
	out := Stats{From: time.Unix(from, 0).UTC(), To: time.Unix(to, 0).UTC(), Bucket: bucket, Series: make([]StatsPoint, n), Versions: []VersionFigures{}}
	for i := range out.Series {
		out.Series[i] = StatsPoint{Time: time.Unix(from+int64(i)*bucket, 0).UTC(), Versions: map[string]Figures{}}
	}
	var total tally
	for _, v := range s.stats.of(endpoint) {
		v.mu.Lock()
		role := v.role
		sum, points := pick(&v.served).sum(from, to, bucket)
		beside, besidePoints := pick(&v.mirrored).sum(from, to, bucket)
		v.mu.Unlock()
		total.merge(&sum)
		if sum.count == 0 {
			sum, points, role = beside, besidePoints, Shadow
		}
		if sum.count == 0 {
			continue
		}
		for i := range points {
			if points[i].count > 0 {
				out.Series[i].Versions[v.version] = points[i].figures(float64(bucket))
			}
		}
		out.Versions = append(out.Versions, VersionFigures{Version: v.version, Role: role, Mirrored: beside.count, Figures: sum.figures(float64(secs))})
	}
	out.Totals = total.figures(float64(secs))
	return out
}
