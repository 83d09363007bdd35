package mlflow_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/testkit"
)

// attack is a name that tries to mean another place.
type attack struct {
	what, name string
	literal    bool // harmless when taken for what it says: such a name may be kept, in the run that it was written to
}

func attacks() []attack {
	return []attack{
		{"parent", "../canary", false},
		{"parents", "../../../../etc/passwd", false},
		{"parent inside", "a/../../canary", false},
		{"parent at the end", "a/..", false},
		{"absolute", "/etc/passwd", false},
		{"two slashes", "//etc/passwd", false},
		{"backslash", `..\canary`, false},
		{"backslash absolute", `\\host\share`, false},
		{"drive", `C:\canary`, false},
		{"drive with slash", "C:/canary", false},
		{"scheme", "file:///etc/passwd", false},
		{"scheme, short", "file:/etc/passwd", false},
		{"scheme, upper case", "FILE:x", false},
		{"other scheme", "s3://bucket/canary", false},
		{"NUL", "canary\x00.txt", false},
		{"NUL before parent", "a\x00/../canary", false},
		{"newline", "a\nb", false},
		{"right to left", "a\u202etxt.exe", false},
		{"not UTF-8", "a\xff\xfe", false},
		{"overlong dot", "\xc0\xae\xc0\xae/canary", false},
		{"very long", strings.Repeat("a/", 1000) + "x", false},
		{"one long part", strings.Repeat("a", 5000), false},
		{"encoded once more", "%2e%2e/canary", false},
		{"encoded twice more", "%252e%252e/canary", true},
		{"encoded slash", "..%2fcanary", true},
		{"fragment", "a#/../canary", false},
		{"fragment alone", "a#b", true},
		{"semicolon", ";/../canary", false},
		{"semicolon alone", "..;", true},
		{"query", "a?path=../canary", true}, // its first part is "a?path=.."
		{"dot leader look-alike", "\u2024\u2024/canary", true},
		{"two dot leader", "\u2025/canary", true},
		{"full-width dots and slash", "\uff0e\uff0e\uff0fcanary", true},
		{"division slash", "..\u2215canary", true},
		{"tilde", "~/canary", true},
		{"variable", "$HOME/canary", true},
	}
}

// yard is a server whose data folder lies beside a file that nobody may reach.
type yard struct {
	*testkit.Server
	outer, run, other string
}

func newYard(t *testing.T) yard {
	t.Helper()
	outer := t.TempDir()
	if err := os.WriteFile(filepath.Join(outer, "canary"), []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	y := yard{Server: testkit.Start(t, func(c *config.Config) { c.DataDir = filepath.Join(outer, "data") }), outer: outer}
	y.run, y.other = newRun(t, y.Server), newRun(t, y.Server)
	do(t, y.Server, "PUT", y.at(y.other, "canary"), "canary", 200)
	do(t, y.Server, "PUT", y.at(y.run, "kept"), "kept", 200)
	return y
}

func (y yard) at(run, name string) string {
	return "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/" + url.PathEscape(name)
}

// intact checks that no file was written outside the data folder, and that the other run's file is as it was.
func (y yard) intact(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(y.outer)
	if err != nil || len(entries) != 2 {
		t.Errorf("outside the data folder: %v %v", entries, err)
	}
	if b, err := os.ReadFile(filepath.Join(y.outer, "canary")); err != nil || string(b) != "outside" {
		t.Errorf("the file outside: %q %v", b, err)
	}
	if code, text := y.Do(t, "GET", y.at(y.other, "canary"), ""); code != 200 || text != "canary" {
		t.Errorf("the other run's file: %d %q", code, text)
	}
	err = filepath.WalkDir(filepath.Join(y.outer, "data", "blobs"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), "canary") {
			t.Errorf("a name of a client became a file: %s", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// each runs one attack after the other on one server, and checks afterwards that nothing was reached.
func each(t *testing.T, try func(t *testing.T, y yard, a attack)) {
	t.Helper()
	y := newYard(t)
	for _, a := range attacks() {
		t.Run(a.what, func(t *testing.T) { //nolint:paralleltest // one server for all, the state after each is looked at
			try(t, y, a)
			y.intact(t)
		})
	}
}

// answered checks that an attack was refused, or taken for what it says.
func answered(t *testing.T, a attack, code int, text string) {
	t.Helper()
	refused := code == http.StatusBadRequest || code == http.StatusNotFound
	if refused && object(t, text)["error_code"] == "" {
		t.Errorf("refused without a code: %s", text)
	}
	if !refused && (code != http.StatusOK || !a.literal) {
		t.Errorf("%q: %d %.300s", a.name, code, text)
	}
	if strings.Contains(text, "outside") || strings.Contains(text, "root:") || strings.Contains(text, ": no such file") {
		t.Errorf("%q shows what is not its own: %.300s", a.name, text)
	}
}

func TestAttacksOnUpload(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		code, text := y.Do(t, "PUT", y.at(y.run, a.name), "evil")
		answered(t, a, code, text)
		if code == 200 { // it lies under the very name, in its own run
			if code, text := y.Do(t, "GET", y.at(y.run, a.name), ""); code != 200 || text != "evil" {
				t.Errorf("%q: %d %q", a.name, code, text)
			}
		}
	})
}

func TestAttacksOnDownload(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		for _, p := range []string{y.at(y.run, a.name), "/get-artifact?run_id=" + y.run + "&path=" + url.QueryEscape(a.name),
			"/api/2.0/mlflow-artifacts/presigned/0/" + y.run + "/artifacts/" + url.PathEscape(a.name)} {
			code, text := y.Do(t, "GET", p, "")
			answered(t, a, code, text)
			if code == 200 {
				t.Errorf("%s was there: %q", p, text)
			}
		}
	})
}

