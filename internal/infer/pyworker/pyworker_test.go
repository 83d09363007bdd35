package pyworker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/infer/pyworker"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" {
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "test-server" {
		testServer(os.Args[2], os.Args[3])
	}
	os.Exit(m.Run())
}

var requirements = []string{"mlflow-skinny==3.17.2", "scikit-learn==1.7.2", "pandas==2.3.3", "numpy==2.2.6", "skops==0.13.0", "cloudpickle==3.1.2"}

// lab is the environment and the models that the tests share.
type lab struct {
	envs   *pyenv.Manager
	models string
	dir    string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	if os.Getenv("MODELYARD_TEST_PYTHON") == "" {
		t.Skip("builds a Python environment with scikit-learn and mlflow: set MODELYARD_TEST_PYTHON=1 to run it")
	}
	l := &lab{models: t.TempDir(), dir: t.TempDir()}
	cache := os.Getenv("MODELYARD_TEST_ENVS") // a developer may keep environments between runs
	if cache == "" {
		cache = t.TempDir()
	}
	l.envs = pyenv.New(pyenv.Deps{Dir: cache})
	env, err := l.envs.Ensure(t.Context(), pyenv.Spec{Python: "3.11", Requirements: requirements}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), env.Python, append([]string{"testdata/make_models.py", l.models}, requirements...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the models: %v\n%s", err, out)
	}
	return l
}

