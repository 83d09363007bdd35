package monitor

import (
	"context"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/modelyard/modelyard/internal/num/sketch"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/predlog"
)

// maxRows bounds the rows of an endpoint that versions are compared by; the newest are kept.
const maxRows = 50_000

// Comparison is how a challenger did beside a champion. Losses are absolute errors of a regression, and 0 or 1 (wrong) of a
// classification.
type Comparison struct {
	Champion       Side    `json:"champion"`
	Challenger     Side    `json:"challenger"`
	Paired         int64   `json:"paired"`   // rows that both have scored or failed to score
	Labelled       int64   `json:"labelled"` // rows that both scored and whose label is known
	Metric         string  `json:"metric"`   // mae or error_rate
	ChampionLoss   float64 `json:"champion_loss"`
	ChallengerLoss float64 `json:"challenger_loss"`
	DifferenceMean float64 `json:"difference_mean"` // challenger - champion
	DifferenceStd  float64 `json:"difference_std"`  // with n - 1
}

// Side is how one version did, on answered and mirrored rows together.
type Side struct {
	Count   int64   `json:"count"`
	Errors  int64   `json:"errors"`
	P95     float64 `json:"p95"` // ms
	P95Low  float64 `json:"p95_low"`
	P95High float64 `json:"p95_high"`
}

// scored is what one version made of a row.
type scored struct {
	version string
	failed  bool
	latency time.Duration
	output  any
	loss    float64 // NaN until the label is known
}

// pairRow is a row that several versions score, or that failed.
type pairRow struct {
	id     string
	at     time.Time
	scores []scored
	label  any
}

// pairs holds the newest rows of an endpoint that more than one version scores. Taking the same record or label twice changes nothing, so
// rows can be read again from the log after a restart.
type pairs struct {
	since time.Time // rows from here on are all there, but for the oldest beyond maxRows
	rows  map[string]*pairRow
	ring  []*pairRow
	next  int
}

func newPairs(since time.Time) *pairs { return &pairs{since: since, rows: map[string]*pairRow{}} }

// record takes a record that is part of a comparison.
func (p *pairs) record(r *predlog.Record, task Task) {
	row := p.rows[r.RequestID]
	if row == nil {
		if r.Mirrors == 0 && r.Role == predlog.Champion && r.Status == predlog.OK {
			return
		}
		row = &pairRow{id: r.RequestID, at: r.Time}
		p.rows[r.RequestID] = row
		if len(p.ring) < maxRows {
			p.ring = append(p.ring, row)
		} else {
			delete(p.rows, p.ring[p.next].id)
			p.since = p.ring[p.next].at.Add(time.Microsecond)
			p.ring[p.next] = row
			p.next = (p.next + 1) % maxRows
		}
	}
	if r.Role != predlog.Shadow {
		row.at = r.Time
	}
	i := slices.IndexFunc(row.scores, func(s scored) bool { return s.version == r.Schema.Version })
	if i >= 0 || len(row.scores) >= maxVersions {
		return
	}
	s := scored{version: r.Schema.Version, failed: r.Status == predlog.Failed, latency: r.Latency, loss: math.NaN()}
	if len(r.Outputs) > 0 {
		s.output = r.Outputs[0]
	}
	row.scores = append(row.scores, s)
	row.judge(len(row.scores)-1, task)
}

// judge fills in the loss of a score whose label is known.
func (r *pairRow) judge(i int, task Task) {
	s := &r.scores[i]
	if r.label == nil || s.failed || s.output == nil {
		return
	}
	if o, ok := score(task, &predlog.Record{Status: predlog.OK, Outputs: []any{s.output}}, r.label); ok {
		s.loss = o.loss
	}
}

// label takes the truth of a row.
func (p *pairs) label(l *predlog.Label, task Task) {
	row := p.rows[l.PredictionID]
	if row == nil {
		if len(l.Scored) < 2 {
			return
		}
		for i := range l.Scored {
			p.record(&l.Scored[i], task)
		}
		if row = p.rows[l.PredictionID]; row == nil {
			return
		}
	}
	row.label = l.Value
	for i := range row.scores {
		row.judge(i, task)
	}
}

