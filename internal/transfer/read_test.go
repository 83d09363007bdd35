package transfer

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// unpack gives the folder of a fixture: db/ and mlruns/, made by conformance/transfer/make_fixtures.py with real MLflow.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		p := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(p, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(p, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, from string, artifacts ...string) Source {
	t.Helper()
	s, err := Open(t.Context(), From{Server: Server{URL: from}, Artifacts: artifacts})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.(io.Closer); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
	return s
}

// TestReaders compares what the readers give with what MLflow's own client read from the same store.
func TestReaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mlflow2", "mlflow3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := unpack(t, name)
			for kind, from := range map[string]string{"db": "sqlite:///" + dir + "/db/mlflow.db", "mlruns": filepath.Join(dir, "mlruns")} {
				want := map[string]any{}
				b, err := os.ReadFile(filepath.Join("testdata", name+"-"+kind+".json"))
				if err == nil {
					err = json.Unmarshal(b, &want)
				}
				if err != nil {
					t.Fatal(err)
				}
				if name == "mlflow3" && kind == "mlruns" {
					keepSteps(want)
				}
				got := dump(t, open(t, from))
				if name == "mlflow3" && kind == "db" {
					v := got["models"].(map[string]any)["wine-quality"].(map[string]any)["versions"].(map[string]any)["2"].(map[string]any)
					if !strings.HasPrefix(v["model_id"].(string), "m-") {
						t.Errorf("version 2 names no logged model: %v", v)
					}
					v["model_id"] = "" // MLflow's SQL store has no column for it; we read it from the source
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("%s: MLflow -, ours +\n%s", kind, diff)
				}
			}
		})
	}
}

// keepSteps mends what MLflow's file store reads wrongly: of points that name a dataset it writes the step and reads 0.
func keepSteps(want map[string]any) {
	for _, r := range want["runs"].(map[string]any) {
		points, ok := r.(map[string]any)["history"].(map[string]any)["rmse"].([]any)
		if !ok {
			continue
		}
		for i := range points {
			points[i].([]any)[0] = float64(i)
		}
	}
}

