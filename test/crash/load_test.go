package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// life is where a run is, as far as was acknowledged.
type life string

const (
	active  life = "active"
	deleted life = "deleted"
	purged  life = "purged"
)

// loggedRun is what was acknowledged of a run, and what was asked for when the server was killed: that may or may not be there, whole.
type loggedRun struct {
	id       string
	batches  int
	tag      string
	file     string
	state    life
	pending  string // batch, tag:<value>, file:<text>, deleted, active, purged
	versions []*version
}

type version struct {
	number string // "" while it is not acknowledged
}

type prediction struct {
	PredictionID string `json:"prediction_id"`
	Logged       bool
	labelled     bool
	label        float64
}

// ledger is what the server acknowledged.
type ledger struct {
	acks chan struct{} // one for each acknowledgement

	mu          sync.Mutex
	runs        []*loggedRun
	predictions []*prediction
	aliases     map[string][2]string // alias -> acknowledged version, pending version
	bad         []string             // answers that are wrong in themselves
	count       map[string]int
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d runs, %d batches (%d points), %d tags, %d files, %d versions, %d aliases, %d deletions, %d restorations, %d purges, %d predictions, %d labels",
		l.count["run"], l.count["batch"], l.count["batch"]*keys*steps, l.count["tag"], l.count["file"], l.count["version"], l.count["alias"], l.count["deleted"], l.count["active"], l.count["purged"],
		l.count["prediction"], l.count["label"])
}

// note records one acknowledgement.
func (l *ledger) note(what string, fn func()) {
	l.mu.Lock()
	if l.count == nil {
		l.count, l.aliases = map[string]int{}, map[string][2]string{}
	}
	l.count[what]++
	fn()
	l.mu.Unlock()
	l.acks <- struct{}{}
}

func (l *ledger) wrong(format string, args ...any) {
	l.mu.Lock()
	l.bad = append(l.bad, fmt.Sprintf(format, args...))
	l.mu.Unlock()
}

// writer is one client at work.
type writer struct {
	s   *server
	l   *ledger
	ctx context.Context
	n   int
	rng *rand.Rand
}

// write goes round until it is enough, or a request is not answered. Where the database may be away it goes on when that is back.
func (s *server) write(ctx context.Context, enough <-chan struct{}, l *ledger, n int) {
	w := &writer{s, l, ctx, n, rand.New(rand.NewPCG(seed, uint64(n)))}
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-enough:
			return
		default:
		}
		if !w.round(i) && (!s.mayBeAway || !w.waitForDatabase()) {
			return
		}
	}
}

// waitForDatabase is false when the time is over.
func (w *writer) waitForDatabase() bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, _, err := w.s.do(w.ctx, "GET", "/readyz", ""); err == nil && status == http.StatusOK {
			return true
		}
		select {
		case <-w.ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// send gives false when the server did not answer. skip lists statuses that are fine here and mean that nothing was done.
func (w *writer) send(method, path, body string, out any, skip ...int) (answered, done bool) {
	status, b, err := w.s.do(w.ctx, method, path, body)
	if err != nil {
		return false, false
	}
	if slices.Contains(skip, status) {
		return true, false
	}
	if status == http.StatusServiceUnavailable && w.s.mayBeAway { // the database: it may or may not have done it
		return false, false
	}
	if status != http.StatusOK && status != http.StatusCreated && status != http.StatusNoContent {
		w.l.wrong("%s %s: %d %s", method, path, status, b)
		return true, false
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			w.l.wrong("%s: %v", path, err)
			return true, false
		}
	}
	return true, true
}

// step asks for a change of a run: pending while it is not answered, noted when it was acknowledged.
func (w *writer) step(r *loggedRun, what, pending, method, path, body string, apply func()) bool {
	w.l.mu.Lock()
	r.pending = pending
	w.l.mu.Unlock()
	answered, done := w.send(method, path, body, nil)
	if !answered {
		return false
	}
	if done {
		w.l.note(what, func() { r.pending = ""; apply() })
	}
	return true
}

// round is one run's life with all that is done to it, then a prediction with its label.
func (w *writer) round(i int) bool {
	var a runAnswer
	answered, done := w.send("POST", mlflow+"runs/create", fmt.Sprintf(`{"experiment_id":"0","tags":[{"key":"writer","value":"%d"}]}`, w.n), &a)
	if !answered || !done {
		return answered
	}
	r := &loggedRun{id: a.Run.Info.RunID, state: active}
	w.l.note("run", func() { w.l.runs = append(w.l.runs, r) })
	for range 1 + w.rng.IntN(2) {
		if !w.step(r, "batch", "batch", "POST", mlflow+"runs/log-batch", batch(r.id, r.batches), func() { r.batches++ }) {
			return false
		}
	}
	tag := fmt.Sprintf("%d.%d", w.n, i)
	if !w.step(r, "tag", "tag:"+tag, "POST", mlflow+"runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"t","value":%q}`, r.id, tag), func() { r.tag = tag }) {
		return false
	}
	text := fmt.Sprintf("contents %d", w.rng.IntN(40)) // few, so that runs share and purges race with uploads
	if w.rng.IntN(3) == 0 {
		text = fmt.Sprintf("contents of %s", r.id)
	}
	if !w.step(r, "file", "file:"+text, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+r.id+"/artifacts/dir/f.txt", text, func() { r.file = text }) {
		return false
	}
	if w.rng.IntN(4) == 0 && !w.register() {
		return false
	}
	return w.endOf(r) && w.predict(i)
}