// compare looks at the rows recorded at or after since.
func (p *pairs) compare(champion, challenger string, since time.Time, task Task) Comparison {
	out := Comparison{Metric: metricOf(task)}
	var a, b side
	var diff, first, second sketch.Moments
	for _, row := range p.ring {
		if row.at.Before(since) {
			continue
		}
		var x, y *scored
		for i := range row.scores {
			switch row.scores[i].version {
			case champion:
				x = &row.scores[i]
				a.add(x)
			case challenger:
				y = &row.scores[i]
				b.add(y)
			}
		}
		if x == nil || y == nil {
			continue
		}
		out.Paired++
		if !x.failed && !y.failed && x.loss == x.loss && y.loss == y.loss {
			diff.Add(y.loss - x.loss)
			first.Add(x.loss)
			second.Add(y.loss)
		}
	}
	out.Champion, out.Challenger = a.side(), b.side()
	if out.Labelled = diff.N; diff.N > 0 {
		out.ChampionLoss, out.ChallengerLoss, out.DifferenceMean = first.Average, second.Average, diff.Average
	}
	if diff.N > 1 {
		out.DifferenceStd = diff.Std(1)
	}
	return out
}

// side collects the latencies of a version.
type side struct {
	Side
	ms []float64
}

func (s *side) add(x *scored) {
	s.Count++
	if x.failed {
		s.Errors++
		return
	}
	s.ms = append(s.ms, float64(x.latency)/float64(time.Millisecond))
}

// side gives the 95th percentile with the ends of its 95 % interval from order statistics (Conover 1999, section 3.2, normal
// approximation); the ends are 0 when there are too few rows for them.
func (s *side) side() Side {
	out := s.Side
	n := len(s.ms)
	if n == 0 {
		return out
	}
	sort.Float64s(s.ms)
	const q = 0.95
	at := func(rank float64) float64 { return s.ms[min(max(int(math.Ceil(rank)), 1), n)-1] }
	out.P95 = at(q * float64(n))
	spread := 1.959964 * math.Sqrt(float64(n)*q*(1-q))
	if low, high := q*float64(n)-spread, q*float64(n)+spread; low >= 1 && math.Ceil(high) <= float64(n) {
		out.P95Low, out.P95High = at(low), at(high)
	}
	return out
}

// Compare tells how a challenger did beside a champion on the rows recorded at or after since (server time): at most the newest 50,000 rows
// that were mirrored, answered by a canary, or failed. After a restart the rows are read again from the log on the first call. NotFound
// without such an endpoint.
func (s *Service) Compare(ctx context.Context, endpoint, champion, challenger string, since time.Time) (Comparison, error) {
	w, err := s.watcher(endpoint)
	if err != nil {
		return Comparison{}, err
	}
	w.mu.Lock()
	known, task := w.pairs.since, w.task()
	full := len(w.pairs.ring) >= maxRows
	since = latest(since, w.createdAt)
	w.mu.Unlock()
	if since.Before(known) && !full {
		if err := s.reread(ctx, w, task, since, known); err != nil {
			return Comparison{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pairs.compare(champion, challenger, since, w.task()), nil
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// reread takes the rows in that were recorded before this process began to follow.
func (s *Service) reread(ctx context.Context, w *watcher, task Task, since, until time.Time) error {
	err := s.d.Predlog.Scan(ctx, w.endpoint, since, s.d.Clock.Now().Add(time.Minute), func(e predlog.Entry) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.Record != nil {
			w.pairs.record(e.Record, task)
		} else if e.Label != nil {
			w.pairs.label(e.Label, task)
		}
		return nil
	})
	if err != nil {
		return errs.E(errs.KindOf(err), "monitor.compare", "the rows since "+since.Format(time.RFC3339)+" could not be read", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.pairs.since.After(until) && since.Before(w.pairs.since) {
		w.pairs.since = since
	}
	return nil
}
