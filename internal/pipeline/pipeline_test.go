package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

// TestMain lets the test binary be the shim that steps run under.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" {
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	os.Exit(m.Run())
}

// tracker counts what it is told.
type tracker struct {
	mu   sync.Mutex
	open map[string]bool
	n    int
}

func (t *tracker) Begin(_ context.Context, _, _ string, _ map[string]string) (string, string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	id := fmt.Sprintf("run%d", t.n)
	t.open[id] = true
	return id, "1", nil
}

func (t *tracker) End(_ context.Context, id string, _ bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
	return nil
}

// server is what runs pipelines: it can be stopped and started again on the same folder.
type server struct {
	*Service
	stop func()
}

func start(t *testing.T, d *db.DB, dir string) server {
	t.Helper()
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	l := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), blob.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	store, err := blob.OpenLocal(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Deps{DB: d, Events: l, Jobs: q, Files: blob.NewFiles(d, store, clock.System{}), Envs: pyenv.New(pyenv.Deps{Dir: filepath.Join(dir, "envs"), Now: time.Now}), Tracker: &tracker{open: map[string]bool{}},
		Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Dir: filepath.Join(dir, "runs")})
	s.Subscribe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	var once sync.Once
	stop := func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return server{s, stop}
}

func await(t *testing.T, s server, id string, until func(Run) bool) Run {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		r, err := s.GetRun(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if until(r) {
			return r
		}
		select {
		case <-deadline:
			t.Fatalf("run is still %s: %+v", r.State, r.Steps)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func ended(r Run) bool { return r.State.Ended() }

func TestStepsRunInOrderAndGiveOutputs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := start(t, d, t.TempDir())
		spec := `
params: {who: {default: world}}
files: [greet.sh]
steps:
  - {name: one, command: [sh, greet.sh]}
  - name: two
    needs: [one]
    run: |
      test "$(cat greeting)" = "hello $MODELYARD_PARAM_WHO"
      test "$MODELYARD_OUTPUT_A" = 1
      echo "b=two words" >> "$MODELYARD_OUTPUT"
`
		if _, err := s.Apply(t.Context(), "greet", spec, map[string]string{"greet.sh": "echo hello $MODELYARD_PARAM_WHO > greeting; echo a=1 >> $MODELYARD_OUTPUT; echo said it"}); err != nil {
			t.Fatal(err)
		}
		r, err := s.StartRun(t.Context(), "greet", map[string]string{"who": "$(rm -rf x)"}, Trigger{Kind: "manual"})
		if err != nil {
			t.Fatal(err)
		}
		r = await(t, s, r.ID, ended)
		if r.State != Succeeded || r.Outputs["a"] != "1" || r.Outputs["b"] != "two words" || r.Steps[0].RunID == "" {
			t.Fatalf("%s %q %v %+v", r.State, r.Error, r.Outputs, r.Steps)
		}
		c, isEnd, err := s.StepLog(t.Context(), r.ID, "one", 0)
		if err != nil || !isEnd || string(c.Data) != "said it\n" {
			t.Fatalf("log %q %v %v", c.Data, isEnd, err)
		}
		if open := s.d.Tracker.(*tracker).open; len(open) != 0 {
			t.Fatalf("tracked runs left open: %v", open)
		}
	})
}

