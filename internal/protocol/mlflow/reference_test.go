package mlflow_test

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/httpx"
	"github.com/modelyard/modelyard/internal/protocol/mlflow"
)

var update = flag.Bool("update", false, "write docs/reference/mlflow.md")

func edge() *mlflow.Edge {
	e := mlflow.New(mlflow.Deps{})
	e.Routes(httpx.New(httpx.Options{}))
	return e
}

func TestReferencePageIsWhatIsServed(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/reference/mlflow.md"
	want := edge().Reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("docs/reference/mlflow.md is not what the code serves (%v): run this test with -update", err)
	}
}

// TestEveryEndpointOfMLflowIsServedOrLeftOut compares the routes with the endpoints of MLflow's own server.
func TestEveryEndpointOfMLflowIsServedOrLeftOut(t *testing.T) {
	t.Parallel()
	page := edge().Reference()
	served, left, _ := strings.Cut(page, "## Left out")
	param := regexp.MustCompile(`\{[^}]*\}`)
	routes := map[string]bool{}
	for _, m := range regexp.MustCompile("\\| ([A-Z]+) \\| `([^`]+)` \\|").FindAllStringSubmatch(served, -1) {
		routes[m[1]+" "+param.ReplaceAllString(m[2], "{}")] = true
	}
	var prefixes []string
	for _, m := range regexp.MustCompile("`(?:[A-Z]+ )?(/[^`]+)`").FindAllStringSubmatch(left, -1) {
		prefixes = append(prefixes, m[1])
	}
	if len(routes) < 70 || len(prefixes) < 10 {
		t.Fatalf("%d routes and %d paths left out: the page was not understood", len(routes), len(prefixes))
	}
	ignore := []string{"/", "/build/", "/static-files/"} // the files of MLflow's web page
	list, err := os.ReadFile("testdata/endpoints.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(list)) {
		method, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || method == "#" {
			continue
		}
		n++
		path = strings.Replace(path, "/ajax-api/", "/api/", 1)
		if path == "/" || slices.ContainsFunc(ignore[1:], func(p string) bool { return strings.HasPrefix(path, p) }) {
			continue
		}
		out := slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
		if !routes[method+" "+path] && !out {
			t.Errorf("%s %s is neither served nor left out", method, path)
		}
	}
	if n < 200 {
		t.Errorf("%d endpoints were compared", n)
	}
}
