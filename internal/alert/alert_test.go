package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/egress"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

type world struct {
	s     *Service
	clock *clock.Fake
	ch    <-chan events.Event
	reg   *prometheus.Registry
	dir   string
}

func newWorld(t *testing.T, d *db.DB, policy egress.Policy) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)), reg: prometheus.NewRegistry(), dir: t.TempDir()}
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: w.clock, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: w.clock, Log: log})
	w.s = New(Deps{DB: d, Events: ev, Jobs: q, Clock: w.clock, Log: log, Metrics: w.reg, DataDir: w.dir, Egress: policy})
	if err := w.s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ch, stop := ev.Watch()
	w.ch = ch
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ev.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; stop() })
	return w
}

// tell appends an event and lets h hear it twice, as an at-least-once queue may.
func (w *world) tell(t *testing.T, typ, data string, h func(context.Context, events.Event) error) events.Event {
	t.Helper()
	err := w.s.d.DB.Write(t.Context(), func(tx *db.Tx) error {
		return w.s.d.Events.Append(t.Context(), tx, typ, events.Resource{Kind: "test", ID: "x"}, json.RawMessage(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	e := w.until(typ)
	for range 2 {
		if err := h(t.Context(), e); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	w.clock.Advance(time.Minute)
	return e
}

func (w *world) until(typ string) events.Event {
	for e := range w.ch {
		if e.Type == typ {
			return e
		}
	}
	return events.Event{}
}

func (w *world) only(t *testing.T, q Query) Alert {
	t.Helper()
	items, _, err := w.s.List(t.Context(), q)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d alerts, want 1 (%v)", len(items), err)
	}
	return items[0]
}

const breach = `{"endpoint":"bike","kind":"drift","verdict":"breach","previous":"ok","window_id":"w1","event_time":"2011-04-08T00:00:00Z","features":[{"name":"hum","test":"psi","statistic":0.21,"threshold":0.2},{"name":"temp","test":"psi","statistic":0.62,"threshold":0.2}]}`

func TestABreachOpensOnceAndOkResolves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, egress.Policy{})
		w.tell(t, "monitor.verdict.changed", `{"endpoint":"bike","kind":"drift","verdict":"watch"}`, w.s.onVerdict)
		if items, _, _ := w.s.List(t.Context(), Query{}); len(items) != 0 {
			t.Fatal("a watch calls nobody")
		}
		w.tell(t, "monitor.verdict.changed", breach, w.s.onVerdict)
		a := w.only(t, Query{State: "open", Endpoint: "bike"})
		if a.Severity != Ticket || a.Count != 1 || a.Title != "bike: drift in temp, hum" || a.Reason != "temp: psi 0.62, threshold 0.2; hum: psi 0.21, threshold 0.2" ||
			a.EventTime == nil || a.EventTime.Year() != 2011 || len(a.Features) != 2 {
			t.Fatalf("%+v", a)
		}
		w.tell(t, "monitor.window.closed", `{"endpoint":"bike","window_id":"w1","verdicts":{"drift":"breach"}}`, w.s.onVerdict)
		if a = w.only(t, Query{}); a.Count != 1 {
			t.Errorf("the window that opened it is no repeat: count %d", a.Count)
		}
		w.tell(t, "monitor.window.closed", `{"endpoint":"bike","window_id":"w2","verdicts":{"drift":"breach","service":"breach"}}`, w.s.onVerdict)
		w.tell(t, "monitor.verdict.changed", `{"endpoint":"bike","kind":"performance","verdict":"breach","reason":"mean absolute error 86.1, baseline 48.0"}`, w.s.onVerdict)
		if p := w.only(t, Query{Kind: KindPerformance}); p.Severity != Page || p.Reason != "mean absolute error 86.1, baseline 48.0" {
			t.Errorf("%+v", p)
		}
		if a = w.only(t, Query{Kind: KindDrift}); a.Count != 2 {
			t.Errorf("count %d, want 2", a.Count)
		}
		if n, err := w.s.OpenCount(t.Context()); err != nil || n != 2 {
			t.Errorf("%d open, %v", n, err)
		}
		w.tell(t, "lifecycle.retraining.started", `{"endpoint":"bike","alert_id":"`+a.ID+`","retraining_id":"rt1"}`, w.s.onLifecycle)
		w.tell(t, "monitor.verdict.changed", `{"endpoint":"bike","kind":"drift","verdict":"ok","reason":"largest PSI 0.05"}`, w.s.onVerdict)
		a, err := w.s.Get(t.Context(), a.ID)
		if err != nil || a.State != Resolved || a.ResolvedReason != "the verdict is ok again: largest PSI 0.05" || a.Started == nil || a.Started.RetrainingID != "rt1" {
			t.Errorf("%+v %v", a, err)
		}
		w.tell(t, "monitor.verdict.changed", breach, w.s.onVerdict)
		if b := w.only(t, Query{State: "active", Kind: KindDrift}); b.ID == a.ID {
			t.Error("a resolved alert does not open again: a new one does")
		}
	})
}

func TestOtherAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t), egress.Policy{})
	for _, c := range []struct {
		typ, open, clearType, clear, kind string
		severity                          Severity
		hear                              func(context.Context, events.Event) error
		title                             string
	}{
		{"serving.version.failed", `{"endpoint":"bike","model":"demand","version":"4","error":"digest differs"}`, "serving.version.loaded", `{"endpoint":"bike","version":"5"}`, KindLoad, Ticket, w.s.onServing, "bike: version 4 could not be loaded"},
		{"lifecycle.rollout.rolled_back", `{"endpoint":"bike","version":"5","reason":"errors 12 % against 0 %"}`, "lifecycle.rollout.promoted", `{"endpoint":"bike","version":"6"}`, KindRollout, Ticket, w.s.onLifecycle, "bike: version 5 was rolled back"},
		{"lifecycle.retraining.ended", `{"endpoint":"bike","outcome":"gate_failed","reason":"mae 60 > 50"}`, "lifecycle.rollout.promoted", `{"endpoint":"bike","version":"6"}`, KindRetraining, Info, w.s.onLifecycle, "bike: retraining brought no better version"},
		{"pipeline.run.ended", `{"pipeline":"train","run_id":"p1","state":"failed"}`, "pipeline.run.ended", `{"pipeline":"train","run_id":"p2","state":"succeeded"}`, KindPipeline, Ticket, w.s.onPipeline, "Pipeline train failed"},
		{"predlog.log.failed", `{"error":"no space left on device"}`, "predlog.log.recovered", `{}`, KindLog, Page, w.s.onLog, "Predictions are not being recorded"},
	} {
		w.tell(t, c.typ, c.open, c.hear)
		a := w.only(t, Query{State: "open", Kind: c.kind})
		if a.Title != c.title || a.Severity != c.severity || a.Count != 1 || a.Reason == "" {
			t.Errorf("%s: %+v", c.kind, a)
		}
		w.tell(t, c.clearType, c.clear, c.hear)
		if a, _ = w.s.Get(t.Context(), a.ID); a.State != Resolved || a.ResolvedReason == "" {
			t.Errorf("%s is not resolved: %+v", c.kind, a)
		}
	}
	w.tell(t, "lifecycle.retraining.ended", `{"endpoint":"bike","outcome":"promoted"}`, w.s.onLifecycle)
	if n, _ := w.s.OpenCount(t.Context()); n != 0 {
		t.Errorf("%d open", n)
	}
}