func TestFailureIsRetriedThenSkipsWhatNeedsIt(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), t.TempDir())
	spec := `
steps:
  - {name: flaky, retries: 2, run: "echo x >> tries; test $(wc -l < tries) -ge 2"}
  - {name: bad, needs: [flaky], run: "echo no such luck >&2; exit 3"}
  - {name: never, needs: [bad], run: "true"}
`
	if _, err := s.Apply(t.Context(), "p", spec, nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.StartRun(t.Context(), "p", nil, Trigger{Kind: "manual"})
	if err != nil {
		t.Fatal(err)
	}
	r = await(t, s, r.ID, ended)
	if r.State != Failed || r.step("flaky").State != Succeeded || r.step("flaky").Attempt != 2 || r.step("bad").ExitCode != 3 || r.step("never").State != Skipped {
		t.Fatalf("%s %+v", r.State, r.Steps)
	}
	if !strings.Contains(r.Error, "no such luck") {
		t.Errorf("the error does not show what the step said: %q", r.Error)
	}
	if _, err := s.Retry(t.Context(), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	r = await(t, s, r.ID, func(r Run) bool { return ended(r) && r.step("bad").Attempt == 2 })
	if r.step("flaky").Attempt != 2 {
		t.Errorf("what succeeded was run again")
	}
}

func TestRunSurvivesTheServer(t *testing.T) {
	t.Parallel()
	d, dir := dbtest.SQLite(t), t.TempDir()
	s := start(t, d, dir)
	gate := filepath.Join(dir, "go")
	spec := fmt.Sprintf("steps:\n  - {name: long, run: 'echo begun; while [ ! -e %s ]; do sleep 0.02; done; echo x=1 >> $MODELYARD_OUTPUT; echo done'}\n  - {name: next, needs: [long], run: 'true'}\n", gate)
	if _, err := s.Apply(t.Context(), "long", spec, nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.StartRun(t.Context(), "long", nil, Trigger{Kind: "manual"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, r.ID, func(r Run) bool {
		c, _, err := s.StepLog(t.Context(), r.ID, "long", 0)
		return err == nil && strings.Contains(string(c.Data), "begun")
	})
	s.stop()
	if err := os.WriteFile(gate, nil, 0o600); err != nil { // the step ends while no server runs
		t.Fatal(err)
	}
	s = start(t, d, dir)
	r = await(t, s, r.ID, ended)
	if r.State != Succeeded || r.step("long").Attempt != 1 || r.Outputs["x"] != "1" {
		t.Fatalf("%s %q %+v", r.State, r.Error, r.Steps)
	}
}

// TestServerStopsWhileAStepStarts: at whatever moment the server goes, a step is neither lost nor killed nor run twice.
func TestServerStopsWhileAStepStarts(t *testing.T) {
	t.Parallel()
	d, dir := dbtest.SQLite(t), t.TempDir()
	s := start(t, d, dir)
	if _, err := s.Apply(t.Context(), "short", "steps:\n  - {name: one, run: 'echo x >> tries; sleep 0.05; echo n=$(wc -l < tries) >> $MODELYARD_OUTPUT'}\n", nil); err != nil {
		t.Fatal(err)
	}
	for ms := range 20 {
		r, err := s.StartRun(t.Context(), "short", nil, Trigger{Kind: "manual"})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(ms) * time.Millisecond) // no waiting for something: the moments at which the server goes
		s.stop()
		s = start(t, d, dir)
		if r = await(t, s, r.ID, ended); r.State != Succeeded || r.step("one").Attempt != 1 || r.Outputs["n"] != "1" {
			t.Errorf("stopped after %d ms: %s %q %+v", ms, r.State, r.Error, r.Steps)
		}
	}
}

func TestCancelEndsRunningSteps(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), t.TempDir())
	if _, err := s.Apply(t.Context(), "hang", "steps:\n  - {name: hang, command: [sleep, '600']}\n  - {name: after, needs: [hang], run: 'true'}\n", nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.StartRun(t.Context(), "hang", nil, Trigger{Kind: "manual"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, r.ID, func(r Run) bool { return r.Steps[0].State == Running })
	if _, err := s.Cancel(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	r = await(t, s, r.ID, ended)
	if r.State != Cancelled || r.Steps[0].State != Cancelled || r.Steps[1].State != Cancelled {
		t.Fatalf("%s %+v", r.State, r.Steps)
	}
	if _, err := s.Cancel(t.Context(), r.ID); !errs.Is(err, errs.Precondition) {
		t.Errorf("cancelling twice: %v", err)
	}
}

func TestHangingStepTimesOut(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), t.TempDir())
	if _, err := s.Apply(t.Context(), "hang", "steps:\n  - {name: hang, command: [sleep, '600'], timeout: 200ms}\n", nil); err != nil {
		t.Fatal(err)
	}
	r, err := s.StartRun(t.Context(), "hang", nil, Trigger{Kind: "manual"})
	if err != nil {
		t.Fatal(err)
	}
	if r = await(t, s, r.ID, ended); r.State != Failed || !strings.Contains(r.Error, "time") {
		t.Fatalf("%s %q", r.State, r.Error)
	}
}

func TestBadDefinitionsAreNamed(t *testing.T) {
	t.Parallel()
	for want, spec := range map[string]string{
		"a -> b -> a":             "steps:\n - {name: a, needs: [b], run: x}\n - {name: b, needs: [a], run: x}\n",
		"there is no step \"z\"":  "steps:\n - {name: a, needs: [z], run: x}\n",
		"either command":          "steps:\n - {name: a}\n",
		"is there twice":          "steps:\n - {name: a, run: x}\n - {name: a, run: y}\n",
		"unknown field":           "stepz: []\n",
		"the definition is empty": " \n",
		"0 to 10":                 "steps:\n - {name: a, run: x, retries: 99}\n",
		"cron expression":         "on: {schedule: sometimes}\nsteps:\n - {name: a, run: x}\n",
		"relative path":           "files: [../x]\nsteps:\n - {name: a, run: x}\n",
		"duration such as":        "steps:\n - {name: a, run: x, timeout: soon}\n",
	} {
		if _, err := ParseSpec(spec); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q in %v", spec, want, err)
		}
	}
}

func TestUnknownParameterIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), t.TempDir())
	if _, err := s.Apply(t.Context(), "p", "params: {a: {required: true}}\nsteps:\n - {name: a, run: 'true'}\n", nil); err != nil {
		t.Fatal(err)
	}
	_, err := s.StartRun(t.Context(), "p", map[string]string{"b": "1"}, Trigger{Kind: "manual"})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "params.a") || !strings.Contains(err.Error(), "params.b") {
		t.Fatalf("got %v", err)
	}
	if _, err := s.StartRun(t.Context(), "nothing", nil, Trigger{Kind: "manual"}); !errs.Is(err, errs.NotFound) {
		t.Fatalf("got %v", err)
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add("name: a\nsteps:\n - {name: a, run: x}\n")
	f.Add("steps: [{name: a, needs: [a], command: [x]}]")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = ParseSpec(text) })
}
