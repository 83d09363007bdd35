package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

const api = "/api/2.0/mlflow/"

// bench takes the figures of one server.
type bench struct {
	o     options
	r     *report
	name  string
	peer  bool
	runs  int // of the large experiment
	begin func(data string) (*server, error)

	s    *server
	k    *conn
	ids  []string // of runs of the large experiment, some
	exps map[string]string
}

func (b *bench) set(name, format string, args ...any) { b.r.set(b.name, name, format, args...) }

func (b *bench) start(ctx context.Context, data string) (err error) {
	if b.s, err = b.begin(data); err != nil {
		return err
	}
	b.k, err = dial(ctx, b.s.addr)
	return err
}

// redial replaces our connection: MLflow's server closes one that is idle for a few seconds.
func (b *bench) redial(ctx context.Context) (err error) {
	_ = b.k.c.Close()
	b.k, err = dial(ctx, b.s.addr)
	return err
}

func (b *bench) all(ctx context.Context, data string) error {
	if err := b.start(ctx, data); err != nil {
		return err
	}
	defer func() { b.s.stop() }()
	b.set("start to ready, empty store", "%s", round(b.s.ready))
	time.Sleep(5 * time.Second)
	b.set("memory when idle (PSS)", "%s", mb(b.s.memory()))
	for _, part := range []struct {
		name string
		take func(context.Context) error
	}{{"writes", b.writes}, {"history", b.history}, {"artifacts", b.artifacts}} {
		if b.o.only != "" && b.o.only != part.name {
			continue
		}
		if err := b.redial(ctx); err != nil {
			return err
		}
		if err := part.take(ctx); err != nil {
			return err
		}
	}
	if b.o.only != "" {
		return nil
	}
	if err := b.redial(ctx); err != nil {
		return err
	}
	if err := b.seed(ctx, data); err != nil {
		return err
	}
	return b.searches(ctx)
}

func (b *bench) during() time.Duration { return time.Duration(b.o.seconds) * time.Second }

func (b *bench) makeRun(exp string) (string, error) {
	out, err := b.k.ask(http.MethodPost, api+"runs/create", `{"experiment_id":"`+exp+`","start_time":1700000000000,"tags":[{"key":"kind","value":"bench"}]}`)
	return field(out, "run", "info", "run_id"), err
}

// rates measures one request at 1 and 8 callers.
func (b *bench) rates(ctx context.Context, name string, each int, next request) error {
	for _, c := range []int{1, 8} {
		p, err := load(ctx, b.s.addr, c, 0, b.during(), next)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.set(fmt.Sprintf("%s, %d clients", name, c), "%.0f (p50 %s, p99 %s)", p.perSecond*float64(each), round(p.p50), round(p.p99))
	}
	return nil
}

func (b *bench) writes(ctx context.Context) error {
	tags := `"tags":[{"key":"mlflow.user","value":"ann"},{"key":"mlflow.source.name","value":"train.py"},{"key":"mlflow.source.type","value":"LOCAL"},{"key":"mlflow.runName","value":"bench"}]`
	err := b.rates(ctx, "create_run/s", 1, func(int, int) (string, string, string) {
		return http.MethodPost, api + "runs/create", `{"experiment_id":"0","user_id":"ann","run_name":"bench","start_time":1700000000000,` + tags + `}`
	})
	if err != nil {
		return err
	}
	if err := b.redial(ctx); err != nil {
		return err
	}
	var runs [8]string
	for i := range runs {
		if runs[i], err = b.makeRun("0"); err != nil {
			return err
		}
	}
	var step counter
	err = b.rates(ctx, "log_metric/s", 1, func(caller, _ int) (string, string, string) {
		n := step.next()
		return http.MethodPost, api + "runs/log-metric", fmt.Sprintf(`{"run_id":"%s","key":"loss","value":%g,"timestamp":%d,"step":%d}`, runs[caller], 1/float64(n), 1_700_000_000_000+n, n)
	})
	if err != nil {
		return err
	}
	return b.rates(ctx, "log_batch points/s (10 keys, 100 steps each)", 1000, func(caller, n int) (string, string, string) {
		return http.MethodPost, api + "runs/log-batch", batchBody(runs[caller], 10, 100, n*100)
	})
}