// dump is story.dump of conformance/transfer, on a Source.
func dump(t *testing.T, s Source) map[string]any {
	t.Helper()
	ctx := t.Context()
	out := map[string]map[string]any{"experiments": {}, "runs": {}, "models": {}, "logged_models": {}}
	es, err := s.Experiments(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		out["experiments"][e.Name] = map[string]any{"tags": e.Tags, "lifecycle": stage(e.Deleted)}
		err := errors.Join(s.Runs(ctx, e, func(page []Run) error {
			for _, r := range page {
				out["runs"][r.ID] = dumpRun(t, s, e, r)
			}
			return nil
		}), s.LoggedModels(ctx, e, func(page []LoggedModel) error {
			for _, m := range page {
				out["logged_models"][m.ID] = map[string]any{"experiment": e.Name, "name": m.Name, "type": m.Type, "status": m.Status, "run": m.RunID, "created": m.Created,
					"params": m.Params, "tags": m.Tags, "metrics": dumpMetrics(m.Metrics), "files": dumpFiles(t, s, m.Owner())}
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	ms, err := s.RegisteredModels(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		versions := map[string]any{}
		for _, v := range m.Versions {
			versions[v.Version] = map[string]any{"run": v.RunID, "description": v.Description, "tags": v.Tags, "stage": v.Stage, "status": v.Status, "created": v.Created, "model_id": v.ModelID}
		}
		delete(m.Tags, "_mlflow_experiment_ids") // ids differ between stores
		delete(m.Tags, isPrompt)                 // which MLflow's client hides
		out["models"][m.Name] = map[string]any{"description": m.Description, "tags": m.Tags, "aliases": m.Aliases, "versions": versions}
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	plain := map[string]any{}
	if err := json.Unmarshal(b, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

func stage(gone bool) string {
	if gone {
		return deleted
	}
	return "active"
}

func dumpRun(t *testing.T, s Source, e Experiment, r Run) map[string]any {
	t.Helper()
	out := map[string]any{"experiment": e.Name, "name": r.Name, "status": r.Status, "start": r.Start, "end": any(r.End), "user": r.User, "lifecycle": stage(r.Deleted), "params": r.Params, "tags": r.Tags}
	if r.End == 0 {
		out["end"] = nil
	}
	latest, history := map[string]string{}, map[string]any{}
	for k, p := range r.Latest {
		latest[k] = python(p.Value)
		var points []Point
		if err := s.History(t.Context(), r, k, func(part []Point) error { points = append(points, part...); return nil }); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(points, func(a, b Point) int {
			return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Time, b.Time), cmp.Compare(python(a.Value), python(b.Value)))
		})
		rows := []any{}
		for _, p := range points {
			rows = append(rows, []any{p.Step, p.Time, python(p.Value)})
		}
		history[k] = rows
	}
	out["latest"], out["history"] = latest, history
	inputs := []any{}
	for _, in := range r.Inputs {
		inputs = append(inputs, []any{in.Name, in.Digest, in.SourceType, in.Source, in.Schema, in.Profile, in.Tags})
	}
	out["inputs"] = inputs
	if _, v3 := s.(*sqlite); v3 && s.(*sqlite).has("logged_models", "model_id") || hasModels(s) {
		refs := []any{}
		for _, m := range sortedRefs(r.ModelOutputs) {
			refs = append(refs, []any{m.ModelID, m.Step})
		}
		out["outputs"] = refs
	}
	if !r.Deleted {
		out["files"] = dumpFiles(t, s, r.Owner())
	}
	return out
}

// hasModels reports whether a folder was written by MLflow 3, whose meta.yaml name a workspace.
func hasModels(s Source) bool {
	m, ok := s.(*mlruns)
	if !ok {
		return false
	}
	es, err := m.folders(".")
	if err != nil || len(es) == 0 {
		return false
	}
	var meta struct {
		Workspace string `yaml:"workspace"`
	}
	return m.meta(es[0], &meta) == nil && meta.Workspace != ""
}

func dumpMetrics(in []ModelMetric) []any {
	out := []any{}
	for _, m := range in {
		out = append(out, []any{m.Key, m.Dataset, m.DatasetDigest, m.RunID, m.Step, m.Time, python(m.Value)})
	}
	return out
}

func dumpFiles(t *testing.T, s Source, o Owner) map[string]string {
	t.Helper()
	out := map[string]string{}
	tree, err := s.Files(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	list, err := tree.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		r, err := tree.Open(t.Context(), f.Path)
		if err == nil {
			out[f.Path], err = hashOf(r)
		}
		if err != nil || f.Refused != "" {
			t.Fatal(f.Path, f.Refused, err)
		}
	}
	return out
}

// python is repr(float) for the values of the fixtures.
func python(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	form := byte('g')
	if a := math.Abs(v); a >= 1e-4 && a < 1e16 {
		form = 'f'
	}
	s := strconv.FormatFloat(v, form, -1, 64)
	if v == math.Trunc(v) && form == 'f' || v == 0 {
		s += ".0"
	}
	return s
}

// fake is a source of one run, for what no real store of the tests is large or odd enough.
type fake struct {
	Source
	runs   []Run
	points []Point
	files  Tree
}

func (f fake) Experiments(context.Context) ([]Experiment, error) {
	return []Experiment{{ID: "7", Name: "made up", Created: 1}}, nil
}
func (f fake) Runs(_ context.Context, _ Experiment, page func([]Run) error) error {
	return page(f.runs)
}
func (f fake) History(_ context.Context, _ Run, _ string, part func([]Point) error) error {
	return part(f.points)
}
func (f fake) LoggedModels(context.Context, Experiment, func([]LoggedModel) error) error { return nil }
func (f fake) RegisteredModels(context.Context) ([]RegisteredModel, error)               { return nil, nil }
func (f fake) Files(context.Context, Owner) (Tree, error) {
	if f.files == nil {
		return noFiles{}, nil
	}
	return f.files, nil
}
