package governance

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

type world struct {
	s     *Service
	clock *clock.Fake
	ch    <-chan events.Event
	url   string
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	fake := clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC))
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: fake, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: fake, Log: log})
	s := New(Deps{DB: d, Events: ev, Jobs: q, Clock: fake, Log: log, Facts: Facts{
		Runs: func(context.Context, []string) (map[string]RunFacts, error) {
			return map[string]RunFacts{"r1": {Name: "train", User: "ada", Source: "train.py", Tags: map[string]string{tagCommit: "c0ffee00c0ffee00", tagPipelineRun: "p1", tagRepo: "https://ada:pw@git.example/x"}},
				"alone": {Name: "probe", ExperimentID: "e1", User: "ada"}}, nil
		},
		Prediction: func(_ context.Context, predictionID string) (Served, error) {
			if predictionID != "x1" {
				return Served{}, errs.NotFoundf("test", "no prediction")
			}
			return Served{Endpoint: "bike", Model: "demand", Version: "1", At: fake.Now()}, nil
		},
		Version: func(context.Context, string, string) (VersionFacts, error) {
			return VersionFacts{Digest: "sha256:abc", Flavor: "lightgbm", Requirements: []string{"lightgbm==4.6", "numpy==2.3"}, PythonVersion: "3.12.3"}, nil
		},
	}})
	ch, stop := ev.Watch()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ev.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; stop() })
	r := httpx.New(httpx.Options{Version: "test", Log: log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	s.Routes(r)
	srv := httptest.NewServer(r.Handler())
	t.Cleanup(srv.Close)
	return &world{s: s, clock: fake, ch: ch, url: srv.URL}
}

// tell appends an event, waits until it is sequenced and lets the listener hear it twice, as an at-least-once queue may.
func (w *world) tell(t *testing.T, typ, kind, id, data string) events.Event {
	t.Helper()
	ctx := actor.With(t.Context(), actor.Actor{Type: actor.User, ID: "ada"})
	err := w.s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return w.s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: kind, ID: id}, json.RawMessage(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	e := <-w.ch
	for range 2 {
		if err := w.s.hear(t.Context(), []events.Event{e}); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	w.clock.Advance(time.Hour)
	return e
}

func (w *world) story(t *testing.T) {
	t.Helper()
	w.tell(t, "dataset.version.created", "dataset_version", "bike/1", `{"dataset":"bike","version":1,"digest":"sha256:d1","rows":2000}`)
	w.tell(t, "tracking.run.created", "run", "r1", `{"run_id":"r1","experiment_id":"e1","name":"train"}`)
	w.tell(t, "tracking.run.inputs_logged", "run", "r1", `{"run_id":"r1","inputs":[{"name":"bike","digest":"7f","source":"{\"url\": \"http://127.0.0.1:5000/api/v1/datasets/bike/versions/1/data\"}","context":"training"},{"name":"extra","digest":"zz","source":"s3://x"}]}`)
	w.tell(t, "tracking.model.logged", "logged_model", "m-1", `{"model_id":"m-1","run_id":"r1","name":"model"}`)
	w.tell(t, "registry.version.created", "version", "demand/1", `{"model":"demand","version":"1","run_id":"r1","model_id":"m-1"}`)
	w.tell(t, "evaluation.gate.passed", "version", "demand/1", `{"result_id":"g1","model":"demand","version":"1","gate":"quality","dataset":"bike","dataset_version":1}`)
	w.tell(t, "registry.alias.set", "version", "demand/1", `{"model":"demand","alias":"champion","version":"1","previous":"","reason":"passed its gate"}`)
	w.tell(t, "routing.route.changed", "endpoint", "bike", `{"endpoint":"bike","model":"demand","generation":1,"targets":[{"version":"1","weight":100,"role":"champion"}],"previous":[],"reason":"deployed"}`)
}

func TestLineageOfTheLoop(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.story(t)
		g, err := w.s.Lineage(t.Context(), "endpoint:bike", 6, Up)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range g.Edges {
			if e.Actor != "user:ada" || e.At.IsZero() {
				t.Errorf("edge %+v lacks its actor or time", e)
			}
			got = append(got, e.From+" -"+e.Relation+"-> "+e.To)
		}
		slices.Sort(got)
		want := []string{
			"alias:demand@champion -alias-> version:demand/1",
			"code:c0ffee00c0ffee00 -code-> run:r1",
			"data:extra@zz -input-> run:r1",
			"dataset_version:bike/1 -evaluated on-> gate:g1",
			"dataset_version:bike/1 -input-> run:r1",
			"gate:g1 -gate passed-> version:demand/1",
			"logged_model:m-1 -registered-> version:demand/1",
			"pipeline_run:p1 -ran-> run:r1",
			"run:r1 -logged-> logged_model:m-1",
			"run:r1 -produced-> version:demand/1",
			"version:demand/1 -served as champion-> endpoint:bike",
		}
		for i, e := range got {
			if strings.HasPrefix(e, "environment:") {
				got = slices.Delete(got, i, i+1)
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("edges\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(g.Nodes) != 11 {
			t.Errorf("%d nodes, want 11", len(g.Nodes))
		}
		for _, n := range g.Nodes {
			if n.Kind == kindCode && n.Meta["repository"] != "https://git.example/x" {
				t.Errorf("the repository shows its credentials: %v", n.Meta)
			}
		}
		down, err := w.s.Lineage(t.Context(), "dataset_version:bike/1", 1, Down)
		if err != nil || len(down.Edges) != 2 {
			t.Errorf("one step down from the data: %+v %v", down.Edges, err)
		}
	})
}

// TestRunWithoutNeighbours: such a run is in no table of the graph until something comes of it, and known all the same.
func TestRunWithoutNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	id := "run:alone"
	w.tell(t, "tracking.run.created", "run", "alone", `{"run_id":"alone","experiment_id":"e1","name":"probe"}`)
	w.tell(t, "tracking.run.ended", "run", "alone", `{"run_id":"alone","experiment_id":"e1","status":"FINISHED"}`)
	if ns, err := w.s.st.nodes(t.Context(), []string{id}); err != nil || len(ns) != 0 {
		t.Fatalf("%+v %v", ns, err)
	}
	g, err := w.s.Lineage(t.Context(), id, 3, Both)
	if err != nil || len(g.Edges) != 0 || len(g.Nodes) != 1 || g.Nodes[0].Label != "probe" || g.Nodes[0].Meta["user"] != "ada" {
		t.Fatalf("%+v %v", g, err)
	}
	if facts, err := w.s.Trace(t.Context(), id, 3); err != nil || len(facts) != 1 {
		t.Fatalf("%+v %v", facts, err)
	}
	if _, err := w.s.Lineage(t.Context(), "run:nobody", 3, Both); !errs.Is(err, errs.NotFound) {
		t.Fatalf("unknown run: %v", err)
	}
	w.tell(t, "registry.version.created", "version", "demand/9", `{"model":"demand","version":"9","run_id":"alone"}`)
	w.tell(t, "tracking.run.ended", "run", "alone", `{"run_id":"alone","experiment_id":"e1","status":"FAILED"}`)
	ns, err := w.s.st.nodes(t.Context(), []string{id})
	if err != nil || len(ns) != 1 || ns[0].Label != "probe" || ns[0].Meta["status"] != "FAILED" {
		t.Fatalf("%+v %v", ns, err)
	}
}

func TestGenerationsAreOneEdgeAndTraceKnowsTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.story(t)
	before := w.clock.Now()
	w.clock.Advance(time.Hour)
	w.tell(t, "routing.route.changed", "endpoint", "bike", `{"endpoint":"bike","model":"demand","generation":2,"targets":[{"version":"1","weight":90,"role":"champion"},{"version":"2","weight":10,"role":"canary"}],"reason":"canary"}`)
	w.tell(t, "registry.alias.set", "version", "demand/1", `{"model":"demand","alias":"champion","version":"1","reason":"again"}`)
	g, err := w.s.Lineage(t.Context(), "endpoint:bike", 1, Up)
	if err != nil || len(g.Edges) != 2 {
		t.Fatalf("%+v %v", g.Edges, err)
	}
	for _, e := range g.Edges {
		if e.From == "version:demand/1" && (e.Meta["count"] != "2" || e.Meta["generation"] != "2") {
			t.Errorf("the champion's edge %+v", e)
		}
	}
	facts, err := w.s.TraceServed(t.Context(), Served{"bike", "demand", "1", before}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range facts {
		lines = append(lines, f.What+": "+f.Value)
	}
	want := []string{"endpoint: bike", "model version: demand v1", "logged model: model", "run: train", "code commit: c0ffee00c0ff", "environment: python 3.12.3, 2 packages",
		"dataset version: bike v1", "data: extra", "approved: user:ada", "gate: quality", "pipeline run: p1"}
	if !slices.Equal(lines, want) {
		t.Errorf("facts\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(facts[0].Note, "generation 1") || !strings.Contains(facts[8].Note, "passed its gate") {
		t.Errorf("what was true then is told, not what came later: %q, %q", facts[0].Note, facts[8].Note)
	}
}

func TestLineageOfOnePrediction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.story(t)
	var g Graph
	if status := get(t, w.url+"/api/v1/lineage?node=prediction:x1&depth=6", &g); status != 200 || len(g.Nodes) != 12 || g.Nodes[0].ID != "prediction:x1" {
		t.Fatalf("%d: %d nodes %+v", status, len(g.Nodes), g.Nodes)
	}
	for _, path := range []string{"prediction:none", "prediction:"} {
		if status := get(t, w.url+"/api/v1/lineage?node="+path, nil); status != 404 && status != 400 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

func TestBoundsAndBadQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	targets := []string{}
	for i := range MaxNodes + 50 {
		targets = append(targets, `{"version":"`+itoa(int64(i+1))+`","weight":1,"role":"canary"}`)
	}
	w.tell(t, "routing.route.changed", "endpoint", "big", `{"endpoint":"big","model":"m","generation":1,"targets":[`+strings.Join(targets, ",")+`]}`)
	g, err := w.s.Lineage(t.Context(), "endpoint:big", 3, Both)
	if err != nil || !g.Truncated || len(g.Nodes) != MaxNodes {
		t.Errorf("%d nodes, truncated %v, %v", len(g.Nodes), g.Truncated, err)
	}
	for name, c := range map[string]struct {
		node  string
		depth int
		dir   Direction
		want  errs.Kind
	}{
		"no kind":       {"bike", 3, Both, errs.Invalid},
		"too deep":      {"endpoint:big", 99, Both, errs.Invalid},
		"bad direction": {"endpoint:big", 3, "sideways", errs.Invalid},
		"unknown":       {"endpoint:none", 3, Both, errs.NotFound},
	} {
		if _, err := w.s.Lineage(t.Context(), c.node, c.depth, c.dir); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestEventsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.story(t)
	var list struct {
		Items []EventView `json:"items"`
		Next  string      `json:"next_page_token"`
	}
	get(t, w.url+"/api/v1/events?type=tracking.*&limit=2", &list)
	if len(list.Items) != 2 || list.Items[0].Type != "tracking.model.logged" || list.Next == "" {
		t.Fatalf("%+v", list)
	}
	token := list.Next
	list.Next = ""
	get(t, w.url+"/api/v1/events?type=tracking.&limit=2&page_token="+token, &list)
	if len(list.Items) != 1 || list.Items[0].Type != "tracking.run.created" || list.Next != "" || list.Items[0].Actor != "user:ada" {
		t.Fatalf("%+v", list)
	}
	var v Verification
	post(t, w.url+"/api/v1/events/verify", &v)
	if !v.OK || v.Count != 8 {
		t.Fatalf("%+v", v)
	}
	err := w.s.d.DB.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE event SET actor_id = 'eve' WHERE seq = 3")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	post(t, w.url+"/api/v1/events/verify", &v)
	if v.OK || v.Count != 2 || !strings.Contains(v.Detail, "event 3") {
		t.Fatalf("a changed event must show: %+v", v)
	}
}

func TestStreamResumesAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	w.story(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/events/stream?type=registry.", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "5")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("content type %s", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() (id, typ string, e EventView) {
		for lines.Scan() {
			k, v, _ := strings.Cut(lines.Text(), ": ")
			switch k {
			case "id":
				id = v
			case "event":
				typ = v
			case "data":
				if err := json.Unmarshal([]byte(v), &e); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatal("the stream ended")
		return
	}
	if id, typ, e := next(); id != "7" || typ != "registry.alias.set" || e.Seq != 7 {
		t.Fatalf("what was missed: %s %s", id, typ)
	}
	w.tell(t, "dataset.version.created", "dataset_version", "bike/2", `{"dataset":"bike","version":2}`)
	w.tell(t, "registry.model.created", "model", "x", `{"model":"x"}`)
	if id, typ, _ := next(); id != "10" || typ != "registry.model.created" {
		t.Fatalf("what came live: %s %s", id, typ)
	}
}

func TestJobsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	err := w.s.d.DB.Write(t.Context(), func(tx *db.Tx) error {
		return w.s.d.Jobs.Enqueue(tx, jobs.New{Kind: "demo", Payload: map[string]string{"a": "b"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var list jobsPage
	get(t, w.url+"/api/v1/jobs?state=ready", &list)
	if len(list.Items) != 1 || list.Items[0].Kind != "demo" {
		t.Fatalf("%+v", list)
	}
	for path, want := range map[string]int{"/api/v1/jobs/none/retry": 404, "/api/v1/jobs/" + list.Items[0].ID + "/retry": 404} {
		if got := post(t, w.url+path, nil); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]int{"/api/v1/jobs?state=odd": 400, "/api/v1/events?type=%25": 400, "/api/v1/events?limit=5000": 400, "/api/v1/events/stream?after=x": 400,
		"/api/v1/lineage": 400, "/api/v1/lineage?node=endpoint:none": 404} {
		if got := get(t, w.url+path, nil); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func get(t *testing.T, url string, v any) int  { t.Helper(); return ask(t, "GET", url, v) }
func post(t *testing.T, url string, v any) int { t.Helper(); return ask(t, "POST", url, v) }

func ask(t *testing.T, method, url string, v any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if v != nil {
		if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
			t.Fatalf("%s: %d %v", url, resp.StatusCode, err)
		}
	}
	return resp.StatusCode
}