func (b *bench) history(ctx context.Context) error {
	run, err := b.makeRun("0")
	if err != nil {
		return err
	}
	at := time.Now()
	for i := range 100 {
		if _, err := b.k.ask(http.MethodPost, api+"runs/log-batch", batchBody(run, 1, 1000, i*1000)); err != nil {
			return err
		}
	}
	b.set("write 100,000 points of one key", "%s", round(time.Since(at)))
	for name, path := range map[string]string{
		"history of 100,000 points, whole, p50":                         "metrics/get-history?metric_key=metric_0&run_id=" + run,
		"history of 100,000 points, 1,000 of them (bulk-interval), p50": "metrics/get-history-bulk-interval?metric_key=metric_0&max_results=1000&run_ids=" + run,
	} {
		p, err := load(ctx, b.s.addr, 1, 0, b.during(), func(int, int) (string, string, string) { return http.MethodGet, api + path, "" })
		if err != nil {
			return err
		}
		b.set(name, "%s", round(p.p50))
	}
	p, err := load(ctx, b.s.addr, 1, 0, b.during(), func(int, int) (string, string, string) { return http.MethodGet, api + "runs/get?run_id=" + run, "" })
	b.set("runs/get, p50", "%s", round(p.p50))
	return err
}

func (b *bench) artifacts(ctx context.Context) error {
	run, err := b.makeRun("0")
	if err != nil {
		return err
	}
	const size = 100 << 20
	path := "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/big.bin"
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for i := range body { // neither compresses well nor repeats
		body[i] ^= byte(i*i>>7) ^ byte(i>>13)
	}
	var most int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			most = max(most, b.s.memory())
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	var up, down time.Duration
	for range 3 {
		k, err := dial(ctx, b.s.addr)
		if err != nil {
			return err
		}
		at := time.Now()
		if status, out, err := k.do(http.MethodPut, path, body, nil); err != nil || status >= 300 {
			return fmt.Errorf("upload: %d %.200s %w", status, out, err)
		}
		up = shortest(up, time.Since(at))
		at = time.Now()
		if status, _, err := k.do(http.MethodGet, path, nil, io.Discard); err != nil || status != http.StatusOK {
			return fmt.Errorf("download: %d %w", status, err)
		}
		down = shortest(down, time.Since(at))
		_ = k.c.Close()
	}
	close(stop)
	<-watched
	b.set("artifact of 100 MiB up / down, best of 3", "%.0f / %.0f MB/s", size/1e6/up.Seconds(), size/1e6/down.Seconds())
	b.set("memory at most during that (PSS)", "%s", mb(most))
	return nil
}

// seed fills the store with experiments of 1,000, 10,000 and as many runs as asked for.
func (b *bench) seed(ctx context.Context, data string) error {
	b.exps = map[string]string{}
	sizes := []struct {
		name string
		runs int
	}{{"small", 1000}, {"middle", 10_000}, {"large", b.runs}}
	if b.peer {
		b.s.stop()
		args := []string{"bench/tracking/seed_mlflow.py", filepath.Join(data, "mlflow.db")}
		for _, x := range sizes {
			args = append(args, fmt.Sprintf("%s=%d", x.name, x.runs))
		}
		out, err := exec.CommandContext(ctx, "python3", args...).Output()
		if err != nil {
			return fmt.Errorf("seed: %w", err)
		}
		for i, id := range strings.Fields(string(out)) {
			b.exps[sizes[i].name] = id
		}
		return b.start(ctx, data)
	}
	at := time.Now()
	for _, x := range sizes {
		out, err := b.k.ask(http.MethodPost, api+"experiments/create", `{"name":"`+x.name+`"}`)
		if err != nil {
			return err
		}
		b.exps[x.name] = field(out, "experiment_id")
		if err := b.fill(ctx, b.exps[x.name], x.runs); err != nil {
			return err
		}
	}
	b.set("seed: runs with 10 metrics, 10 params, 3 tags a second, 8 clients", "%.0f", float64(11_000+b.runs)/time.Since(at).Seconds())
	b.s.stop()
	if err := b.start(ctx, data); err != nil {
		return err
	}
	b.set("start to ready, full store", "%s", round(b.s.ready))
	at = time.Now()
	_, err := b.search(ctx, "large", "0.5", 1, .001, 0) // one
	b.set("first search of the large experiment after a start", "%s", round(time.Since(at)))
	return err
}