// endOf deletes some runs, restores some of those and purges others.
func (w *writer) endOf(r *loggedRun) bool {
	if w.rng.IntN(2) == 0 {
		return true
	}
	if !w.step(r, "deleted", "deleted", "POST", mlflow+"runs/delete", fmt.Sprintf(`{"run_id":%q}`, r.id), func() { r.state = deleted }) || r.state != deleted {
		return w.ctx.Err() == nil && r.pending == ""
	}
	switch w.rng.IntN(3) {
	case 0:
		return w.step(r, "active", "active", "POST", mlflow+"runs/restore", fmt.Sprintf(`{"run_id":%q}`, r.id), func() { r.state = active })
	case 1:
		w.l.mu.Lock()
		r.pending = "purged"
		w.l.mu.Unlock()
		var out struct{ Count int }
		answered, done := w.send("POST", "/api/v1/trash/purge", fmt.Sprintf(`{"ids":["run:%s"]}`, r.id), &out, http.StatusConflict) // another purge runs
		if !answered {
			return false
		}
		if done && out.Count != 1 {
			w.l.wrong("the purge of run %s took %d", r.id, out.Count)
		}
		if done {
			w.l.note("purged", func() { r.pending, r.state = "", purged })
		} else {
			w.l.mu.Lock()
			r.pending = ""
			w.l.mu.Unlock()
		}
	}
	return true
}

// register makes a version of the served model's files under the writer's own model, and points an alias at it.
func (w *writer) register() bool {
	name := fmt.Sprintf("m%d", w.n)
	answered, _ := w.send("POST", mlflow+"registered-models/create", fmt.Sprintf(`{"name":%q}`, name), nil, http.StatusBadRequest) // it exists
	if !answered {
		return false
	}
	var v struct {
		Version struct{ Version string } `json:"model_version"`
	}
	answered, done := w.send("POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":%q,"source":"runs:/%s/model"}`, name, w.s.modelRun), &v)
	if !answered || !done {
		return answered
	}
	number := v.Version.Version
	w.l.note("version", func() {
		have := w.l.aliases[name]
		w.l.aliases[name] = [2]string{have[0], number}
	})
	answered, done = w.send("POST", mlflow+"registered-models/alias", fmt.Sprintf(`{"name":%q,"alias":"best","version":%q}`, name, number), nil)
	if done {
		w.l.note("alias", func() { w.l.aliases[name] = [2]string{number, number} })
	}
	return answered
}

func (w *writer) predict(i int) bool {
	p := &prediction{}
	answered, done := w.send("POST", "/endpoints/m/predict", fmt.Sprintf(record, float64(i)/10), p, http.StatusServiceUnavailable, http.StatusNotFound) // the model is being loaded after the start
	if !answered || !done {
		return answered
	}
	if !p.Logged {
		w.l.wrong("a prediction was not logged")
	}
	w.l.note("prediction", func() { w.l.predictions = append(w.l.predictions, p) })
	var f struct{ Accepted int }
	label := float64(i % 2)
	answered, done = w.send("POST", "/endpoints/m/feedback", fmt.Sprintf(`{"prediction_id":%q,"label":%g}`, p.PredictionID, label), &f)
	if done && f.Accepted != 1 {
		w.l.wrong("the label of an answered prediction was not accepted: %+v", f)
	}
	if done {
		w.l.note("label", func() { p.labelled, p.label = true, label })
	}
	return answered
}

// batch is the n-th batch of a run.
func batch(run string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"run_id":%q,"params":[{"key":"p%d","value":"v"}],"metrics":[`, run, n)
	for k := range keys {
		for i := range steps {
			if k+i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"key":"m%d","value":%d,"step":%d,"timestamp":%d}`, k, value(k, n, i), n*steps+i, 1700000000000+i)
		}
	}
	b.WriteString("]}")
	return b.String()
}

// value is the i-th value of metric k in the n-th batch.
func value(k, n, i int) int { return 1000*k + n*steps + i }

// warm makes the server load its search index, so that the writes that follow must keep it right.
func (s *server) warm(t *testing.T) {
	t.Helper()
	var out struct{}
	s.ask(t, "POST", mlflow+"runs/search", `{"experiment_ids":["0"],"filter":"metrics.m0 >= 0 and tags.t != 'x' and params.p0 = 'v'","max_results":1}`, &out)
}
