package serving_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/routing"
	"github.com/modelyard/modelyard/internal/serving"
)

// yard is the serving half of a server, with real stores.
type yard struct {
	t       testing.TB
	dir     string
	files   *blob.Files
	models  *registry.Service
	routes  *routing.Service
	log     *predlog.Service
	serving *serving.Service
	url     string
	stop    func()
}

func newYard(t testing.TB) *yard {
	t.Helper()
	return startYard(t, dbtest.SQLite(t), t.TempDir())
}

func startYard(t testing.TB, d *db.DB, dir string) *yard {
	t.Helper()
	y := &yard{t: t, dir: dir}
	log, c := slog.New(slog.DiscardHandler), clock.System{}
	store, err := blob.OpenLocal(filepath.Join(dir, "blobs"))
	must(t, err)
	y.files = blob.NewFiles(d, store, c)
	queue := jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: queue, Clock: c, Log: log})
	must(t, d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), registry.Migrations(), routing.Migrations(), predlog.Migrations(), serving.Migrations()))
	reg := prometheus.NewRegistry()
	y.models = registry.New(registry.Deps{DB: d, Events: ev, Files: y.files, Clock: c, Log: log})
	y.routes = routing.New(routing.Deps{DB: d, Events: ev, Clock: c, Registry: y.models})
	y.log = predlog.New(predlog.Deps{DB: d, Events: ev, Clock: c, Log: log, Metrics: reg, DataDir: dir})
	y.serving = serving.New(serving.Deps{DB: d, Events: ev, Clock: c, Log: log, Metrics: reg, DataDir: dir, Registry: y.models, Routing: y.routes, Predlog: y.log, MaxBody: 1 << 20})
	router := httpx.New(httpx.Options{Version: "test", Log: log, Metrics: reg, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	y.models.Routes(router)
	y.routes.Routes(router)
	y.log.Routes(router)
	y.serving.Routes(router)
	y.serving.Subscribe()
	for _, start := range []func(context.Context) error{y.routes.Start, y.log.Start, y.serving.Start} {
		must(t, start(t.Context()))
	}
	srv := httptest.NewServer(router.Handler())
	y.url = srv.URL
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{y.serving.Run, y.log.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	var once sync.Once
	y.stop = func() { once.Do(func() { srv.Close(); cancel(); wg.Wait(); _ = store.Close() }) }
	t.Cleanup(y.stop)
	return y
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// version registers a model of the parity vectors as the next version of "bike"; change may alter its files.
func (y *yard) version(vector string, change func(name string, data []byte) []byte) string {
	y.t.Helper()
	if _, err := y.models.GetModel(y.t.Context(), "bike"); err != nil {
		_, err := y.models.CreateModel(y.t.Context(), registry.NewModel{Name: "bike"})
		must(y.t, err)
	}
	root := "logged-model/" + vector + time.Now().Format("150405.000000000")
	src := filepath.Join("..", "infer", "testdata", "parity", vector)
	entries, err := os.ReadDir(src)
	must(y.t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(src, e.Name()))
		must(y.t, err)
		if change != nil {
			data = change(e.Name(), data)
		}
		if e.Name() == "case.json" {
			_, err = y.files.Put(y.t.Context(), root, "serving_input_example.json", bytes.NewReader(exampleOf(y.t, data)))
			must(y.t, err)
			continue
		}
		_, err = y.files.Put(y.t.Context(), root, e.Name(), bytes.NewReader(data))
		must(y.t, err)
	}
	v, err := y.models.CreateVersion(y.t.Context(), registry.NewVersion{Model: "bike", Source: "test", FilesRoot: root})
	must(y.t, err)
	return v.Version
}

// exampleOf makes an input example of the first row of a parity vector.
func exampleOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var c struct {
		Columns []string            `json:"columns"`
		Rows    [][]json.RawMessage `json:"rows"`
	}
	must(t, json.Unmarshal(data, &c))
	b, err := json.Marshal(map[string]any{"dataframe_split": map[string]any{"columns": c.Columns, "data": c.Rows[:2]}})
	must(t, err)
	return b
}

// deploy makes an endpoint and waits until it serves.
func (y *yard) deploy(name, version string) {
	y.t.Helper()
	_, err := y.serving.Create(y.t.Context(), serving.NewEndpoint{Name: name, ModelURI: "models:/bike/" + version})
	must(y.t, err)
	y.await(name, func(e serving.Endpoint) bool { return e.Status.State == serving.Ready })
}

func (y *yard) await(name string, ok func(serving.Endpoint) bool) serving.Endpoint {
	y.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for {
		e, err := y.serving.Get(y.t.Context(), name)
		must(y.t, err)
		if ok(e) {
			return e
		}
		select {
		case <-tick.C:
		case <-deadline:
			y.t.Fatalf("endpoint %s stays %+v", name, e.Status)
		}
	}
}

type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (y *yard) post(path, body string, header ...string) reply {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodPost, y.url+path, strings.NewReader(body))
	must(y.t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return y.do(req)
}

func (y *yard) get(path string) reply {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodGet, y.url+path, nil)
	must(y.t, err)
	return y.do(req)
}

func (y *yard) do(req *http.Request) reply {
	y.t.Helper()
	res, err := http.DefaultClient.Do(req)
	must(y.t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	must(y.t, err)
	r := reply{status: res.StatusCode, header: res.Header}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &r.body); err != nil {
			y.t.Fatalf("%s %s: %v in %.300s", req.Method, req.URL.Path, err, data)
		}
	}
	return r
}