// fill makes runs over 8 connections.
func (b *bench) fill(ctx context.Context, exp string, runs int) error {
	var mu sync.Mutex
	return b.each(ctx, runs, func(k *conn, i int) error {
		id, err := fillRun(k, exp, i)
		if i%97 == 0 {
			mu.Lock()
			b.ids = append(b.ids, id)
			mu.Unlock()
		}
		return err
	})
}

// each does n things over 8 connections.
func (b *bench) each(ctx context.Context, n int, do func(k *conn, i int) error) error {
	var wg sync.WaitGroup
	var next counter
	fail := make([]error, 8)
	for w := range fail {
		wg.Go(func() {
			k, err := dial(ctx, b.s.addr)
			for i := next.next() - 1; i < n && err == nil; i = next.next() - 1 {
				err = do(k, i)
			}
			fail[w] = err
		})
	}
	wg.Wait()
	return errors.Join(fail...)
}

func fillRun(k *conn, exp string, i int) (string, error) {
	out, err := k.ask(http.MethodPost, api+"runs/create", fmt.Sprintf(`{"experiment_id":"%s","run_name":"run-%d","start_time":%d,"tags":[{"key":"kind","value":"seed"},{"key":"team","value":"t%d"}]}`, exp, i, 1_700_000_000_000+i, i%5))
	if err != nil {
		return "", err
	}
	id := field(out, "run", "info", "run_id")
	var metrics, params []string
	for n := range 10 {
		metric, param := fmt.Sprint("metric_", n), fmt.Sprint("param_", n)
		if n == 0 {
			metric, param = "acc", "lr"
		}
		metrics = append(metrics, fmt.Sprintf(`{"key":"%s","value":%g,"timestamp":1,"step":0}`, metric, float64(i*(n+7)%1000)/1000))
		params = append(params, fmt.Sprintf(`{"key":"%s","value":"0.%d"}`, param, (i+n)%10))
	}
	_, err = k.ask(http.MethodPost, api+"runs/log-batch", `{"run_id":"`+id+`","metrics":[`+strings.Join(metrics, ",")+`],"params":[`+strings.Join(params, ",")+`]}`)
	return id, err
}

func (b *bench) search(ctx context.Context, exp, above string, callers int, seconds, pace float64) (point, error) {
	body := `{"experiment_ids":["` + b.exps[exp] + `"],"filter":"metrics.acc > ` + above + ` and params.lr = '0.1'","order_by":["metrics.acc DESC"],"max_results":100}`
	return load(ctx, b.s.addr, callers, pace, time.Duration(seconds*float64(time.Second)), func(int, int) (string, string, string) { return http.MethodPost, api + "runs/search", body })
}

func (b *bench) searches(ctx context.Context) error {
	seconds := float64(b.o.seconds)
	for _, x := range []string{"middle", "large"} {
		for _, c := range []int{1, 8} {
			if b.peer && c == 8 {
				continue // half a minute a search
			}
			p, err := b.search(ctx, x, "0.5", c, seconds, 0)
			if err != nil {
				return err
			}
			b.set(fmt.Sprintf("search, %s experiment, %d clients", x, c), "p50 %s, p99 %s", round(p.p50), round(p.p99))
		}
	}
	if b.peer {
		return nil
	}
	p, err := b.search(ctx, "large", "7", 1, seconds, 0)
	if err != nil {
		return err
	}
	b.set("search that finds nothing, large experiment", "p50 %s, p99 %s", round(p.p50), round(p.p99))
	return b.contention(ctx)
}

