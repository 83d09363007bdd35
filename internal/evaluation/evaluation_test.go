package evaluation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/registry"
)

// formula is a model written by hand: y = f(x), for models that no trainer would give.
type formula struct {
	name string
	f    func(x float64) float64
}

func (m *formula) Info() infer.Info { return infer.Info{} }
func (m *formula) Close() error     { return nil }
func (m *formula) Predict(_ context.Context, in *infer.Frame) (*infer.Output, error) {
	switch m.name {
	case "panics":
		panic("out of bounds")
	case "refuses":
		return nil, errors.New("the worker was killed")
	}
	x := in.Column("x")
	out := infer.Column{Name: "prediction", Kind: infer.Float64}
	for i := range in.Rows {
		out.Floats = append(out.Floats, m.f(x.Float(i)))
	}
	if m.name == "text" {
		out = infer.Column{Name: "prediction", Kind: infer.String, Strings: make([]string, in.Rows)}
	}
	return &infer.Output{Rows: in.Rows, Columns: []infer.Column{out}}, nil
}

type bench struct {
	*Service
	db     *db.DB
	models *registry.Service
	data   *dataset.Service
	files  *blob.Files
	queue  *jobs.Queue
	http   http.Handler
}

func newBench(t *testing.T, d *db.DB) *bench {
	t.Helper()
	err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), registry.Migrations(), dataset.Migrations(), Migrations())
	if err != nil {
		t.Fatal(err)
	}
	store, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.DiscardHandler)
	b := &bench{db: d, files: blob.NewFiles(d, store, clock.System{})}
	b.queue = jobs.NewQueue(jobs.Deps{DB: d, Clock: clock.System{}, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: b.queue, Clock: clock.System{}, Log: log})
	b.models = registry.New(registry.Deps{DB: d, Events: ev, Files: b.files, Clock: clock.System{}})
	b.data = dataset.New(dataset.Deps{DB: d, Events: ev, Files: b.files, Clock: clock.System{}})
	dir := t.TempDir()
	b.Service = New(Deps{DB: d, Events: ev, Jobs: b.queue, Clock: clock.System{}, Registry: b.models, Datasets: b.data,
		Loader: func(ctx context.Context, v registry.Version) (infer.Model, error) {
			return loadTest(ctx, b.models, v, dir)
		}})
	b.Subscribe()
	r := httpx.New(httpx.Options{Version: "test", Log: log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	b.Routes(r)
	b.http = r.Handler()
	return b
}

// loadTest loads formulas by their tag and every other version for real.
func loadTest(ctx context.Context, models *registry.Service, v registry.Version, dir string) (infer.Model, error) {
	name := v.Tags["formula"]
	f := map[string]func(float64) float64{
		"good": func(x float64) float64 { return 2*x + 0.1*math.Sin(9*x) }, "worse": func(x float64) float64 { return 2*x + 0.8*math.Cos(5*x) },
		"nan": func(float64) float64 { return math.NaN() }, "half": func(x float64) float64 { return 1 / (1 + math.Exp(-8*x)) },
		"panics": nil, "refuses": nil, "text": func(x float64) float64 { return x },
	}
	switch name {
	case "absent":
		return nil, &infer.LoadError{Reason: "ONNX Runtime is not installed", Missing: true, Hint: "run modelyard runtime install"}
	case "corrupt":
		return nil, &infer.LoadError{Reason: "the model file is not valid"}
	case "":
		to := filepath.Join(dir, v.Version)
		if err := models.Materialize(ctx, v, to); err != nil {
			return nil, err
		}
		return infer.Load(ctx, to, infer.Options{})
	}
	return &formula{name, f[name]}, nil
}

const mlmodel = `flavors: {%s}
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "double", "name": "prediction", "required": true}]'
`

// version registers a formula, and gives its number.
func (b *bench) version(t *testing.T, name, flavor string) string {
	t.Helper()
	if _, err := b.models.CreateModel(t.Context(), registry.NewModel{Name: "m"}); err != nil && !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
	if _, err := b.files.Put(t.Context(), "run/"+name, "MLmodel", strings.NewReader(fmt.Sprintf(mlmodel, flavor))); err != nil {
		t.Fatal(err)
	}
	v, err := b.models.CreateVersion(t.Context(), registry.NewVersion{Model: "m", Source: "runs:/" + name, FilesRoot: "run/" + name, Tags: map[string]string{"formula": name}})
	if err != nil {
		t.Fatal(err)
	}
	return v.Version
}

// lines adds a dataset of y = 2x with noise; before is a column that a simple rule would answer.
func (b *bench) lines(t *testing.T, name string, rows int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var csv strings.Builder
	csv.WriteString("x,before,y,high\n")
	for range rows {
		x := r.Float64()*2 - 1
		fmt.Fprintf(&csv, "%g,%g,%g,%d\n", x, 2*x+0.5, 2*x+r.NormFloat64()*0.1, map[bool]int{true: 1, false: 0}[x > 0])
	}
	if _, _, err := b.data.Add(t.Context(), dataset.Upload{Dataset: name, Target: "y"}, strings.NewReader(csv.String())); err != nil {
		t.Fatal(err)
	}
}

func gate(t *testing.T, text string) Gate {
	t.Helper()
	g, err := ParseGate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (b *bench) check(t *testing.T, version, text string) Result {
	t.Helper()
	r, err := b.Check(t.Context(), CheckRequest{Gate: gate(t, text), Model: "m", Version: version})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func verdicts(r Result) string {
	out := []string{string(r.Verdict)}
	for _, x := range r.Rules {
		out = append(out, x.Name+"="+string(x.Verdict))
	}
	return strings.Join(out, ", ")
}

func TestGate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		good, worse := b.version(t, "good", "lightgbm: {}"), b.version(t, "worse", "lightgbm: {}")
		b.lines(t, "lines", 400)
		b.lines(t, "few", 12)
		for _, c := range []struct{ version, rules, want string }{
			{good, "[{metric: mae, max: 0.2}, {metric: r2, min: 0.9}, {schema: true}, {latency_p95_ms: 1000}]",
				"pass, mae=pass, r2=pass, schema=pass, latency_p95_ms=pass"},
			{worse, "[{metric: mae, max: 0.2}, {metric: r2, min: 0.9}]", "fail, mae=fail, r2=fail"},
			{good, "[{better_than: naive_mean, metric: mae, margin: 0.1}, {better_than: naive_median, metric: rmse, margin: 0.1}]",
				"pass, better than naive_mean mae=pass, better than naive_median rmse=pass"},
			{good, "[{better_than: naive_mean, metric: mae, margin: 0.99}]", "fail, better than naive_mean mae=fail"},
			{good, "[{better_than: before, metric: mae}, {better_than: 'column:before', metric: r2, margin: 0.01}]",
				"pass, better than before mae=pass, better than column:before r2=pass"},
			{good, "[{better_than: 'column:none', metric: mae}]", "insufficient_data, better than column:none mae=insufficient_data"},
			{good, "[{better_than: champion, metric: mae}]", "pass, better than champion mae=pass"}, // there is none yet
			{good, "[{metric: accuracy, min: 0.5}]", "fail, accuracy=fail"},
			{good, "[{latency_p95_ms: 0.0000001}]", "fail, latency_p95_ms=fail"},
		} {
			if got := verdicts(b.check(t, c.version, "{name: g, dataset: lines@1, rules: "+c.rules+"}")); got != c.want {
				t.Errorf("%s\n got %s\nwant %s", c.rules, got, c.want)
			}
		}
		if got := verdicts(b.check(t, good, "{name: g, dataset: few, rules: [{metric: mae, max: 9}, {schema: true}]}")); got != "insufficient_data, mae=insufficient_data, schema=pass" {
			t.Error(got)
		}
		if got := verdicts(b.check(t, good, "{name: g, dataset: few, min_rows: 5, rules: [{metric: mae, max: 9}]}")); got != "pass, mae=pass" {
			t.Error(got)
		}
	})
}