func TestAttacksOnLists(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		q := url.QueryEscape(a.name)
		for _, p := range []string{"/api/2.0/mlflow-artifacts/artifacts?path=0/" + y.run + "/artifacts/" + q, api + "artifacts/list?run_id=" + y.run + "&path=" + q} {
			code, text := y.Do(t, "GET", p, "")
			answered(t, a, code, text)
			if strings.Contains(text, `"canary"`) {
				t.Errorf("%s lists %s", p, text)
			}
		}
	})
}

// Files of a version are read through two routes of the native API, and what users uploaded never becomes a page of ours.
func TestAttacksOnVersionFiles(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	do(t, y.Server, "PUT", y.at(y.run, "model/MLmodel"), "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n", 200)
	do(t, y.Server, "PUT", y.at(y.run, "model/page.html"), "<script>alert(1)</script>", 200)
	do(t, y.Server, "POST", api+"registered-models/create", `{"name":"m"}`, 200)
	do(t, y.Server, "POST", api+"model-versions/create", `{"name":"m","source":"runs:/`+y.run+`/model"}`, 200)
	files := "/api/v1/models/m/versions/1/files"
	for _, a := range attacks() {
		for _, p := range []string{files + "/content?path=", files + "/preview?path="} {
			code, text := y.Do(t, "GET", p+url.QueryEscape(a.name), "")
			if code != http.StatusBadRequest && code != http.StatusNotFound || object(t, text)["title"] == "" {
				t.Errorf("%s%q: %d %.300s", p, a.name, code, text)
			}
		}
		if code, text := y.Do(t, "GET", files+"?path="+url.QueryEscape(a.name), ""); code >= 500 || strings.Contains(text, "canary\"") {
			t.Errorf("list of %q: %d %.300s", a.name, code, text)
		}
	}
	y.intact(t)
	for _, p := range []string{"m/versions/1", "m%2f..%2fm/versions/1", "m/versions/..%2f1", "m/versions/%2e%2e"} {
		code, text := y.Do(t, "GET", "/api/v1/models/"+p+"/files/preview?path=page.html", "")
		if p == "m/versions/1" {
			if code != 200 || !strings.Contains(text, "script") {
				t.Errorf("%d %s", code, text)
			}
			continue
		}
		if code != http.StatusBadRequest && code != http.StatusNotFound {
			t.Errorf("%s: %d %s", p, code, text)
		}
	}
	for _, p := range []string{files + "/content?path=page.html", "/api/v1/runs/" + y.run + "/files/content?path=model/page.html"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, y.URL+p, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		h := resp.Header
		if !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", p, h)
		}
	}
}

