package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/bench/host"
)

// point is what one round of load measured.
type point struct {
	perSecond float64
	p50, p99  time.Duration
	failed    int
}

// load asks in a closed loop with c callers for a while. The caller shares the machine with the server: compare, don't quote.
func load(ctx context.Context, url string, rows [][]byte, c int, d time.Duration) point {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c}}
	defer client.CloseIdleConnections()
	took, failed := make([][]time.Duration, c), make([]int, c)
	var wg sync.WaitGroup
	start := time.Now()
	for w := range c {
		wg.Go(func() {
			for i := w * 97; time.Since(start) < d; i++ {
				at := time.Now()
				status, _, err := call(ctx, client, http.MethodPost, url, rows[i%len(rows)])
				if err != nil || status != http.StatusOK {
					failed[w]++
					continue
				}
				took[w] = append(took[w], time.Since(at))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	p := point{}
	for _, f := range failed {
		p.failed += f
	}
	if n := len(all); n > 0 {
		p.perSecond, p.p50, p.p99 = float64(n)/elapsed.Seconds(), all[n/2], all[n*99/100]
	}
	return p
}

type results struct {
	binary, idle, busyOurs, busyTheirs int64
	flush, deploy                      time.Duration
	cold                               []time.Duration
	runtime, logged                    string
	difference                         float64
	points                             []series
}

type series struct {
	name   string
	c      int
	rounds []point
}

func (r *results) add(name string, c int, p point) {
	for i := range r.points {
		if r.points[i].name == name && r.points[i].c == c {
			r.points[i].rounds = append(r.points[i].rounds, p)
			return
		}
	}
	r.points = append(r.points, series{name, c, []point{p}})
}

func (s series) mid() point {
	var rate []float64
	var p50, p99 []time.Duration
	var out point
	for _, p := range s.rounds {
		rate, p50, p99 = append(rate, p.perSecond), append(p50, p.p50), append(p99, p.p99)
		out.failed += p.failed
	}
	out.perSecond, out.p50, out.p99 = middle(rate), middle(p50), middle(p99)
	return out
}

func mb(b int64) string { return fmt.Sprintf("%.1f MB", float64(b)/1e6) }

func (r *results) markdown(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Results

Written by `+"`bench/run.sh`"+` on %s: %s. A 4 KiB append with fdatasync takes %s on this disk (middle of 200).
Other work ran on the machine; caller and server share its cores. Use the ratios, and repeat it on yours:

    make build && bench/run.sh

| figure | measured |
|---|---|
| cold start to ready, empty folder (middle of %d) | %s (range %s to %s) |
| memory when idle, resident | %s |
| size of the program | %s |
| time from deploy to the first answer (engine: %s) | %s |

## Predictions

One model, a scikit-learn gradient boosting of 100 trees of depth 6 as an ONNX file, served by both; one JSON record a request, rows vary.
Modelyard logs every prediction and monitors them; the peer (`+"`bench/peer.py`"+`: FastAPI, uvicorn with uvloop, ONNX Runtime, one process) does
neither. %d rounds of %d s a point, interleaved; middle value, in brackets the range.

| server | concurrency | predictions/s | p50 | p99 | failed |
|---|---|---|---|---|---|
`, time.Now().UTC().Format("2006-01-02"), host.String(), r.flush.Round(time.Microsecond), len(r.cold), middle(r.cold).Round(time.Millisecond), slices.Min(r.cold).Round(time.Millisecond), slices.Max(r.cold).Round(time.Millisecond),
		mb(r.idle), mb(r.binary), r.runtime, r.deploy.Round(time.Millisecond), o.rounds, o.seconds)
	for _, s := range r.points {
		m := s.mid()
		lo, hi := m, m
		for _, p := range s.rounds {
			lo.perSecond, hi.perSecond = min(lo.perSecond, p.perSecond), max(hi.perSecond, p.perSecond)
			lo.p99, hi.p99 = min(lo.p99, p.p99), max(hi.p99, p.p99)
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f (%.0f to %.0f) | %s | %s (%s to %s) | %d |\n", s.name, s.c, m.perSecond, lo.perSecond, hi.perSecond, short(m.p50), short(m.p99), short(lo.p99), short(hi.p99), m.failed)
	}
	b.WriteString("\n")
	for i := 0; i+1 < len(r.points); i += 2 {
		a, p := r.points[i].mid(), r.points[i+1].mid()
		fmt.Fprintf(&b, "At concurrency %d: %.1f times the predictions a second of the peer; p50 %.2f, p99 %.2f of the peer's.\n", r.points[i].c, a.perSecond/p.perSecond, ratio(a.p50, p.p50), ratio(a.p99, p.p99))
	}
	fmt.Fprintf(&b, "\nPredictions in the log afterwards: %s. Resident memory after the load: Modelyard %s, peer %s. Largest difference of the answers on 200 rows: %.2g.\n",
		r.logged, mb(r.busyOurs), mb(r.busyTheirs), r.difference)
	return b.String()
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
