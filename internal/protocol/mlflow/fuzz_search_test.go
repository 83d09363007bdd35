package mlflow_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	slashpath "path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/testkit"
)

// searches are the calls that take a filter, an order and a page token, with what else their bodies need.
var searches = []struct{ path, with string }{
	{"/api/2.0/mlflow/runs/search", `"experiment_ids":["0"],"max_results":1,`},
	{"/api/2.0/mlflow/experiments/search", `"max_results":1,`},
	{"/api/2.0/mlflow/registered-models/search", `"max_results":1,`},
	{"/api/2.0/mlflow/model-versions/search", `"max_results":1,`},
	{"/api/2.0/mlflow/logged-models/search", `"experiment_ids":["0"],"max_results":1,`},
	{"/api/3.0/mlflow/traces/search", `"locations":[{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":"0"}}],"max_results":1,`},
	{"/api/3.0/mlflow/datasets/search", `"experiment_ids":["0"],"max_results":1,`},
	{"/api/2.0/mlflow/webhooks/list", `"max_results":1,`},
}

// searchable starts a server with two of each thing, so that searches have something to compare and a second page.
func searchable(f *testing.F) *testkit.Server {
	f.Helper()
	s := testkit.Start(f)
	do := func(path, body string) string {
		status, text := s.Do(f, "POST", path, body)
		if status != http.StatusOK {
			f.Fatalf("%s %s: %d %s", path, body, status, text)
		}
		return text
	}
	const mlflow = "/api/2.0/mlflow/"
	for i := range 2 {
		do(mlflow+"experiments/create", fmt.Sprintf(`{"name":"e%d","tags":[{"key":"t","value":"v"}]}`, i))
		var r struct {
			Run struct {
				Info struct {
					ID string `json:"run_id"`
				}
			}
		}
		if err := json.Unmarshal([]byte(do(mlflow+"runs/create", `{"experiment_id":"0","tags":[{"key":"t","value":"v"}]}`)), &r); err != nil {
			f.Fatal(err)
		}
		do(mlflow+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"params":[{"key":"p","value":"1"}],"metrics":[{"key":"m","value":%d,"timestamp":1,"step":1}]}`, r.Run.Info.ID, i))
		do(mlflow+"registered-models/create", fmt.Sprintf(`{"name":"m%d","tags":[{"key":"t","value":"v"}]}`, i))
		if status, text := s.Do(f, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+r.Run.Info.ID+"/artifacts/model/MLmodel", "flavors: {python_function: {loader_module: x}}"); status != http.StatusOK {
			f.Fatal(text)
		}
		do(mlflow+"model-versions/create", fmt.Sprintf(`{"name":"m0","source":"runs:/%s/model"}`, r.Run.Info.ID))
		do(mlflow+"logged-models", `{"experiment_id":"0","name":"lm","params":[{"key":"p","value":"1"}]}`)
		do("/api/3.0/mlflow/traces", fmt.Sprintf(`{"trace":{"trace_info":{"trace_id":"tr-%032d","trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":"0"}},"request_time":"2026-01-01T00:00:00Z","execution_duration":"1s","state":"OK","tags":{"t":"v"}}}}`, i))
		do("/api/3.0/mlflow/datasets/create", fmt.Sprintf(`{"name":"d%d","experiment_ids":["0"]}`, i))
	}
	return s
}

// FuzzFilters sends filters and orders to every search: they find something or are refused; no database error comes through.
func FuzzFilters(f *testing.F) {
	s := searchable(f)
	for i := range searches {
		for _, c := range [][2]string{
			{"", ""}, {"name = 'm0'", "name DESC"}, {"tags.t = 'v' AND (name LIKE 'e%' OR NOT tags.`a b` IS NULL)", "creation_timestamp ASC"},
			{"metrics.m > 0.5 and params.p != '1'", "metrics.m DESC"}, {"metrics.m >= 1e308 or max(metrics.m) = -0", "best(metrics.m)"}, {"attributes.start_time > 99999999999999999999", "attribute.start_time"},
			{"run_id IN ('a','b') and source_path ILIKE '%\\_%'", "version_number"}, {"trace.status = 'OK' and span.attributes.k LIKE '%' and timestamp_ms > 1", "timestamp_ms"},
			{"feedback.x = 'y' and span.name RLIKE '(a+)+$'", "timestamp DESC"}, {"name = '\x00'", "\x00"}, {"((((((((((", "'"}, {"tags.\"t\" = \"v\" and digest = '' and x.y.z = 1", "tags.t"},
		} {
			f.Add(byte(i), c[0], c[1])
		}
	}
	f.Fuzz(func(t *testing.T, call byte, filter, order string) {
		to := searches[int(call)%len(searches)]
		quote := func(v any) string { b, _ := json.Marshal(v); return string(b) }
		orders := []string{}
		if order != "" {
			orders = append(orders, order)
		}
		body := "{" + to.with + `"filter":` + quote(filter) + `,"filter_string":` + quote(filter) + `,"order_by":` + quote(orders) + "}"
		if strings.Contains(to.path, "logged-models") { // there an order is an object
			body = "{" + to.with + `"filter":` + quote(filter) + `,"order_by":[{"field_name":` + quote(order) + "}]}"
		}
		method := "POST"
		if strings.HasSuffix(to.path, "/list") {
			method = "GET"
		}
		sound(t, s, method, to.path, body)
	})
}

// FuzzPageTokens sends tokens that have the form of ours and hold anything: a page comes or the token is refused.
func FuzzPageTokens(f *testing.F) {
	s := searchable(f)
	lists := []string{"/api/v1/runs/search", "/api/v1/trash", "/api/v1/events", "/api/v1/models", "/api/v1/traces/search", "/api/v1/pipelines", "/api/v1/alerts", "/api/v1/predictions"}
	for i := range len(searches) + len(lists) {
		for _, c := range []string{``, `{}`, `[]`, `null`, `"x"`, `5`, `-1`, `{"By":["a"],"Last":["b"]}`, `{"after":9223372036854775807}`, `{"v":[null,1e308,{"a":[]}],"id":"x"}`, `["a",1,true]`, `{"k":["name"],"v":["m0"]}`} {
			f.Add(byte(i), c)
		}
	}
	for i, to := range searches { // and real ones
		if _, text := s.Do(f, "POST", to.path, strings.TrimSuffix("{"+to.with, ",")+"}"); true {
			var page struct {
				Next string `json:"next_page_token"`
			}
			if json.Unmarshal([]byte(text), &page) == nil && page.Next != "" {
				if b, err := base64.RawURLEncoding.DecodeString(page.Next); err == nil {
					f.Add(byte(i), string(b))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, call byte, cursor string) {
		token := base64.RawURLEncoding.EncodeToString([]byte(cursor))
		n := int(call) % (len(searches) + len(lists))
		if n < len(searches) {
			sound(t, s, "POST", searches[n].path, "{"+searches[n].with+`"page_token":"`+token+`"}`)
			return
		}
		at := lists[n-len(searches)]
		method, query, body := "GET", "?page_token="+token, ""
		if strings.HasSuffix(at, "/search") {
			method, query, body = "POST", "", `{"experiment_ids":["0"],"page_token":"`+token+`"}`
		}
		if status, text := s.Do(t, method, at+query, body); status >= 500 {
			t.Fatalf("%s %s %q: %d %s", method, at, cursor, status, text)
		}
	})
}

// FuzzArtifactPaths sends paths, as they are and encoded, to every call that takes one. Whatever is stored lies below the run it was sent
// to, under a name that is a place in a folder of its own.
func FuzzArtifactPaths(f *testing.F) {
	dir := f.TempDir()
	s := testkit.Start(f, func(c *config.Config) { c.DataDir = dir })
	_, text := s.Do(f, "POST", "/api/2.0/mlflow/runs/create", `{"experiment_id":"0"}`)
	var r struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		f.Fatal(err)
	}
	run := r.Run.Info.ID
	store, err := db.Open(f.Context(), db.Options{URL: dir + "/modelyard.db"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	for i := range byte(6) {
		for _, p := range []string{
			"a", "a/b.txt", "..", "../x", "a/../../x", "%2e%2e/x", "%252e%252e%252fx", "/etc/passwd", "//a", "a//b", `..\x`, "file:///etc/passwd", "a#b", "a?b", "a;b", "a\x00b", "\u2024\u2024/x", "．．/x", "a/.", "./a", "a/",
			"C:/x", "con", "%", "%zz", "a\u202eb", strings.Repeat("a/", 600) + "a", strings.Repeat("a", 300), "\xff", ".", "", "a/%2E%2e/%2e%2E/b", "tmp/../../../artifact.key",
		} {
			f.Add(i, p)
		}
	}
	base := "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/"
	f.Fuzz(func(t *testing.T, how byte, p string) {
		switch how % 6 {
		case 0:
			fetch(t, s, "PUT", base+(&url.URL{Path: p}).EscapedPath(), "x")
		case 1:
			fetch(t, s, "PUT", base+p, "x")
		case 2:
			fetch(t, s, "GET", base+url.PathEscape(p), "")
		case 3:
			fetch(t, s, "GET", "/api/2.0/mlflow-artifacts/artifacts?path="+url.QueryEscape(p), "")
			fetch(t, s, "GET", "/api/2.0/mlflow/artifacts/list?run_id="+run+"&path="+url.QueryEscape(p), "")
			fetch(t, s, "GET", "/get-artifact?run_id="+run+"&path="+url.QueryEscape(p), "")
		case 4:
			b, _ := json.Marshal(map[string]any{"path": p, "num_parts": 1})
			fetch(t, s, "POST", "/api/2.0/mlflow-artifacts/mpu/create/0/"+run+"/artifacts/"+url.PathEscape(p), string(b))
			b, _ = json.Marshal(map[string]any{"run_id": run, "path": p})
			fetch(t, s, "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", string(b))
		case 5:
			fetch(t, s, "DELETE", base+url.PathEscape(p), "")
		}
		rows, err := store.Query(t.Context(), "SELECT root || '\n' || path FROM file")
		names, err := db.All(rows, err, db.Column[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			root, p, _ := strings.Cut(name, "\n")
			if root != "run/"+run || p == "" || p != slashpath.Clean(p) || slashpath.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsAny(p, "\\\x00\n") || !utf8.ValidString(p) {
				t.Fatalf("%q was stored as %q", p, name)
			}
		}
	})
}

// fetch wants an answer that is not a failure of ours.
func fetch(t *testing.T, s *testkit.Server, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return // not a request at all
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %q: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 500 {
		t.Fatalf("%s %q: %d %v %s", method, path, resp.StatusCode, err, text)
	}
}