func TestAcknowledgeResolveAndMetric(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t), egress.Policy{})
	ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ada"})
	a, err := w.s.Raise(ctx, Raise{Endpoint: "bike", Kind: KindService, Title: "t", Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if a, err = w.s.Acknowledge(ctx, a.ID, "looking"); err != nil || a.State != Acknowledged || a.AcknowledgedBy != "user:ada" || a.Note != "looking" {
		t.Fatalf("%+v %v", a, err)
	}
	mfs, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, mf := range mfs {
		if mf.GetName() == "modelyard_alert_open" {
			found = mf.GetMetric()[0].GetGauge().GetValue() == 1
		}
	}
	if !found {
		t.Error("the gauge of open alerts lacks it")
	}
	if a, err = w.s.Resolve(ctx, a.ID, "fixed"); err != nil || a.State != Resolved || a.ResolvedReason != "fixed" || a.ResolvedBy != "user:ada" {
		t.Fatalf("%+v %v", a, err)
	}
	for name, c := range map[string]struct {
		id, note string
		want     errs.Kind
	}{"again": {a.ID, "", errs.Precondition}, "unknown": {"none", "", errs.NotFound}, "long note": {a.ID, strings.Repeat("x", MaxNote+1), errs.Invalid}} {
		if _, err := w.s.Resolve(ctx, c.id, c.note); !errs.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// receiver is the other side of a webhook.
func receiver(t *testing.T, status int) (url string, got chan *http.Request) {
	t.Helper()
	got = make(chan *http.Request, 20)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		got <- r
		if status == http.StatusFound {
			w.Header().Set("Location", "http://169.254.169.254/")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "SECRET ANSWER")
	}))
	t.Cleanup(srv.Close)
	return srv.URL, got
}

// work does the deliveries that wait, as the queue would.
func (w *world) work(t *testing.T, attempt, most int) error {
	t.Helper()
	list, err := w.s.d.Jobs.List(t.Context(), jobs.Ready, 100)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, j := range list {
		if j.Kind == jobDeliver {
			j.Attempt, j.MaxAttempts = attempt, most
			if err := w.s.deliver(t.Context(), j); err != nil {
				last = err
			}
		}
	}
	return last
}

const secretText = "a-secret-of-enough-length"

func TestWebhookIsSignedAndDelivered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, egress.Policy{AllowPrivate: true})
		url, got := receiver(t, 204)
		h, err := w.s.CreateWebhook(t.Context(), url, []string{"alert.opened"}, secretText)
		if err != nil || h.Secret != "" {
			t.Fatalf("%+v %v", h, err)
		}
		e := w.tell(t, "alert.opened", `{"alert_id":"a1","reason":"temp drifted"}`, w.s.onTellable)
		w.tell(t, "alert.resolved", `{"alert_id":"a1"}`, w.s.onTellable)
		if err := w.work(t, 1, 3); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 {
			t.Fatalf("%d calls, want 1: one event was asked for and it was heard twice", len(got))
		}
		r := <-got
		body, _ := io.ReadAll(r.Body)
		if want := "sha256=" + Sign(secretText, r.Header.Get("X-Modelyard-Timestamp"), body); r.Header.Get("X-Modelyard-Signature") != want {
			t.Error("the signature does not fit")
		}
		if Sign(secretText, "1", body) == Sign(secretText, "2", body) {
			t.Error("the time is not signed")
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil || m.ID != e.ID || m.Type != "alert.opened" || !strings.Contains(string(m.Data), "temp drifted") {
			t.Errorf("%+v %v", m, err)
		}
		log, err := w.s.Deliveries(t.Context(), h.ID, 0)
		if err != nil || len(log) != 1 || log[0].State != Delivered || log[0].Status != 204 || log[0].Attempt != 1 {
			t.Errorf("%+v %v", log, err)
		}
		if err := w.work(t, 2, 3); err != nil || len(got) != 0 {
			t.Errorf("delivered again: %v", err)
		}
	})
}

func TestWebhookFailuresAreRetriedAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t), egress.Policy{AllowPrivate: true})
	bad, calls := receiver(t, 500)
	moved, _ := receiver(t, http.StatusFound)
	hooks := map[string]string{}
	for name, url := range map[string]string{"bad": bad, "moved": moved, "metadata": "http://169.254.169.254/latest", "gone": "http://127.0.0.1:1/"} {
		h, err := w.s.CreateWebhook(t.Context(), url, nil, "")
		if err != nil || h.Secret == "" {
			t.Fatal(err)
		}
		hooks[name] = h.ID
	}
	w.tell(t, "alert.opened", `{"alert_id":"a1"}`, w.s.onTellable)
	for attempt := 1; attempt <= 2; attempt++ {
		if err := w.work(t, attempt, 2); err == nil {
			t.Fatal("a failed delivery must ask for another attempt")
		}
	}
	if len(calls) != 2 {
		t.Errorf("%d calls, want 2", len(calls))
	}
	for name, want := range map[string]string{"bad": "it answered 500", "moved": "redirects are not followed", "metadata": "may not be called", "gone": "could not be reached"} {
		log, err := w.s.Deliveries(t.Context(), hooks[name], 0)
		if err != nil || len(log) != 1 || log[0].State != GaveUp || log[0].Attempt != 2 || !strings.Contains(log[0].Error, want) {
			t.Errorf("%s: %+v %v", name, log, err)
		}
		d, err := w.s.TestWebhook(t.Context(), hooks[name])
		if err != nil || d.State != GaveUp || !strings.Contains(d.Error, want) {
			t.Errorf("test of %s: %+v %v", name, d, err)
		}
	}
}

func TestInnerAddressesAreRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t), egress.Policy{})
	url, got := receiver(t, 200)
	h, err := w.s.CreateWebhook(t.Context(), strings.Replace(url, "127.0.0.1", "localhost", 1), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.s.TestWebhook(t.Context(), h.ID)
	if err != nil || d.State != GaveUp || !strings.Contains(d.Error, "may not be called") || len(got) != 0 {
		t.Errorf("%+v %v, %d calls", d, err, len(got))
	}
}

func TestSecretsAndAnswersStayHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t), egress.Policy{AllowPrivate: true})
	r := httpx.New(httpx.Options{Version: "test", Log: w.s.d.Log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	w.s.Routes(r)
	srv := httptest.NewServer(r.Handler())
	t.Cleanup(srv.Close)
	url, _ := receiver(t, 200)
	status, body := do(t, "POST", srv.URL+"/api/v1/webhooks", `{"url":"`+url+`","secret":"`+secretText+`"}`)
	if status != 201 || strings.Contains(body, secretText) {
		t.Fatalf("%d %s", status, body)
	}
	var h Webhook
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	if err := w.s.d.DB.QueryRow(t.Context(), "SELECT secret FROM webhook").Scan(&sealed); err != nil || bytes.Contains(sealed, []byte(secretText)) {
		t.Errorf("the secret is stored in the clear (%v)", err)
	}
	if info, err := os.Stat(filepath.Join(w.dir, "keys", "webhook.key")); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("key file: %v %v", info, err)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/api/v1/webhooks/" + h.ID + "/test", "", 200},
		{"GET", "/api/v1/webhooks/" + h.ID + "/deliveries", "", 200},
		{"GET", "/api/v1/webhooks", "", 200},
		{"GET", "/api/v1/alerts?state=odd", "", 400},
		{"GET", "/api/v1/alerts/none", "", 404},
		{"POST", "/api/v1/alerts/none/resolve", `{"note":"x"}`, 404},
		{"POST", "/api/v1/webhooks", `{"url":"ftp://x/"}`, 400},
		{"POST", "/api/v1/webhooks", `{"url":"` + url + `","events":["tracking.run.created"]}`, 400},
		{"POST", "/api/v1/webhooks", `{"url":"` + url + `","secret":"short"}`, 400},
		{"DELETE", "/api/v1/webhooks/" + h.ID, "", 204},
		{"DELETE", "/api/v1/webhooks/" + h.ID, "", 404},
		{"GET", "/api/v1/webhooks/" + h.ID + "/deliveries", "", 404},
	} {
		status, body := do(t, c.method, srv.URL+c.path, c.body)
		if status != c.want || strings.Contains(body, secretText) || strings.Contains(body, "SECRET ANSWER") {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