// contention runs searches at several rates beside 8 writers that log to runs of the same experiment.
func (b *bench) contention(ctx context.Context) error {
	writers := func(d time.Duration) (point, error) {
		return load(ctx, b.s.addr, 8, 0, d, func(caller, n int) (string, string, string) {
			return http.MethodPost, api + "runs/log-batch", batchBody(b.ids[len(b.ids)-1-(caller*131+n)%(len(b.ids)/2)], 10, 1, n)
		})
	}
	alone, err := writers(b.during())
	if err != nil {
		return err
	}
	b.set("log_batch of 10 keys to runs of the large experiment, 8 writers", "%.0f/s", alone.perSecond)
	for _, pace := range []float64{10, 50, 100, 200, 0} {
		var beside point
		var failed error
		done := make(chan struct{})
		go func() { defer close(done); beside, failed = writers(b.during() + 500*time.Millisecond) }()
		time.Sleep(250 * time.Millisecond)
		p, err := b.search(ctx, "large", "0.5", 1, float64(b.o.seconds), pace)
		<-done
		if err != nil || failed != nil {
			return fmt.Errorf("searches: %w, writers: %w", err, failed)
		}
		name := fmt.Sprintf("%.0f searches/s", pace)
		if pace == 0 {
			name = "searches at full speed"
		}
		b.set("8 writers beside "+name+", large experiment", "p50 %s, p99 %s at %.0f/s; writers at %.0f %%", round(p.p50), round(p.p99), p.perSecond, 100*beside.perSecond/alone.perSecond)
	}
	return nil
}

func round(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func mb(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func shortest(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// hugeStore measures a million runs and a hundred million points.
func (b *bench) hugeStore(ctx context.Context, data, url string) error {
	if err := b.start(ctx, data); err != nil {
		return err
	}
	defer func() { b.s.stop() }()
	b.exps = map[string]string{}
	out, err := b.k.ask(http.MethodPost, api+"experiments/create", `{"name":"large"}`)
	if err != nil {
		return err
	}
	b.exps["large"] = field(out, "experiment_id")
	at := time.Now()
	if err := b.fill(ctx, b.exps["large"], b.runs); err != nil {
		return err
	}
	b.set("seed: runs with 10 metrics, 10 params, 3 tags a second, 8 clients", "%.0f", float64(b.runs)/time.Since(at).Seconds())
	at = time.Now()
	const batches = 100_000 // of 1,000 points, to 100 runs
	err = b.each(ctx, batches, func(k *conn, i int) error {
		_, err := k.ask(http.MethodPost, api+"runs/log-batch", batchBody(b.ids[i%100], 10, 100, i))
		return err
	})
	if err != nil {
		return err
	}
	b.set("log_batch points/s over 100 million points, 8 clients", "%.0f", batches*1000/time.Since(at).Seconds())
	b.s.stop()
	size, err := sizeOf(ctx, data, url)
	if err != nil {
		return err
	}
	b.set("store on disk", "%s", mb(size))
	if err := b.start(ctx, data); err != nil {
		return err
	}
	b.set("start to ready, full store", "%s", round(b.s.ready))
	at = time.Now()
	if _, err := b.search(ctx, "large", "0.5", 1, .001, 0); err != nil {
		return err
	}
	b.set("first search of the large experiment after a start", "%s", round(time.Since(at)))
	if _, err := b.search(ctx, "large", "0.5", 1, .001, 0); err != nil { // waits for the column that is read ahead just then
		return err
	}
	p, err := b.search(ctx, "large", "0.5", 1, float64(b.o.seconds), 0)
	if err != nil {
		return err
	}
	b.set("search, large experiment, 1 clients", "p50 %s, p99 %s", round(p.p50), round(p.p99))
	p, err = load(ctx, b.s.addr, 1, 0, b.during(), func(int, int) (string, string, string) {
		return http.MethodGet, api + "metrics/get-history-bulk-interval?metric_key=metric_0&max_results=1000&run_ids=" + b.ids[0], ""
	})
	b.set("history of 100,000 points, 1,000 of them (bulk-interval), p50", "%s", round(p.p50))
	b.set("memory after that (PSS)", "%s", mb(b.s.memory()))
	return err
}

// sizeOf is what the store of a server that has ended takes on the disk, in bytes.
func sizeOf(ctx context.Context, data, url string) (n int64, err error) {
	if url == "" {
		info, err := os.Stat(filepath.Join(data, "modelyard.db"))
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	return n, db.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&n)
}
