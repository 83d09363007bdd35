package transfer

import (
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/client"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

// twoTeams is MLflow's own SQLite file with two of its experiments and its registry in the workspace team-a, and one of the same name in the
// default one.
func twoTeams(t *testing.T) string {
	t.Helper()
	file := filepath.Join(unpack(t, "mlflow3"), "db", "mlflow.db")
	d, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, q := range []string{
		"INSERT INTO workspaces (name) VALUES ('team-a')", "UPDATE experiments SET workspace = 'team-a' WHERE name IN ('wines', 'given up')", "UPDATE experiments SET name = 'wines' WHERE name = 'other/one'",
		"UPDATE registered_models SET workspace = 'team-a'", "UPDATE model_versions SET workspace = 'team-a'", "UPDATE registered_model_tags SET workspace = 'team-a'",
		"UPDATE registered_model_aliases SET workspace = 'team-a'", "UPDATE model_version_tags SET workspace = 'team-a'",
	} {
		if _, err := d.ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	return file
}

func openIn(t *testing.T, from, workspace string) Source {
	t.Helper()
	s, err := Open(t.Context(), From{Server: Server{URL: from, Workspace: workspace}})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.(io.Closer); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
	return s
}

func within(t *testing.T, s *testkit.Server, workspace string) *Native {
	t.Helper()
	c, err := client.New(client.Options{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	n, err := OpenNative(t.Context(), c, "", workspace)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func makeWorkspaces(t *testing.T, s *testkit.Server, names ...string) {
	t.Helper()
	for _, name := range names {
		if status, body := s.Do(t, "POST", "/api/v1/workspaces", `{"name":"`+name+`"}`); status != 201 {
			t.Fatal(status, body)
		}
	}
}

// TestWorkspaces moves one workspace of a store into one here, and on to another server's: everything is in it, compared in it, a second
// time nothing happens, and the other workspaces see nothing of it.
func TestWorkspaces(t *testing.T) {
	t.Parallel()
	file := twoTeams(t)
	src := openIn(t, file, "team-a")
	s := testkit.Start(t)
	makeWorkspaces(t, s, "team-b", "team-c")
	dst := within(t, s, "team-b")
	r := move(t, src, dst, Options{})
	if !r.Complete() || len(r.Problems) > 0 || count(r, nounRun).Created != 5 || count(r, nounExperiment).Created != 2 || count(r, nounRegistered).Created+count(r, nounPrompt).Created != 2 || r.Files == 0 {
		t.Fatalf("%+v", r)
	}
	for _, o := range []Options{{}, {Full: true}} {
		if r = move(t, src, dst, o); !r.Complete() || count(r, nounRun).Created+count(r, nounExperiment).Created+count(r, nounVersion).Created > 0 || !o.Full && written(r) > 0 {
			t.Errorf("again: %+v", r)
		}
	}
	want, got := dump(t, src), dump(t, dst.Reader())
	dropOutputs(want)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("source -, here +\n%s", diff)
	}
	for _, other := range []string{"", "team-c"} {
		if d := dump(t, within(t, s, other).Reader()); len(d["runs"].(map[string]any))+len(d["models"].(map[string]any)) > 0 {
			t.Errorf("the workspace %q sees %v", other, d)
		}
	}
	if status, body := s.Do(t, "GET", "/api/v1/models/team-b:wine-quality", ""); status != 200 {
		t.Error(status, body)
	}
	// the default workspace of the source, whose experiment has the same name, goes beside it
	plain := within(t, s, "")
	if r = move(t, openIn(t, file, ""), plain, Options{}); !r.Complete() || count(r, nounRun).Created != 1 || count(r, nounRegistered).Source != 0 {
		t.Errorf("%+v", r)
	}
	// a run is in one workspace: into another one it does not come, and that is said
	elsewhere := within(t, s, "team-c")
	for range 2 {
		r = move(t, src, elsewhere, Options{})
		if r.Complete() || count(r, nounRun).Problems != 5 || !strings.Contains(r.Problems[0].What, "workspace") {
			t.Errorf("%+v", r)
		}
	}
	if r = move(t, src, dst, Options{}); !r.Complete() || written(r) > 0 {
		t.Errorf("the attempt harmed what is there: %+v", r)
	}
	exportOfOne(t, dst, file)
}

// exportOfOne moves a workspace from here to another server's workspace of another name.
func exportOfOne(t *testing.T, from *Native, file string) {
	t.Helper()
	s := testkit.Start(t)
	makeWorkspaces(t, s, "team-z")
	to, err := OpenMLflow(t.Context(), Server{URL: s.URL, Workspace: "team-z"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r, err := Copy(t.Context(), from.Reader(), to, Options{})
		if err != nil || !r.Complete() || i == 0 && count(r, nounRun).Created != 5 || i == 1 && written(r) > 0 {
			t.Fatalf("%d: %+v %v", i, r, err)
		}
	}
	want := dump(t, openIn(t, file, "team-a"))["models"].(map[string]any)
	if got := dump(t, within(t, s, "team-z").Reader())["models"].(map[string]any); len(got) != len(want) {
		t.Errorf("models %v, expected those of %v", got, want)
	}
	if d := dump(t, within(t, s, "").Reader()); len(d["runs"].(map[string]any))+len(d["models"].(map[string]any)) > 0 {
		t.Errorf("the default workspace sees %v", d)
	}
}

func hint(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func TestWorkspacesThatAreNotThere(t *testing.T) {
	t.Parallel()
	dst, s := target(t)
	c := dst.c
	for name, kind := range map[string]errs.Kind{"nobody": errs.NotFound, "Not A Name": errs.Invalid} {
		if _, err := OpenNative(t.Context(), c, "", name); !errs.Is(err, kind) {
			t.Errorf("%s: %v", name, err)
		} else if kind == errs.NotFound && !strings.Contains(hint(err), "modelyard workspace create nobody") {
			t.Errorf("the error does not say how to make it: %v", hint(err))
		}
	}
	// deleted between the check and the import
	makeWorkspaces(t, s, "short")
	gone := within(t, s, "short")
	if status, body := s.Do(t, "DELETE", "/api/v1/workspaces/short?mode=RESTRICT", ""); status >= 300 {
		t.Fatal(status, body)
	}
	if _, err := Copy(t.Context(), openIn(t, twoTeams(t), ""), gone, Options{KeepsIDs: true}); err == nil {
		t.Error("an import went into a workspace that was deleted")
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // knows nothing of workspaces
		if strings.HasSuffix(r.URL.Path, "experiments/search") {
			_, _ = io.WriteString(w, `{}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(old.Close)
	plain := filepath.Join(unpack(t, "mlflow2"), "db", "mlflow.db")
	for _, x := range []struct {
		from string
		kind errs.Kind
	}{
		{old.URL, errs.Precondition}, {s.URL, errs.NotFound}, {plain, errs.Precondition}, {twoTeams(t), errs.NotFound}, {folder(t, ""), errs.Invalid},
	} {
		if _, err := Open(t.Context(), From{Server: Server{URL: x.from, Workspace: "nobody"}}); !errs.Is(err, x.kind) || hint(err) == "" {
			t.Errorf("%s: %v", x.from, err)
		}
		openIn(t, x.from, "default")
	}
	if _, err := OpenMLflow(t.Context(), Server{URL: s.URL, Workspace: "nobody"}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}