func (l *lab) load(t testing.TB, name string, opts pyworker.Options) infer.Model {
	t.Helper()
	m, err := l.tryLoad(t, filepath.Join(l.models, name), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (l *lab) tryLoad(t testing.TB, dir string, opts pyworker.Options) (infer.Model, error) {
	t.Helper()
	if opts.Backoff == 0 {
		opts.Backoff = 10 * time.Millisecond
	}
	rt := pyworker.New(pyworker.Deps{Envs: l.envs, Dir: l.dir, Options: opts, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	return infer.Load(t.Context(), dir, infer.Options{Python: rt})
}

func words(what ...string) *infer.Frame {
	return &infer.Frame{Rows: len(what), Columns: []infer.Column{{Name: "what", Kind: infer.String, Strings: what}}}
}

func ask(t testing.TB, m infer.Model, in *infer.Frame) *infer.Output {
	t.Helper()
	out, err := m.Predict(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPython(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("pipeline", func(t *testing.T) { t.Parallel(); testPipeline(t, l) })
	t.Run("tensor", func(t *testing.T) { t.Parallel(); testTensor(t, l) })
	t.Run("answers", func(t *testing.T) { t.Parallel(); testAnswers(t, l) })
	t.Run("faults", func(t *testing.T) { t.Parallel(); testFaults(t, l) })
	t.Run("crash", func(t *testing.T) { t.Parallel(); testCrash(t, l) })
	t.Run("queue", func(t *testing.T) { t.Parallel(); testQueue(t, l) })
	t.Run("memory", func(t *testing.T) { t.Parallel(); testMemory(t, l) })
	t.Run("private", func(t *testing.T) { t.Parallel(); testPrivate(t, l) })
	t.Run("server dies", func(t *testing.T) { t.Parallel(); testServerDies(t, l) })
	t.Run("unloadable", func(t *testing.T) { t.Parallel(); testUnloadable(t, l) })
}

// testPipeline asks the commonest model of all for what scikit-learn itself said, over two workers at once.
func testPipeline(t *testing.T, l *lab) {
	m := l.load(t, "pipeline", pyworker.Options{Workers: 2})
	info := m.Info()
	if info.Runtime != infer.RuntimePython || info.Flavor != "sklearn" || info.Bytes < 50<<20 || len(info.Inputs) != 4 {
		t.Errorf("info %+v", info)
	}
	if d := cmp.Diff([]string{"buys", "leaves"}, info.Classes); d != "" {
		t.Error(d)
	}
	t.Log(info.Engine, info.Notes)
	var rows []struct {
		City, Label string
		Age, P0, P1 float64
		Visits      int64
		Member      bool
	}
	data, err := os.ReadFile(filepath.Join(l.models, "expected.json"))
	if err == nil {
		err = json.Unmarshal(data, &rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	var city, labels []string
	var age, probability []float64
	var visits []int64
	var member []bool
	for _, r := range rows {
		city, age, visits, member = append(city, r.City), append(age, r.Age), append(visits, r.Visits), append(member, r.Member)
		labels, probability = append(labels, r.Label), append(probability, r.P0, r.P1)
	}
	in := &infer.Frame{Rows: len(rows), Columns: []infer.Column{
		{Name: "city", Kind: infer.String, Strings: city},
		{Name: "age", Kind: infer.Float64, Floats: age},
		{Name: "visits", Kind: infer.Int64, Ints: visits},
		{Name: "member", Kind: infer.Bool, Bools: member},
	}}
	want := &infer.Output{
		Rows: len(rows), Array: true,
		Columns: []infer.Column{{Name: "prediction", Kind: infer.String, Strings: labels}},
		Extra:   []infer.Column{{Name: "probability", Kind: infer.Float64, Floats: probability, Shape: []int{2}}},
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			out, err := m.Predict(t.Context(), in)
			if err != nil {
				t.Error(err)
			} else if d := cmp.Diff(want, out, cmpopts.EquateApprox(0, 1e-12)); d != "" {
				t.Error(d)
			}
		})
	}
	wg.Wait()

	in.Columns[1] = infer.Column{Name: "age", Kind: infer.String, Strings: city}
	var bad *infer.InputError
	if _, err := m.Predict(t.Context(), in); !errors.As(err, &bad) || !strings.Contains(err.Error(), "age") {
		t.Errorf("text for a number: %v", err)
	}
}

func testTensor(t *testing.T, l *lab) {
	m := l.load(t, "tensor", pyworker.Options{})
	out := ask(t, m, &infer.Frame{Rows: 2, Columns: []infer.Column{{Kind: infer.Float64, Floats: []float64{0, 0, 0, 1, 1, 1}, Shape: []int{3}}}})
	if !out.Array || out.Rows != 2 || len(out.Columns) != 1 || !cmp.Equal(out.Columns[0].Shape, []int{2}) || len(out.Columns[0].Floats) != 4 {
		t.Errorf("%+v", out)
	}
}

func testAnswers(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{})
	day := int64(24 * time.Hour / time.Microsecond)
	for what, want := range map[string]*infer.Output{
		"frame": {Rows: 2, Columns: []infer.Column{
			{Name: "n", Kind: infer.Int64, Ints: []int64{0, 1}},
			{Name: "x", Kind: infer.Float64, Floats: []float64{0, 1}},
			{Name: "s", Kind: infer.String, Strings: []string{"", "ü1"}, Valid: []bool{false, true}},
			{Name: "t", Kind: infer.Datetime, Ints: []int64{19723 * day, 19724 * day}},
			{Name: "b", Kind: infer.Bool, Bools: []bool{true, false}},
			{Name: "j", Kind: infer.JSON, Strings: []string{`{"i": 0, "l": []}`, `{"i": 1, "l": [1.5]}`}},
			{Name: "c", Kind: infer.String, Strings: []string{"k", "k"}},
		}},
		"series":  {Rows: 2, Columns: []infer.Column{{Name: "half", Kind: infer.Float64, Floats: []float64{0, 0.5}}}},
		"matrix":  {Rows: 2, Array: true, Columns: []infer.Column{{Name: "prediction", Kind: infer.Float64, Floats: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, Shape: []int{2, 3}}}},
		"strings": {Rows: 2, Array: true, Columns: []infer.Column{{Name: "prediction", Kind: infer.String, Strings: []string{"a", "bb"}}}},
	} {
		if d := cmp.Diff(want, ask(t, m, words(what, what)), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	in := &infer.Frame{Rows: 2, Columns: []infer.Column{
		{Name: "what", Kind: infer.String, Strings: []string{"echo", ""}},
		{Name: "f", Kind: infer.Float64, Floats: []float64{1.5, math.NaN()}},
		{Name: "i", Kind: infer.Int64, Ints: []int64{1, 1 << 60}},
		{Name: "s", Kind: infer.String, Strings: []string{"", "日本"}, Valid: []bool{false, true}},
		{Name: "raw", Kind: infer.Binary, Strings: []string{"\x00\xff", ""}},
		{Name: "when", Kind: infer.Datetime, Ints: []int64{1700000000123456, 0}, Valid: []bool{true, false}},
		{Name: "list", Kind: infer.JSON, Strings: []string{"[1, 2]", "[3]"}},
	}}
	if d := cmp.Diff(in.Columns[1:], ask(t, m, in).Columns, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("echo: %s", d)
	}
	p := l.load(t, "params", pyworker.Options{})
	in = words("params")
	in.Params = map[string]any{"scale": 21.0}
	if out := ask(t, p, in); out.Columns[0].Float(0) != 42 {
		t.Errorf("params: %+v", out)
	}
}

func testFaults(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{})
	before := ask(t, m, words("pid")).Columns[0].Ints[0]
	for what, want := range map[string]string{
		"raise": "KeyError: 'no such thing'", "short": "1 rows for 2", "bad": "can't be sent", "exit": "asked to exit (3)",
	} {
		_, err := m.Predict(t.Context(), words(what, what))
		var failure *pyworker.ModelError
		if !errors.As(err, &failure) || !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Internal {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if after := ask(t, m, words("pid")).Columns[0].Ints[0]; after != before {
		t.Error("an exception cost the worker its life")
	}
	if _, err := m.Predict(t.Context(), &infer.Frame{Rows: 2, Columns: []infer.Column{{Name: "a", Kind: infer.Int64, Ints: []int64{1}}}}); err == nil {
		t.Error("a frame of the wrong length was sent")
	}
}

// eventually asks until the worker is back.
func eventually(t *testing.T, m infer.Model, in *infer.Frame) *infer.Output {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		out, err := m.Predict(t.Context(), in)
		if err == nil {
			return out
		}
		if !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Exhausted) {
			t.Fatal(err)
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the worker did not come back")
		}
	}
}

func testCrash(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{CallTimeout: 2 * time.Second})
	first := ask(t, m, words("pid")).Columns[0].Ints[0]
	child := ask(t, m, words("child")).Columns[0].Ints[0]
	_, err := m.Predict(t.Context(), words("crash"))
	if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "exited with status 9") {
		t.Errorf("crash: %v", err)
	}
	if second := eventually(t, m, words("pid")).Columns[0].Ints[0]; second == first {
		t.Error("the same process answers")
	}
	if err := syscall.Kill(int(child), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("what the dead worker started goes on: %v", err)
	}
	_, err = m.Predict(t.Context(), words("hang"))
	if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "took longer than 2s") {
		t.Errorf("hang: %v", err)
	}
	eventually(t, m, words("pid"))
}

func testQueue(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{Queue: 1, CallTimeout: 3 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 { // one in the worker, one in the queue, both left by their callers at last
		wg.Go(func() {
			for ctx.Err() == nil { // until there is room: the calls below take the place in the queue for moments
				if _, err := m.Predict(ctx, words("hang")); err == nil {
					t.Error("hang answered")
				}
			}
		})
	}
	for full := false; !full; { // until both are where they belong
		quick, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := m.Predict(quick, words("pid"))
		stop()
		full = errs.Is(err, errs.Exhausted)
	}
	cancel()
	wg.Wait()
	eventually(t, m, words("pid"))
}

func testMemory(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{MemoryLimit: 500 << 20})
	_, err := m.Predict(t.Context(), words("hog"))
	if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "limit of 500 MiB") {
		t.Errorf("hog: %v", err)
	}
}

func testPrivate(t *testing.T, l *lab) {
	m := l.load(t, "odd", pyworker.Options{Env: []string{"ALLOWED=1"}})
	out := ask(t, m, words("env"))
	for _, name := range []string{"MODELYARD_TEST_PYTHON", "AWS_", "SECRET", "TOKEN", "PIP_", "SSH_"} {
		if strings.Contains(out.Column("env").Strings[0], name) {
			t.Errorf("%s reaches the worker: %s", name, out.Column("env").Strings[0])
		}
	}
	if !strings.Contains(out.Column("env").Strings[0], `"ALLOWED"`) || out.Column("mode").Ints[0] != 0o700 {
		t.Errorf("%+v", out)
	}
	home := out.Column("home").Strings[0]
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(home); !errors.Is(err, os.ErrNotExist) {
		t.Error("the private folder stays")
	}
	if _, err := m.Predict(t.Context(), words("pid")); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

// testServer loads a model, tells the worker's pid and waits to be killed.
func testServer(cache, dir string) {
	rt := pyworker.New(pyworker.Deps{Envs: pyenv.New(pyenv.Deps{Dir: cache}), Dir: filepath.Join(dir, "..", "killed")})
	m, err := infer.Load(context.Background(), dir, infer.Options{Python: rt})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out, err := m.Predict(context.Background(), words("pid"))
	fmt.Println(out.Columns[0].Ints[0], err)
	select {}
}

func testServerDies(t *testing.T, l *lab) {
	env, _ := l.envs.Find(t.Context(), pyenv.Spec{Python: "3.11", Requirements: requirements})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "test-server", filepath.Dir(env.Dir), filepath.Join(l.models, "odd"))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(pipe, &pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the worker outlives the server")
		}
	}
}

func testUnloadable(t *testing.T, l *lab) {
	broken := filepath.Join(t.TempDir(), "m")
	if err := os.CopyFS(broken, os.DirFS(filepath.Join(l.models, "pipeline"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(broken, "model.skops"), 100); err != nil {
		t.Fatal(err)
	}
	var load *infer.LoadError
	if _, err := l.tryLoad(t, broken, pyworker.Options{}); !errors.As(err, &load) || !strings.Contains(err.Error(), "BadZipFile") {
		t.Errorf("truncated model: %v", err)
	}
	if err := os.WriteFile(filepath.Join(broken, "requirements.txt"), []byte("scikit-learn==99.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := l.tryLoad(t, broken, pyworker.Options{})
	if !errors.As(err, &load) || !load.Missing || !strings.Contains(err.Error(), "scikit-learn==99.0") || !strings.Contains(load.Hint, "names and versions") {
		t.Errorf("impossible requirement: %v", err)
	}
}

func TestEnvironmentOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte("pandas==2.3.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &infer.Description{MLflowVersion: "2.9.1", Environment: infer.Environment{PythonVersion: "3.10.2"}}
	got, err := pyworker.EnvironmentOf(infer.Source{Dir: dir, Description: d})
	want := pyenv.Spec{Python: "3.10.2", Requirements: []string{"pandas==2.3.3", "mlflow-skinny==2.9.1", "numpy"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func BenchmarkPredict(b *testing.B) {
	l := newLab(b)
	for _, c := range []struct {
		model string
		in    *infer.Frame
	}{
		{"odd", words("x")},
		{"pipeline", &infer.Frame{Rows: 1, Columns: []infer.Column{
			{Name: "city", Kind: infer.String, Strings: []string{"Ulm"}}, {Name: "age", Kind: infer.Float64, Floats: []float64{33}},
			{Name: "visits", Kind: infer.Int64, Ints: []int64{3}}, {Name: "member", Kind: infer.Bool, Bools: []bool{true}},
		}}},
	} {
		b.Run(c.model, func(b *testing.B) {
			m := l.load(b, c.model, pyworker.Options{})
			b.Log(m.Info().Notes)
			for b.Loop() {
				ask(b, m, c.in)
			}
		})
	}
}
