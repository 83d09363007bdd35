package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

func write(t *testing.T, p, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const oneRun = "0123456789abcdef0123456789abcdef"

// folder is an mlruns folder of one experiment and one run.
func folder(t *testing.T, uri string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mlruns")
	write(t, filepath.Join(dir, "1", "meta.yaml"), "experiment_id: '1'\nname: one\nlifecycle_stage: active\n")
	write(t, filepath.Join(dir, "1", oneRun, "meta.yaml"), "run_id: "+oneRun+"\nstatus: 3\nstart_time: 1700000000000\nartifact_uri: "+uri+"\n")
	write(t, filepath.Join(dir, "1", oneRun, "artifacts", "ok.txt"), "fine")
	return dir
}

func theRun(t *testing.T, s Source) (Run, error) {
	t.Helper()
	es, err := s.Experiments(t.Context())
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	var out Run
	err = s.Runs(t.Context(), es[0], func(page []Run) error { out = page[0]; return nil })
	return out, err
}

func listed(t *testing.T, s Source, r Run) []File {
	t.Helper()
	tree, err := s.Files(t.Context(), r.Owner())
	if err != nil {
		t.Fatal(err)
	}
	list, err := tree.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestLinksDoNotLeaveTheFolder: what a link leads to outside is not read, and the rest is.
func TestLinksDoNotLeaveTheFolder(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret.txt")
	write(t, secret, "secret")
	dir := folder(t, "file:///somewhere")
	files := filepath.Join(dir, "1", oneRun, "artifacts")
	for name, to := range map[string]string{"abs.txt": secret, "rel.txt": "../../../../../../../../etc/passwd", "folder": filepath.Dir(secret), "inside.txt": "ok.txt", "loop": "."} {
		if err := os.Symlink(to, filepath.Join(files, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	r, err := theRun(t, s)
	if err != nil {
		t.Fatal(err)
	}
	fine := []string{}
	for _, f := range listed(t, s, r) {
		if f.Refused == "" {
			fine = append(fine, f.Path)
		}
	}
	if got := strings.Join(fine, " "); got != "inside.txt ok.txt" {
		t.Errorf("read: %s", got)
	}
	tree, err := s.Files(t.Context(), r.Owner())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"abs.txt", "rel.txt", "folder/secret.txt", "../../../../secret.txt"} {
		if f, err := tree.Open(t.Context(), p); err == nil {
			t.Errorf("%s was opened", p)
			_ = f.Close()
		}
	}
	if err := os.Symlink(secret, filepath.Join(dir, "1", oneRun, "tags")); err != nil {
		t.Fatal(err)
	}
	if r, err := theRun(t, s); err == nil && len(r.Tags) > 0 {
		t.Errorf("tags were read through a link: %v", r.Tags)
	}
}

// TestAddressesInAStoreAreData: an artifact address outside the folders that are read leads nowhere.
func TestAddressesInAStoreAreData(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret.txt"), "secret")
	for _, uri := range []string{"file://" + outside, outside, "../../../../../../../../etc", "file:///etc"} {
		dir := folder(t, uri)
		s := open(t, dir)
		r, err := theRun(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if list := listed(t, s, r); len(list) != 1 || list[0].Path != "ok.txt" {
			t.Errorf("%s: %v", uri, list)
		}
		if err := os.RemoveAll(filepath.Join(dir, "1", oneRun, "artifacts")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Files(t.Context(), r.Owner()); !errs.Is(err, errs.Precondition) || !strings.Contains(fmt.Sprint(err.(*errs.Error).Hint), "--artifacts") { //nolint:errorlint // made here
			t.Errorf("%s: %v", uri, err)
		}
	}
	s := open(t, folder(t, "s3://bucket/x"))
	r, err := theRun(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Files(t.Context(), r.Owner()); !errs.Is(err, errs.Invalid) {
		t.Errorf("s3: %v", err)
	}
}

func TestMalformedFolders(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, change := range map[string]func(run string){
		"yaml bomb":   func(run string) { write(t, filepath.Join(run, "meta.yaml"), bomb+"run_id: "+oneRun+"\n") },
		"nested yaml": func(run string) { write(t, filepath.Join(run, "meta.yaml"), "run_id: "+strings.Repeat("[", 100_000)) },
		"python tag": func(run string) {
			write(t, filepath.Join(run, "meta.yaml"), "run_id: !!python/object/apply:os.system ['true']\n")
		},
		"binary":         func(run string) { write(t, filepath.Join(run, "meta.yaml"), "\x00\xff\xfe") },
		"another id":     func(run string) { write(t, filepath.Join(run, "meta.yaml"), "run_id: ../../x\n") },
		"words":          func(run string) { write(t, filepath.Join(run, "metrics", "m"), "1700000000000 not-a-number 0\n") },
		"one word":       func(run string) { write(t, filepath.Join(run, "metrics", "m"), "1700000000000\n") },
		"endless line":   func(run string) { write(t, filepath.Join(run, "metrics", "m"), strings.Repeat("1", 1<<20)) },
		"huge parameter": func(run string) { write(t, filepath.Join(run, "params", "p"), strings.Repeat("x", maxText+1)) },
		"dataset outside": func(run string) {
			write(t, filepath.Join(run, "inputs", "i", "meta.yaml"), "source_type: DATASET\nsource_id: ../../../../etc\n")
		},
	} {
		dir := folder(t, "x")
		change(filepath.Join(dir, "1", oneRun))
		if r, err := theRun(t, open(t, dir)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	if _, err := Open(t.Context(), From{Server: Server{URL: t.TempDir()}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Open(t.Context(), From{Server: Server{URL: filepath.Join(t.TempDir(), "none")}}); !errs.Is(err, errs.NotFound) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Open(t.Context(), From{Server: Server{URL: "postgresql://u:p@h/db"}}); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "u:p") {
		t.Errorf("postgresql: %v", err)
	}
}

func TestCorruptDatabases(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "mlflow2")
	whole, err := os.ReadFile(filepath.Join(dir, "db", "mlflow.db"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error {
		p := filepath.Join(t.TempDir(), "mlflow.db")
		write(t, p, string(b))
		s, err := OpenSQLite(t.Context(), p, "", nil)
		if err != nil {
			return err
		}
		defer func() { _ = s.(*sqlite).Close() }()
		es, err := s.Experiments(t.Context())
		for _, e := range es {
			if err == nil {
				err = s.Runs(t.Context(), e, func(page []Run) error {
					for _, r := range page {
						for k := range r.Latest {
							if err := s.History(t.Context(), r, k, func([]Point) error { return nil }); err != nil {
								return err
							}
						}
					}
					return nil
				})
			}
		}
		if err == nil {
			_, err = s.RegisteredModels(t.Context())
		}
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"empty": {}, "text": []byte("hello"), "head alone": whole[:4096], "noise": []byte("SQLite format 3\x00" + strings.Repeat("\xa5", 9000))} {
		if err := read(b); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for at := 4096; at < len(whole); at += 4096 * 7 { // a damaged page is an error or does not matter, never a panic
		b := []byte(string(whole))
		for i := at; i < min(at+4096, len(b)); i++ {
			b[i] ^= 0x5a
		}
		_ = read(b)
	}
}

// TestHostileServer: names, pages and sizes that a server gives are checked.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	reply := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }
	}
	mux.HandleFunc("POST /api/2.0/mlflow/experiments/search", reply(map[string]any{"experiments": []any{map[string]any{"experiment_id": "1", "name": "e"}}, "next_page_token": "again"}))
	mux.HandleFunc("POST /api/2.0/mlflow/runs/search", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>not MLflow</html>")) })
	mux.HandleFunc("GET /api/2.0/mlflow/metrics/get-history", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("GET /api/2.0/mlflow/artifacts/list", func(w http.ResponseWriter, r *http.Request) {
		if dir := r.URL.Query().Get("path"); dir != "" {
			reply(map[string]any{"files": []any{map[string]any{"path": dir, "is_dir": true}, map[string]any{"path": dir + "/x", "is_dir": true}}})(w, r)
			return
		}
		var files []any
		for _, p := range []string{"../../etc/passwd", "/etc/passwd", "a/../../b", `..\x`, "", ".", "c:/x", "other/place.txt", "nul\x00", "%2e%2e/x", "good.txt"} {
			files = append(files, map[string]any{"path": p, "file_size": "3"})
		}
		reply(map[string]any{"files": append(files, map[string]any{"path": "../up", "is_dir": true})})(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := newCaller(Server{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := &rest{c}
	if _, err := s.Experiments(t.Context()); err == nil {
		t.Error("the same page for ever ended")
	}
	if err := s.Runs(t.Context(), Experiment{ID: "1"}, func([]Run) error { return nil }); !errs.Is(err, errs.Invalid) {
		t.Errorf("html: %v", err)
	}
	if err := s.History(t.Context(), Run{}, "m", func([]Point) error { return nil }); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("401: %v", err)
	}
	tree := &restTree{s, Owner{Kind: KindRun, ID: oneRun}}
	list, err := tree.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if (f.Refused == "") != (f.Path == "good.txt") {
			t.Errorf("%q: refused %q", f.Path, f.Refused)
		}
	}
	_, err = walk(t.Context(), func(_ context.Context, dir string) ([]entry, error) {
		return []entry{{Path: strings.TrimPrefix(dir+"/d", "/"), Dir: true}}, nil
	})
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("endless folders: %v", err)
	}
	if _, err := OpenServer(t.Context(), Server{URL: "http://user:password@127.0.0.1:1"}); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "password@") {
		t.Errorf("password in the address: %v", err)
	}
}
