package mlflow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

// endpoints reads the routes from the reference page, which a test holds to the code. Those that stream files are left out.
func endpoints(t testing.TB, methods string) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/reference/mlflow.md")
	if err != nil {
		t.Fatal(err)
	}
	served, _, _ := strings.Cut(string(page), "## Left out")
	var out []string
	for _, m := range regexp.MustCompile("\\| ([A-Z]+) \\| `([^`]+)` \\|").FindAllStringSubmatch(served, -1) {
		if strings.Contains(methods, m[1]) && !strings.Contains(m[2], "...}") && !strings.Contains(m[2], "upload-artifact") && !strings.Contains(m[2], "/mpu/part/") {
			out = append(out, m[1]+" "+m[2])
		}
	}
	if len(out) < 20 {
		t.Fatalf("%d endpoints", len(out))
	}
	return out
}

var pathParam = regexp.MustCompile(`\{[^}]*\}`)

// sound sends a request and checks what holds for every answer: it is JSON, an error has a code and a message, and none is our own failure.
func sound(t *testing.T, s *testkit.Server, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return // not a request at all
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s %q: %v", method, path, body, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
		t.Fatalf("%s %s %q: %d %s", method, path, body, resp.StatusCode, text)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return // a file
	}
	var out struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s %s %q: %v in %q", method, path, body, err, text)
	}
	if resp.StatusCode >= 400 && (out.Code == "" || out.Message == "") {
		t.Fatalf("%s %s %q: %d %s", method, path, body, resp.StatusCode, text)
	}
}

// FuzzBodies sends bodies to every call that takes one: none may fail in us, whatever it is.
func FuzzBodies(f *testing.F) {
	s := testkit.Start(f)
	calls := endpoints(f, "POST PATCH DELETE")
	for i := range calls {
		for _, body := range []string{
			``, `{}`, `[]`, `null`, `"{}"`, `{"`, `5`,
			`{"experiment_id":"0","name":"x","key":"k","value":"v","run_id":"r","experiment_ids":["0"],"tags":[{"key":"a","value":"b"}],"max_results":1,"version":"1"}`,
			`{"experiment_id":0,"name":{},"key":[],"value":1e999,"run_id":null,"experiment_ids":"0","tags":{"a":"b"},"max_results":"-1","version":1.5}`,
			`{"filter":"name = 'x","order_by":["a b c"],"page_token":"e30","run_ids":[""],"events":[{"entity":1,"action":"x"}],"url":":","status":7,"expiration":-1}`,
		} {
			f.Add(byte(i), "x", body)
		}
	}
	f.Fuzz(func(t *testing.T, call byte, param, body string) {
		method, path, _ := strings.Cut(calls[int(call)%len(calls)], " ")
		if param == "" || param == "." || param == ".." {
			param = "x"
		}
		sound(t, s, method, pathParam.ReplaceAllLiteralString(path, url.PathEscape(param)), body)
	})
}

// FuzzQueries sends query strings, page tokens among them, to every call that reads one.
func FuzzQueries(f *testing.F) {
	s := testkit.Start(f)
	calls := endpoints(f, "GET")
	for i := range calls {
		for _, q := range []string{
			``, `a;b`, `%zz`, `page_token=%7B%7D`, `page_token=eyJCeSI6WyJhIl0sIkxhc3QiOlsiYiJdfQ`, `max_results=-1&max_results=x`, `max_results=9223372036854775808`,
			`run_id=x&run_uuid=y&metric_key=k&path=..&name=n&version=1&alias=a&experiment_id=0&experiment_name=e`, `filter=tags.%60a%60+%3D+%27b%27&order_by=name+DESC&order_by=x`,
			`run_ids=a&run_ids=b&start_step=1&end_step=-1&metric_key=m`,
		} {
			f.Add(byte(i), "x", q)
		}
	}
	f.Fuzz(func(t *testing.T, call byte, param, q string) {
		if strings.ContainsAny(q, "#") {
			return // the rest would not be sent
		}
		_, path, _ := strings.Cut(calls[int(call)%len(calls)], " ")
		if param == "" || param == "." || param == ".." {
			param = "x"
		}
		sound(t, s, "GET", pathParam.ReplaceAllLiteralString(path, url.PathEscape(param))+"?"+q, "")
	})
}