func TestChampionAndAlias(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b, ctx := newBench(t, d), t.Context()
		worse, good := b.version(t, "worse", "lightgbm: {}"), b.version(t, "good", "lightgbm: {}")
		same := b.version(t, "worse", "lightgbm: {}")
		corrupt := b.version(t, "corrupt", "lightgbm: {}")
		b.lines(t, "lines", 400)
		g := gate(t, "{name: ship, dataset: lines@latest, rules: [{better_than: champion, metric: mae, margin: 0.05}]}")
		ask := func(version string, want Verdict, note string) Result {
			t.Helper()
			r, err := b.Check(ctx, CheckRequest{Gate: g, Model: "m", Version: version, AliasOnPass: "champion"})
			if err != nil || r.Verdict != want || !strings.Contains(r.Rules[0].Note, note) {
				t.Fatalf("%+v %v", r, err)
			}
			return r
		}
		champion := func() string {
			t.Helper()
			v, err := b.models.ByAlias(ctx, "m", "champion")
			if err != nil {
				t.Fatal(err)
			}
			return v.Version
		}
		if r := ask(worse, Pass, "no champion yet"); !r.AliasSet || champion() != worse {
			t.Fatalf("%+v", r)
		}
		ask(worse, Pass, "itself")
		ask(same, Fail, "not better")
		if champion() != worse {
			t.Fatal("a failed gate moved the alias")
		}
		r := ask(good, Pass, "")
		x := r.Rules[0]
		if champion() != good || x.Against != "models:/m/"+worse || x.PValue == nil || *x.PValue >= alpha || *x.Measured >= *x.Required || *x.Baseline <= *x.Required {
			t.Fatalf("%+v", x)
		}
		stored, err := b.Result(ctx, r.ID)
		if stored.Best["mae"] != "min" || stored.Best["r2"] != "max" || stored.Best["bias"] != "" {
			t.Fatalf("the better ends are told: %v", stored.Best)
		}
		if d := stored.Rules[0].Difference; err != nil || d == nil || d.High >= 0 || math.Abs(d.Value-(*x.Measured-*x.Baseline)) > 1e-9 || d.Rows != stored.Rows {
			t.Fatalf("the interval is kept: %+v %v", d, err)
		}
		if d := ask(worse, Fail, "not better").Rules[0].Difference; d == nil || d.Low <= 0 {
			t.Fatalf("a worse one has an interval too: %+v", d)
		}
		if err := b.models.SetAlias(ctx, "m", "champion", corrupt, ""); err != nil {
			t.Fatal(err)
		}
		ask(good, InsufficientData, "cannot be loaded")
		h, _, err := b.models.History(ctx, "m", 10, "")
		if err != nil || !strings.Contains(h[1].Reason, "passed gate ship (result "+r.ID) {
			t.Fatalf("%+v %v", h, err)
		}
		var passed, failed int
		if err := d.QueryRow(ctx, "SELECT count(*) FROM event WHERE type = 'evaluation.gate.passed'").Scan(&passed); err != nil {
			t.Fatal(err)
		}
		if err := d.QueryRow(ctx, "SELECT count(*) FROM event WHERE type = 'evaluation.gate.failed'").Scan(&failed); err != nil || passed != 3 || failed != 3 {
			t.Fatal(passed, failed, err)
		}
	})
}