func TestAttacksOnDeletion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		code, text := y.Do(t, "DELETE", y.at(y.run, a.name), "")
		answered(t, a, code, text)
		if code, text := y.Do(t, "GET", y.at(y.run, "kept"), ""); code != 200 || text != "kept" {
			t.Errorf("the run's own file: %d %q", code, text)
		}
	})
}

func TestAttacksOnVersionSources(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		y.Do(t, "POST", api+"registered-models/create", `{"name":"m"}`)
		for _, source := range []string{a.name, "runs:/" + y.run + "/" + a.name, "mlflow-artifacts:/0/" + y.run + "/artifacts/" + a.name, "models:/" + a.name, "mlflow-artifacts:" + a.name} {
			if strings.Contains(source, "\xff") || strings.Contains(source, "\xc0") {
				continue // such a body is refused before it is looked at, see TestBadRequests
			}
			code, text := y.Do(t, "POST", api+"model-versions/create", `{"name":"m","source":`+quote(source)+`}`)
			if source == "s3://bucket/canary" { // an address that is kept for clients: nothing is read from there
				made := fmt.Sprint(at(t, object(t, text), "model_version", "version"))
				if code, text := y.Do(t, "GET", "/api/v1/models/m/versions/"+made, ""); code != 200 || object(t, text)["files_count"] != 0.0 {
					t.Errorf("%d %s", code, text)
				}
				continue
			}
			answered(t, attack{name: source}, code, text)
		}
	})
}

func TestAttacksOnArtifactLocations(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		if strings.ContainsAny(a.name, "\xff\xc0") {
			return
		}
		for i, location := range []string{a.name, "mlflow-artifacts:/" + a.name, "http://host/" + a.name} {
			code, text := y.Do(t, "POST", api+"experiments/create", fmt.Sprintf(`{"name":%s,"artifact_location":%s}`, quote(fmt.Sprint(a.what, i)), quote(location)))
			answered(t, attack{name: location}, code, text)
		}
	})
}

func TestAttacksOnIds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, y yard, a attack) {
		esc, q := url.PathEscape(a.name), url.QueryEscape(a.name)
		for _, r := range []struct{ method, path string }{
			{"GET", api + "runs/get?run_id=" + q}, {"GET", api + "artifacts/list?run_id=" + q}, {"GET", "/get-artifact?path=canary&run_id=" + q},
			{"GET", "/api/2.0/mlflow-artifacts/artifacts/0/" + esc + "/artifacts/canary"}, {"PUT", "/api/2.0/mlflow-artifacts/artifacts/0/" + esc + "/artifacts/canary"},
			{"DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/" + esc + "/artifacts"}, {"PUT", "/api/2.0/mlflow-artifacts/artifacts/" + esc + "/" + y.run + "/artifacts/canary"},
			{"GET", api + "logged-models/" + esc}, {"GET", api + "experiments/get?experiment_id=" + q}, {"GET", api + "registered-models/get?name=" + q},
			{"GET", "/model-versions/get-artifact?path=x&version=1&name=" + q}, {"GET", "/api/2.0/mlflow-artifacts/artifacts/versions/" + esc + "/1/MLmodel"},
			{"GET", "/ajax-api/2.0/mlflow/logged-models/" + esc + "/artifacts/files?artifact_file_path=x"},
		} {
			code, text := y.Do(t, r.method, r.path, "")
			answered(t, attack{name: a.name}, code, text)
		}
	})
}

// quote is a JSON string of any text.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	sum := digest("kept")
	blobs := filepath.Join(y.outer, "data", "blobs")
	file := filepath.Join(blobs, sum[:2], sum[2:])
	if b, err := os.ReadFile(file); err != nil || string(b) != "kept" {
		t.Fatalf("%q %v", b, err)
	}
	for _, target := range []string{filepath.Join(y.outer, "canary"), "../../../canary"} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, file); err != nil {
			t.Fatal(err)
		}
		if code, text := y.Do(t, "GET", y.at(y.run, "kept"), ""); code == 200 || strings.Contains(text, "outside") {
			t.Errorf("a link to %s was followed: %d %q", target, code, text)
		}
	}
}
