package transfer

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

func target(t *testing.T) (*Native, *testkit.Server) {
	t.Helper()
	s := testkit.Start(t)
	c, err := client.New(client.Options{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	n, err := OpenNative(t.Context(), c, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return n, s
}

func move(t *testing.T, src Source, dst Target, o Options) *Report {
	t.Helper()
	o.KeepsIDs = true
	r, err := Copy(t.Context(), src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func count(r *Report, noun string) Count {
	i := slices.IndexFunc(r.Counts, func(c Count) bool { return c.Noun == noun })
	return r.Counts[i]
}

// written is how many things a report says were created or updated.
func written(r *Report) (n int64) {
	for _, c := range r.Counts {
		n += c.Created + c.Updated
	}
	return n + r.Files + r.Points
}

// TestImportOfRealStores moves what real MLflow wrote, reads it back through the protocol and finds the same; a second time nothing happens.
func TestImportOfRealStores(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mlflow2", "mlflow3"} {
		for _, kind := range []string{"db/mlflow.db", "mlruns"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				src := open(t, filepath.Join(unpack(t, name), filepath.FromSlash(kind)))
				dst, _ := target(t)
				r := move(t, src, dst, Options{})
				if !r.Complete() || len(r.Problems) > 0 || count(r, nounRun).Created != 6 {
					t.Fatalf("%+v", r)
				}
				for _, o := range []Options{{}, {NoArtifacts: true}, {Full: true}} {
					if r = move(t, src, dst, o); !r.Complete() || count(r, nounRun).Created+count(r, nounExperiment).Created+count(r, nounVersion).Created > 0 || !o.Full && written(r) > 0 || r.Files > 0 {
						t.Errorf("again with %+v: %+v", o, r)
					}
				}
				want, got := dump(t, src), dump(t, dst.Reader())
				delete(want["experiments"].(map[string]any), "Default")
				delete(got["experiments"].(map[string]any), "Default")
				dropOutputs(want)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("source -, here +\n%s", diff)
				}
			})
		}
	}
}

// dropOutputs leaves out what dump tells of MLflow 3 stores alone; Copy compares the models of runs itself.
func dropOutputs(d map[string]any) {
	for _, r := range d["runs"].(map[string]any) {
		delete(r.(map[string]any), "outputs")
	}
}

// stopper breaks a source off after some histories, as a kill does.
type stopper struct {
	Source
	left atomic.Int64 // histories come side by side
	stop context.CancelFunc
}

func (s *stopper) History(ctx context.Context, r Run, key string, part func([]Point) error) error {
	if s.left.Add(-1) < 0 {
		s.stop()
		return ctx.Err()
	}
	return s.Source.History(ctx, r, key, part)
}

func TestInterruptedImportGoesOn(t *testing.T) {
	t.Parallel()
	src := open(t, filepath.Join(unpack(t, "mlflow3"), "db", "mlflow.db"))
	dst, _ := target(t)
	tries := 0
	for left := 0; ; left++ {
		ctx, stop := context.WithCancel(t.Context())
		breaks := &stopper{Source: src, stop: stop}
		breaks.left.Store(int64(left))
		r, err := Copy(ctx, breaks, dst, Options{KeepsIDs: true})
		stop()
		if err == nil {
			if !r.Complete() || len(r.Problems) > 0 {
				t.Fatalf("%+v", r)
			}
			break
		}
		if tries++; tries > 30 {
			t.Fatal("it never came to an end: ", err)
		}
	}
	if tries == 0 {
		t.Fatal("it was never interrupted")
	}
	if r := move(t, src, dst, Options{}); written(r) > 0 || !r.Complete() {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestVeryLongHistory goes in several calls and is one history; a second import of a longer one replaces it.
func TestVeryLongHistory(t *testing.T) {
	t.Parallel()
	src := fake{runs: []Run{{ID: oneRun, Experiment: "7", Name: "long", Status: "RUNNING", Start: 1, Latest: map[string]Point{}, Params: map[string]string{}, Tags: map[string]string{}}}}
	for i := range maxSent + 3*historyPage + 7 {
		src.points = append(src.points, Point{Step: int64(i), Time: int64(1000 + i), Value: float64(i % 100)})
	}
	last := src.points[len(src.points)-1]
	src.runs[0].Latest["m"] = last
	dst, _ := target(t)
	if r := move(t, src, dst, Options{}); !r.Complete() || r.Points != int64(len(src.points)) {
		t.Fatalf("%+v", r)
	}
	src.points = append(src.points, Point{Step: last.Step + 1, Time: last.Time + 1, Value: 5})
	src.runs[0].Latest = map[string]Point{"m": src.points[len(src.points)-1]}
	if r := move(t, src, dst, Options{}); !r.Complete() || count(r, nounRun).Updated != 1 {
		t.Fatalf("%+v", r)
	}
}

// lying says other sizes than it gives.
type lying struct{ noFiles }

func (lying) List(context.Context) ([]File, error) {
	return []File{{Path: "short.txt", Size: 10}, {Path: "../out.txt", Size: 1, Refused: "it climbs out"}, {Path: "good.txt", Size: 4}}, nil
}
func (lying) Open(_ context.Context, p string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(map[string]string{"good.txt": "good", "short.txt": "short"}[p])), nil
}

func TestProblemsAreToldAndTheRestIsMoved(t *testing.T) {
	t.Parallel()
	text := map[string]string{}
	src := fake{files: lying{}, runs: []Run{
		{ID: oneRun, Experiment: "7", Name: "a", Status: "FINISHED", Start: 1, End: 2, Latest: map[string]Point{}, Params: text, Tags: text},
		{ID: "not hex", Experiment: "7", Name: "b", Status: "FINISHED", Start: 1, Params: text, Tags: text},
		{ID: strings.Repeat("a", 32), Experiment: "7", Name: "c", Status: "FINISHED", Start: 3, Params: map[string]string{"../up": "1"}, Tags: text},
	}}
	dst, s := target(t)
	r := move(t, src, dst, Options{})
	if r.Complete() || count(r, nounRun).Same != 1 || count(r, nounRun).Problems != 2 || count(r, nounFile).Same != 1 || count(r, nounFile).Problems < 2 {
		t.Fatalf("%+v", r)
	}
	if status, body := s.Do(t, "GET", "/api/v1/runs/"+oneRun+"/files/content?path=good.txt", ""); status != 200 || body != "good" {
		t.Error(status, body)
	}
	if again := move(t, src, dst, Options{}); again.Complete() || count(again, nounRun).Unchanged != 0 && count(again, nounFile).Problems == 0 {
		t.Errorf("what is missing is tried again: %+v", again)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	t.Parallel()
	src := open(t, filepath.Join(unpack(t, "mlflow3"), "mlruns"))
	dst, s := target(t)
	for _, name := range []string{"wines", "given up"} {
		if status, body := s.Do(t, "POST", "/api/v1/experiments", `{"name":"`+name+`"}`); status != 201 {
			t.Fatal(status, body)
		}
	}
	_, err := Copy(t.Context(), src, dst, Options{KeepsIDs: true})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "wines") || !strings.Contains(err.Error(), "given up") {
		t.Fatal(err)
	}
	es, err := dst.Reader().Experiments(t.Context())
	if err != nil || len(es) != 3 {
		t.Fatal("something was written", es, err)
	}
	if r := move(t, src, dst, Options{Prefix: "old/", ModelPrefix: "old-"}); !r.Complete() {
		t.Fatalf("%+v", r)
	}
	if r := move(t, src, dst, Options{Prefix: "old/", ModelPrefix: "old-"}); written(r) > 0 {
		t.Fatalf("%+v", r)
	}
	other := open(t, filepath.Join(unpack(t, "mlflow2"), "mlruns"))
	if r := move(t, other, dst, Options{IntoExisting: true, Experiments: []string{"wines"}, ModelPrefix: "two-"}); !r.Complete() || count(r, nounExperiment).Created != 0 || count(r, nounRun).Created != 4 {
		t.Fatalf("%+v", r)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	src := open(t, filepath.Join(unpack(t, "mlflow3"), "db", "mlflow.db"))
	dst, _ := target(t)
	if r := move(t, src, dst, Options{Experiments: []string{"other/one"}}); !r.Complete() || count(r, nounRun).Source != 1 || count(r, nounRegistered).Source+count(r, nounPrompt).Source+count(r, nounLogged).Source != 0 {
		t.Fatalf("%+v", r)
	}
	if r := move(t, src, dst, Options{Experiments: []string{"wines"}, Since: 1_700_000_000_500, NoArtifacts: true}); !r.Complete() || count(r, nounRun).Source != 3 || count(r, nounFile).Source != 0 {
		t.Fatalf("%+v", r)
	}
	if r := move(t, src, dst, Options{NoArtifacts: true}); !r.Complete() || count(r, nounRun).Source != 6 || r.Files != 0 {
		t.Fatalf("%+v", r)
	}
	r := move(t, src, dst, Options{}) // now with the files
	if !r.Complete() || r.Files != 7 || count(r, nounRun).Unchanged != 6 || count(r, nounVersion).Updated != 2 {
		t.Fatalf("%+v", r)
	}
	if _, err := Copy(t.Context(), src, dst, Options{Experiments: []string{"no such"}}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}

// TestOldAddressesWork: an address of the source's files, with the experiment id it had there, leads to them here.
func TestOldAddressesWork(t *testing.T) {
	t.Parallel()
	dir := folder(t, "mlflow-artifacts:/1/"+oneRun+"/artifacts")
	if err := os.Rename(filepath.Join(dir, "1"), filepath.Join(dir, "535570951907154991")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "535570951907154991", "meta.yaml"), "experiment_id: 535570951907154991\nname: one\nlifecycle_stage: active\n")
	dst, s := target(t)
	if r := move(t, open(t, dir), dst, Options{}); !r.Complete() {
		t.Fatalf("%+v", r)
	}
	for exp, want := range map[string]int{"1": 200, "535570951907154991": 200, "2": 404} {
		if status, body := s.Do(t, "GET", "/api/2.0/mlflow-artifacts/artifacts/"+exp+"/"+oneRun+"/artifacts/ok.txt", ""); status != want {
			t.Error(exp, status, body)
		}
	}
}