func TestModelsAtFault(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	b.lines(t, "lines", 50)
	for name, want := range map[string]string{
		"panics": "predict: models:/m/V fails on the data: the model broke", "refuses": "predict: models:/m/V fails on the data: the worker was killed",
		"nan": "predict: models:/m/V fails on the data: the model gave no finite number for 50 of 50 rows", "text": "predict: models:/m/V fails on the data: the model answers text",
		"corrupt": "load: models:/m/V cannot be loaded",
	} {
		v := b.version(t, name, "lightgbm: {}")
		r := b.check(t, v, "{name: g, dataset: lines, rules: [{metric: mae, max: 1}]}")
		last := r.Rules[len(r.Rules)-1]
		if r.Verdict != Fail || !strings.HasPrefix(strings.ReplaceAll(last.Name+": "+last.Note, "m/"+v, "m/V"), want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	v := b.version(t, "absent", "onnx: {}")
	_, err := b.Check(t.Context(), CheckRequest{Gate: gate(t, "{name: g, dataset: lines, rules: [{schema: true}]}"), Model: "m", Version: v})
	if !errs.Is(err, errs.Precondition) || !strings.Contains(err.Error(), "ONNX Runtime") {
		t.Errorf("what the machine lacks is no verdict: %v", err)
	}
}

func TestSchemaIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	v := b.version(t, "good", "lightgbm: {}")
	for csv, want := range map[string]string{
		"a,y\n1,2\n":   `column "x" (double) is missing`,
		"x,y\nred,2\n": `column "x" is string, the model expects double`,
	} {
		name := fmt.Sprintf("d%d", len(csv))
		if _, _, err := b.data.Add(t.Context(), dataset.Upload{Dataset: name, Target: "y"}, strings.NewReader(csv)); err != nil {
			t.Fatal(err)
		}
		r := b.check(t, v, "{name: g, dataset: "+name+", rules: [{metric: mae, max: 1}]}")
		if r.Verdict != Fail || r.Rules[0].Name != "schema" || r.Rules[0].Note != want {
			t.Errorf("%+v", r)
		}
	}
}

func TestClassification(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	b.lines(t, "lines", 300)
	v := b.version(t, "half", "lightgbm: {}")
	r := b.check(t, v, `{name: g, dataset: lines, target: high, task: classification, rules: [{metric: accuracy, min: 0.95}, {metric: auc, min: 0.99},
		{metric: log_loss, max: 0.3}, {better_than: naive_majority, metric: accuracy, margin: 0.2}]}`)
	if r.Verdict != Pass || r.Metrics["auc"] != 1 {
		t.Fatalf("%+v", r)
	}
}

// TestRealModel judges a LightGBM model that mlflow logged, on the library's own predictions as truth.
func TestRealModel(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t, dbtest.SQLite(t)), t.Context()
	dir := "../infer/testdata/parity/lgb-regression"
	for _, f := range []string{"MLmodel", "model.lgb"} {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.files.Put(ctx, "run/real", "model/"+f, strings.NewReader(string(text))); err != nil {
			t.Fatal(err)
		}
	}
	var c struct {
		Columns []string
		Rows    [][]any
		Predict []float64
	}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i, row := range c.Rows {
		rec := map[string]any{"target": c.Predict[i]}
		for k, v := range row {
			rec[c.Columns[k]] = v
		}
		line, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if _, _, err := b.data.Add(ctx, dataset.Upload{Dataset: "real", Target: "target"}, strings.NewReader(lines.String())); err != nil {
		t.Fatal(err)
	}
	if _, err := b.models.CreateModel(ctx, registry.NewModel{Name: "m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.models.CreateVersion(ctx, registry.NewVersion{Model: "m", Source: "runs:/real/model", FilesRoot: "run/real", FilesDir: "model"}); err != nil {
		t.Fatal(err)
	}
	r := b.check(t, "1", "{name: g, dataset: real, min_rows: 10, rules: [{metric: mae, max: 0.000001}, {better_than: naive_mean, metric: mae, margin: 0.9}, {latency_p95_ms: 60000}]}")
	if r.Verdict != Pass || r.Rows != len(c.Rows) {
		t.Fatalf("%+v", r)
	}
}

// hurried leaves no time to wait, but does not end either, however slow the machine is.
type hurried struct{ context.Context }

func (hurried) Deadline() (time.Time, bool) { return time.Now().Add(answerMargin), true }

func TestLaterByAJob(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		b.lines(t, "lines", 100)
		v := b.version(t, "good", "python_function: {loader_module: x}") // Python models are left to a job
		g := gate(t, "{name: g, dataset: lines, rules: [{metric: mae, max: 0.2}]}")
		r, err := b.Check(hurried{t.Context()}, CheckRequest{Gate: g, Model: "m", Version: v, AliasOnPass: "champion"})
		if err != nil || r.Verdict != Pending || r.ID == "" {
			t.Fatalf("%+v %v", r, err)
		}
		done := b.wait(r.ID)
		run, cancel := context.WithCancel(t.Context())
		finished := make(chan error, 1)
		go func() { finished <- b.queue.Run(run) }()
		<-done
		if r, err = b.Result(t.Context(), r.ID); err != nil || r.Verdict != Pass || !r.AliasSet || r.Rows != 100 {
			t.Errorf("%+v %v", r, err)
		}
		broken := b.version(t, "absent", "python_function: {loader_module: x}")
		if r, err = b.Check(t.Context(), CheckRequest{Gate: g, Model: "m", Version: broken}); err != nil || r.Verdict != Error || !strings.Contains(r.Note, "ONNX Runtime") {
			t.Errorf("%+v %v", r, err)
		}
		cancel()
		if err := <-finished; err != nil {
			t.Error(err)
		}
	})
}

func TestParseGate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "name",
		"[1]":                                   "gate",
		"{name: g, dataset: d, rulez: []}":      "rulez",
		"{name: g, dataset: d, rules: []}":      "rules",
		"{name: g, dataset: d, rules: [5]}":     "rules[0]",
		"{name: g, rules: [{schema: true}]}":    "dataset",
		"{name: &a g, dataset: d, rules: [*a]}": "anchors",
		"{name: g, dataset: d, rules: [{metric: mae, maxx: 1}]}":                            "rules[0]",
		"{name: g, dataset: d, rules: [{schema: true}, {metric: mae}]}":                     "rules[1] (mae)",
		"{name: g, dataset: d, rules: [{metric: smape, max: 1}]}":                           "rules[0] (smape)",
		"{name: g, dataset: d, rules: [{metric: mae, max: 1, schema: true}]}":               "rules[0]",
		"{name: g, dataset: d, rules: [{better_than: champion}]}":                           "rules[0] (better than champion)",
		"{name: g, dataset: d, rules: [{better_than: naive_mean, metric: accuracy}]}":       "naive_mean does not go",
		"{name: g, dataset: d, rules: [{better_than: champion, metric: mae, margin: 2}]}":   "margin",
		"{name: g, dataset: d, rules: [{metric: mae, max: 1}, {metric: accuracy, min: 0}]}": "rules[1] (accuracy)",
		"{name: g, dataset: d, rules: [{latency_p95_ms: -1}]}":                              "latency_p95_ms",
		"{name: g, dataset: d, rules: [{metric: mae, min: 2, max: 1}]}":                     "min at most max",
		"{name: g, dataset: d, task: clustering, rules: [{schema: true}]}":                  "task",
		"{name: g, dataset: d, rules: [{metric: mae, max: .nan}]}":                          "finite",
		strings.Repeat("x", maxGateBytes+1):                                                 "bytes",
		"{name: g, dataset: d, rules: [" + strings.Repeat("{schema: true},", 51) + "]}":     "rules",
	} {
		_, err := ParseGate([]byte(text))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.90s: want invalid with %q, got %v", text, want, err)
		}
	}
	g := gate(t, `{"name":"g","dataset":"d@3","rules":[{"better_than":"champion","metric":"mae","margin":0.1},{"latency_p95_ms":50}]}`)
	if g.Rules[0].Margin != 0.1 || *g.Rules[1].LatencyP95MS != 50 {
		t.Fatalf("%+v", g)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, dbtest.SQLite(t))
	b.lines(t, "lines", 100)
	b.version(t, "good", "lightgbm: {}")
	post := func(body string) (int, string) {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/gates/check", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		b.http.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"gate":{"name":"g","dataset":"lines@1","rules":[{"metric":"mae","max":1}]},"model":"m","version":"1"}`, 200, `"verdict":"pass"`},
		{`{"gate":"name: g\ndataset: lines\nrules:\n  - {metric: mae, max: 0.001}\n","model":"m","version":"1"}`, 200, `"verdict":"fail"`},
		{`{"gate":{"name":"g","dataset":"lines@1","rules":[{"metric":"mae","maxx":1}]},"model":"m","version":"1"}`, 400, `"field":"rules[0]"`},
		{`{"gate":{"name":"g","dataset":"none@1","rules":[{"metric":"mae","max":1}]},"model":"m","version":"1"}`, 404, `no dataset`},
		{`{"gate":{"name":"g","dataset":"lines@9","rules":[{"metric":"mae","max":1}]},"model":"m","version":"1"}`, 404, `no version 9`},
		{`{"gate":{"name":"g","dataset":"lines@x","rules":[{"metric":"mae","max":1}]},"model":"m","version":"1"}`, 400, `whole number`},
		{`{"gate":{"name":"g","dataset":"lines","target":"zz","rules":[{"metric":"mae","max":1}]},"model":"m","version":"1"}`, 400, `gate.target`},
		{`{"gate":{"name":"g","dataset":"lines","rules":[{"schema":true}]},"model":"none","version":"1"}`, 404, `no registered model`},
		{`{"gate":{"name":"g","dataset":"lines","rules":[{"schema":true}]},"model":"m","version":"7"}`, 404, `has no version`},
		{`{"gate":{"name":"g","dataset":"lines","rules":[{"schema":true}]},"model":"m","version":"1","alias_on_pass":"latest"}`, 400, `latest`},
		{`{"model":"m","version":"1"}`, 400, `gate`},
		{``, 400, `body`},
	} {
		status, body := post(c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", c.body, status, body)
		}
	}
	w := httptest.NewRecorder()
	b.http.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/gates/results?model=m&version=1&page_size=1", nil))
	var page Results
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 || page.Items[0].Verdict != Fail || page.NextPageToken == "" {
		t.Fatal(w.Body.String(), err)
	}
	w = httptest.NewRecorder()
	b.http.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/gates/results/none", nil))
	if w.Code != 404 {
		t.Fatal(w.Code)
	}
}
