package mlflow_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

const api = "/api/2.0/mlflow/"

// do sends a request, checks the status and gives the answer.
func do(t *testing.T, s *testkit.Server, method, path, body string, status int) map[string]any {
	t.Helper()
	got, text := s.Do(t, method, path, body)
	if got != status {
		t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, got, text, status)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s %s: %v in %q", method, path, err, text)
	}
	return out
}

// at reads a value deep in an answer: at(m, "run", "info", "run_id").
func at(t *testing.T, v any, keys ...string) any {
	t.Helper()
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no %v in %v", keys, v)
		}
		v = m[k]
	}
	return v
}

func newRun(t *testing.T, s *testkit.Server) string {
	t.Helper()
	return at(t, do(t, s, "POST", api+"runs/create", `{"experiment_id":"0","start_time":"1700000000123","tags":[{"key":"mlflow.user","value":"ann"}]}`, 200), "run", "info", "run_id").(string)
}

func TestRecordedShapes(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	if code, body := s.Do(t, "GET", "/version", ""); code != 200 || !strings.HasPrefix(body, "3.") {
		t.Fatalf("%d %q", code, body)
	}
	if code, body := s.Do(t, "GET", "/health", ""); code != 200 || body != "OK" {
		t.Fatalf("%d %q", code, body)
	}
	info := do(t, s, "GET", "/api/3.0/mlflow/server-info", "", 200)
	if info["workspaces_enabled"] != true || info["multipart_uploads_enabled"] != true || info["multipart_downloads_enabled"] != false {
		t.Errorf("%v", info)
	}
	if e := do(t, s, "GET", api+"experiments/get-by-name?experiment_name=none", "", 404); e["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
		t.Errorf("%v", e)
	}
	id := at(t, do(t, s, "POST", api+"experiments/create", `{"name":"e","tags":[{"key":"k","value":"v"}]}`, 200), "experiment_id").(string)
	if e := do(t, s, "POST", api+"experiments/create", `{"name":"e"}`, 400); e["error_code"] != "RESOURCE_ALREADY_EXISTS" {
		t.Errorf("%v", e)
	}
	exp := do(t, s, "GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id="+id, "", 200)
	if at(t, exp, "experiment", "artifact_location") != "mlflow-artifacts:/"+id || at(t, exp, "experiment", "lifecycle_stage") != "active" {
		t.Errorf("%v", exp)
	}
	if _, isNumber := at(t, exp, "experiment", "creation_time").(float64); !isNumber {
		t.Errorf("int64 goes out as a number: %v", exp)
	}
	run := newRun(t, s)
	do(t, s, "POST", api+"runs/log-metric", fmt.Sprintf(`{"run_uuid":%q,"run_id":%q,"key":"m","value":"NaN","timestamp":"5","step":"-2"}`, run, run), 200)
	do(t, s, "POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"key":"inf","value":"-Infinity","timestamp":1,"step":0},{"key":"x","value":1e-7,"timestamp":1}],"params":[{"key":"p","value":"1"}],"tags":[]}`, run), 200)
	do(t, s, "POST", api+"runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"p","value":"1"}`, run), 200)
	if e := do(t, s, "POST", api+"runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"p","value":"2"}`, run), 400); !strings.Contains(fmt.Sprint(e["message"]), "Changing param values is not allowed") {
		t.Errorf("%v", e)
	}
	_, text := s.Do(t, "GET", api+"runs/get?run_id="+run, "")
	for _, part := range []string{`"start_time":1700000000123`, `{"key":"m","value":"NaN","timestamp":5,"step":-2}`, `"value":"-Infinity"`, `"value":1e-07`, `"run_uuid":"` + run} {
		if !strings.Contains(text, part) {
			t.Errorf("runs/get lacks %s: %s", part, text)
		}
	}
	up := do(t, s, "POST", api+"runs/update", fmt.Sprintf(`{"run_id":%q,"status":"FINISHED","end_time":1700000001000}`, run), 200)
	if at(t, up, "run_info", "status") != "FINISHED" {
		t.Errorf("%v", up)
	}
	if got := do(t, s, "POST", api+"runs/search", `{"experiment_ids":["0"],"filter":"params.p = '1'","max_results":10,"run_view_type":"ACTIVE_ONLY"}`, 200); len(got["runs"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	do(t, s, "POST", api+"runs/log-model", fmt.Sprintf(`{"run_id":%q,"model_json":"{\"artifact_path\":\"m\",\"flavors\":{}}"}`, run), 200)
	for path, code := range map[string]string{"/api/2.0/mlflow/unified-traces": "NOT_IMPLEMENTED", "/api/2.0/mlflow/nothing": "ENDPOINT_NOT_FOUND", "/v1/traces": "INVALID_PARAMETER_VALUE"} {
		if _, text := s.Do(t, "POST", path, "{}"); !strings.Contains(text, code) {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	var points []string
	for i := range 25 {
		points = append(points, fmt.Sprintf(`{"key":"a/b","value":%d,"timestamp":%d,"step":%d}`, i, i, i))
	}
	do(t, s, "POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[%s]}`, run, strings.Join(points, ",")), 200)
	n, token := 0, ""
	for range 10 {
		got := do(t, s, "GET", api+"metrics/get-history?metric_key=a%2Fb&max_results=10&run_id="+run+"&page_token="+token, "", 200)
		n += len(got["metrics"].([]any))
		if token, _ = got["next_page_token"].(string); token == "" {
			break
		}
	}
	if n != 25 {
		t.Errorf("%d points, want 25", n)
	}
	do(t, s, "GET", api+"metrics/get-history?metric_key=other&run_id="+run+"&page_token=!!", "", 400)
	bulk := do(t, s, "GET", api+"metrics/get-history-bulk-interval?metric_key=a%2Fb&max_results=10&run_ids="+run, "", 200)
	if got := len(bulk["metrics"].([]any)); got > 10 || got < 8 {
		t.Errorf("%d points in the bulk history", got)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "runs/log-batch", "{"},
		{"POST", "runs/log-batch", `[]`},
		{"POST", "runs/log-batch", `{"run_id":5}`},
		{"POST", "runs/log-batch", `{}`},
		{"POST", "runs/search", `{"experiment_ids":["0"],"max_results":0}`},
		{"POST", "runs/search", `{"experiment_ids":["abc"]}`},
		{"GET", "experiments/get?experiment_id=abc", ""},
		{"POST", "experiments/update", `{"experiment_id":"0"}`},
		{"POST", "runs/log-metric", `{"run_id":"` + run + `","key":"k","value":1}`},
		{"GET", "metrics/get-history-bulk-interval?metric_key=a&start_step=1&run_ids=" + run, ""},
		{"GET", "metrics/get-history-bulk-interval?metric_key=a&max_results=2501&run_ids=" + run, ""},
		{"GET", "metrics/get-history?max_results=0&metric_key=a&run_id=" + run, ""},
		{"POST", "runs/log-batch", `{"run_id":"` + run + `","metrics":[{"key":"a"}]}`},
		{"POST", "runs/log-batch", `{"run_id":"` + run + `","metrics":[{"key":"a","value":"x","timestamp":1}]}`},
		{"POST", "runs/log-batch", `{"run_id":"` + run + `","metrics":[{"key":"a","value":1,"timestamp":1.5}]}`},
		{"POST", "runs/log-batch", `{"run_id":"` + run + `","tags":[{"key":"a","value":"` + strings.Repeat("x", 1<<20) + `"}]}`},
		{"POST", "runs/log-batch", strings.Repeat(`{"a":`, 100)},
		{"POST", "runs/log-metric", `{"run_id":"` + run + `","key":"k","timestamp":1}`},
		{"POST", "runs/log-metric", `{"run_id":"` + run + `","value":1}`},
		{"POST", "runs/create", `{"experiment_id":"0","start_time":99999999999999999}`},
		{"POST", "runs/log-metric", `{"run_id":"` + run + `","key":"k","value":1,"timestamp":-1}`},
		{"POST", "runs/outputs", `{"run_id":"` + run + `"}`},
		{"POST", "runs/update", `{"run_id":"` + run + `","status":"GONE"}`},
		{"POST", "runs/search", `{"experiment_ids":["0"],"filter":"nonsense"}`},
		{"POST", "runs/search", `{"experiment_ids":["0"],"max_results":50001}`},
		{"POST", "runs/search", `{"experiment_ids":["0"],"run_view_type":"SOME"}`},
		{"GET", "runs/get", ""},
		{"GET", "experiments/search?max_results=many", ""},
		{"POST", "experiments/create", `{"name":"s3","artifact_location":"s3://bucket/x"}`},
		{"POST", "experiments/create", `{"name":"up","artifact_location":"http://h/#/../.."}`},
		{"POST", "experiments/create", `{"name":"f","artifact_location":"file:///etc"}`},
		{"POST", "logged-models/search", `{}`},
		{"PATCH", "logged-models/m-none", `{"status":"LOGGED_MODEL_PENDING"}`},
		{"POST", "registered-models/create", `{"name":""}`},
		{"POST", "registered-models/create", `{"name":"../x"}`},
		{"GET", "registered-models/search?filter=name%20%3D%20'a'%20or%20name", ""},
		{"POST", "model-versions/create", `{"name":"x"}`},
		{"POST", "registered-models/alias", `{"name":"x","alias":"v1","version":"1"}`},
	} {
		if e := do(t, s, c.method, api+c.path, c.body, 400); e["error_code"] != "INVALID_PARAMETER_VALUE" || e["message"] == "" {
			t.Errorf("%s %s: %v", c.method, c.path, e)
		}
	}
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	base := "/api/2.0/mlflow-artifacts/artifacts"
	put := func(path, body string) {
		t.Helper()
		do(t, s, "PUT", base+"/0/"+run+"/artifacts/"+path, body, 200)
	}
	put("a.txt", "hello")
	put("dir/b%20c.json", `{"x":1}`)
	put("dir/deep/d", "d")
	list := do(t, s, "GET", base+"?path=0/"+run+"/artifacts/dir", "", 200)
	if got := fmt.Sprint(list["files"]); got != "[map[file_size:7 is_dir:false path:b c.json] map[is_dir:true path:deep]]" {
		t.Errorf("%s", got)
	}
	byRun := do(t, s, "GET", api+"artifacts/list?path=dir&run_id="+run, "", 200)
	if byRun["root_uri"] != "mlflow-artifacts:/0/"+run+"/artifacts" || !strings.Contains(fmt.Sprint(byRun["files"]), "dir/b c.json") {
		t.Errorf("%v", byRun)
	}
	if code, body := s.Do(t, "GET", base+"/0/"+run+"/artifacts/a.txt", ""); code != 200 || body != "hello" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := s.Do(t, "GET", base+"/0/"+run+"/artifacts/a.txt", "", "Range", "bytes=1-2"); code != http.StatusPartialContent || body != "el" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := s.Do(t, "GET", "/get-artifact?path=a.txt&run_id="+run, ""); code != 200 || body != "hello" {
		t.Errorf("%d %q", code, body)
	}
	do(t, s, "GET", base+"/0/"+run+"/artifacts/none", "", 404)
	do(t, s, "GET", base+"/1/"+run+"/artifacts/a.txt", "", 404) // another experiment
	do(t, s, "PUT", base+"/0/0123456789abcdef/artifacts/a", "x", 404)
	do(t, s, "DELETE", base+"/0/"+run+"/artifacts/dir", "", 200)
	if got := do(t, s, "GET", base+"?path=0/"+run+"/artifacts", "", 200); len(got["files"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
}

// climbs are the ways out of a folder that clients have tried on MLflow servers.
func climbs() []string {
	return []string{
		"%2e%2e/%2e%2e/x", "a/%2e%2e/%2e%2e/x", "..%2fx", "..%2f..%2fx", "%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2f", "..%5cx", "..%5c..%5cx", "%5c%5chost%5cshare",
		"C:%5cx", "C:%2fx", "file:%2f%2fx", "a%00b", "%252e%252e%252fx%2f..%2f..%2fy", "x/%2e%2e/%2e%2e/%2e%2e/%2e%2e/y", ";%2f..%2f..%2fy", "a;b%2f..%2f..%2f..%2fc", "a%0ab", "%e2%80%ae",
	}
}

func TestArtifactAttacks(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run, other := newRun(t, s), newRun(t, s)
	base := "/api/2.0/mlflow-artifacts/artifacts"
	do(t, s, "PUT", base+"/0/"+other+"/artifacts/canary", "canary", 200)
	for _, p := range climbs() {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			code, body := s.Do(t, method, base+"/0/"+run+"/artifacts/"+p, "")
			if code == 200 || code >= 500 || strings.Contains(body, "canary") && method == "GET" && code < 300 {
				t.Errorf("%s %s: %d %s", method, p, code, body)
			}
		}
		for _, path := range []string{base + "?path=0/" + run + "/artifacts/" + p, api + "artifacts/list?run_id=" + run + "&path=" + p, "/get-artifact?run_id=" + run + "&path=" + p,
			"/api/v1/runs/" + run + "/files?path=" + p, "/api/v1/runs/" + run + "/files/content?path=" + p, "/api/v1/runs/" + run + "/files/preview?path=" + p} {
			if code, body := s.Do(t, "GET", path, ""); code == 200 && !strings.Contains(p, "%25") && !strings.HasPrefix(p, "%e2") || code >= 500 {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
	}
	// decoded once: %252e is the text %2e, so the file of the other run stays
	s.Do(t, "DELETE", base+"/0/"+run+"/artifacts/%252e%252e%252f%252e%252e%252f"+other, "")
	if code, body := s.Do(t, "GET", base+"/0/"+other+"/artifacts/canary", ""); code != 200 || body != "canary" {
		t.Errorf("the other run's file: %d %q", code, body)
	}
}

func TestModelSourceAttacks(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	do(t, s, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model/MLmodel", "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n", 200)
	do(t, s, "POST", api+"registered-models/create", `{"name":"m"}`, 200)
	for _, src := range []string{
		"/etc", "etc/passwd", "file:///etc", "FILE:/etc", "file:x", "file://localhost/etc", " file:/etc", "\\\\\\\\host\\\\share", "C:/x", "://x", ":/x", "s3://b/../../", "s3://", "s3://b/%2e%2e/x", "s3://b/x?versionId=1", "S3://b/x", "s3:/b/x", "gs://b//x", "s3://b\\\\x", "http://h/#/../..", "https://h/x",
		"mlflow-artifacts:../x", "mlflow-artifacts:/../x", "mlflow-artifacts://host/0/x/artifacts/m", "mlflow-artifacts:/0/" + run + "/artifacts/../../x", "mlflow-artifacts:/0/" + run + "/artifacts/model?x",
		"runs:/" + run + "/model/../../..", "runs:/" + run, "runs://" + run + "/model", "runs:/" + run + "/%2e%2e/x", "models:/../x", "models:/m", "dbfs:/x", "runs:/" + run + "/a;b/../c",
	} {
		code, body := s.Do(t, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"%s"}`, src))
		if code != 400 && code != 404 {
			t.Errorf("%s: %d %s", src, code, body)
		}
	}
	do(t, s, "POST", api+"registered-models/create", `{"name":"far"}`, 200)
	do(t, s, "POST", api+"model-versions/create", `{"name":"far","source":"s3://bucket/team/model/"}`, 200)
	if far := do(t, s, "GET", api+"model-versions/get-download-uri?name=far&version=1", "", 200); at(t, far, "artifact_uri") != "s3://bucket/team/model/" {
		t.Errorf("%v", far)
	}
	v := do(t, s, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model"}`, run), 200)
	if at(t, v, "model_version", "version") != "1" || at(t, v, "model_version", "run_id") != run {
		t.Errorf("%v", v)
	}
	uri := at(t, do(t, s, "GET", api+"model-versions/get-download-uri?name=m&version=1", "", 200), "artifact_uri")
	if uri != "mlflow-artifacts:/versions/m/1" {
		t.Errorf("%v", uri)
	}
	path := "/api/2.0/mlflow-artifacts/artifacts/versions/m/1/MLmodel"
	if code, _ := s.Do(t, "GET", path, ""); code != 200 {
		t.Errorf("%d", code)
	}
	do(t, s, "PUT", path, "x", 403)
	do(t, s, "DELETE", path, "", 403)
	// the version's files stay when the run's are deleted
	do(t, s, "DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model", "", 200)
	if code, _ := s.Do(t, "GET", path, ""); code != 200 {
		t.Errorf("%d", code)
	}
}

func TestRegistryCalls(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	do(t, s, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model/MLmodel", "flavors:\n  python_function:\n    loader_module: x\n", 200)
	do(t, s, "POST", api+"registered-models/create", `{"name":"m","tags":[{"key":"a","value":"b"}]}`, 200)
	if e := do(t, s, "POST", api+"registered-models/create", `{"name":"m"}`, 400); e["error_code"] != "RESOURCE_ALREADY_EXISTS" {
		t.Errorf("%v", e)
	}
	for range 2 {
		do(t, s, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"mlflow-artifacts:/0/%s/artifacts/model","tags":[{"key":"v","value":"1"}]}`, run), 200)
	}
	do(t, s, "POST", api+"registered-models/alias", `{"name":"m","alias":"champion","version":"2"}`, 200)
	if v := do(t, s, "GET", api+"registered-models/alias?name=m&alias=champion", "", 200); at(t, v, "model_version", "version") != "2" {
		t.Errorf("%v", v)
	}
	for _, filter := range []string{"name = 'm'", "tags.a = 'b'", "tag.`mlflow.prompt.is_prompt` != 'true'", "name LIKE 'm%' AND tags.a IS NOT NULL",
		"name = 'x' or NOT name = 'y'", "not (name in ('x') or tags.z = '1')", "creation_timestamp > 1.5", "last_updated_timestamp NOT IN (1, 2)"} {
		got := do(t, s, "GET", api+"registered-models/search?filter="+strings.NewReplacer(" ", "%20", "%", "%25", "'", "%27", "=", "%3D", "`", "%60").Replace(filter), "", 200)
		if ms, _ := got["registered_models"].([]any); len(ms) != 1 {
			t.Errorf("%s: %v", filter, got)
		}
	}
	vs := do(t, s, "GET", api+"model-versions/search?filter=name%3D%27m%27&order_by=version_number%20DESC&max_results=1", "", 200)
	if list := vs["model_versions"].([]any); len(list) != 1 || at(t, list[0], "version") != "2" || vs["next_page_token"] == "" {
		t.Errorf("%v", vs)
	}
	do(t, s, "POST", api+"model-versions/transition-stage", `{"name":"m","version":"1","stage":"production","archive_existing_versions":true}`, 200)
	for _, method := range []string{"GET", "POST"} { // the R client asks by GET
		path, body := api+"registered-models/get-latest-versions?name=m&stages=Production", ""
		if method == "POST" {
			path, body = api+"registered-models/get-latest-versions", `{"name":"m","stages":["Production"]}`
		}
		if got := do(t, s, method, path, body, 200); len(got["model_versions"].([]any)) != 1 {
			t.Errorf("%s: %v", method, got)
		}
	}
	do(t, s, "DELETE", api+"registered-models/alias", `{"name":"m","alias":"champion"}`, 200)
	do(t, s, "DELETE", api+"registered-models/alias", `{"name":"m","alias":"champion"}`, 200)
	if e := do(t, s, "GET", api+"registered-models/alias?name=m&alias=champion", "", 400); !strings.Contains(fmt.Sprint(e["message"]), "alias champion not found") {
		t.Errorf("%v", e)
	}
	do(t, s, "PATCH", api+"model-versions/update", `{"name":"m","version":"1","description":"d"}`, 200)
	do(t, s, "POST", api+"registered-models/rename", `{"name":"m","new_name":"n"}`, 200)
	do(t, s, "DELETE", api+"model-versions/delete", `{"name":"n","version":"1"}`, 200)
	do(t, s, "GET", api+"model-versions/get?name=n&version=1", "", 404)
	do(t, s, "DELETE", api+"registered-models/delete", `{"name":"n"}`, 200)
	do(t, s, "GET", api+"registered-models/get?name=n", "", 404)
}

func TestSmallCalls(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	do(t, s, "POST", api+"runs/log-inputs", fmt.Sprintf(`{"run_id":%q,"datasets":[{"tags":[{"key":"mlflow.data.context","value":"training"}],"dataset":{"name":"bike","digest":"d1","source_type":"local","source":"{}"}}]}`, run), 200)
	for _, base := range []string{"/api", "/ajax-api"} {
		got := do(t, s, "POST", base+"/2.0/mlflow/experiments/search-datasets", `{"experiment_ids":["0"]}`, 200)
		if text := fmt.Sprint(got); text != "map[dataset_summaries:[map[context:training digest:d1 experiment_id:0 name:bike]]]" {
			t.Error(text)
		}
	}
	do(t, s, "POST", api+"experiments/search-datasets", `{}`, 400)
	do(t, s, "POST", api+"experiments/search-datasets", `{"experiment_ids":["99"]}`, 404)
	if u := do(t, s, "GET", api+"users/current", "", 200); at(t, u, "user", "is_admin") != true || at(t, u, "user", "username") == "" {
		t.Errorf("%v", u)
	}
	do(t, s, "POST", "/ajax-api/2.0/mlflow/upload-artifact?path=model/MLmodel&run_uuid="+run, "flavors:\n  python_function:\n    loader_module: x\n", 200)
	do(t, s, "POST", api+"registered-models/create", `{"name":"m"}`, 200)
	do(t, s, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model"}`, run), 200)
	if code, text := s.Do(t, "GET", "/model-versions/get-artifact?name=m&version=1&path=MLmodel", ""); code != 200 || !strings.HasPrefix(text, "flavors:") {
		t.Errorf("%d %s", code, text)
	}
	do(t, s, "GET", "/model-versions/get-artifact?name=m&version=1&path=none", "", 404)
	do(t, s, "GET", "/model-versions/get-artifact?name=m&path=none", "", 400)
	for _, p := range []string{"POST /ajax-api/3.0/mlflow/gateway/endpoints/create", "DELETE /api/3.0/mlflow/prompt-optimization/jobs/1", "GET /api/2.0/mlflow/users/list"} {
		method, path, _ := strings.Cut(p, " ")
		if e := do(t, s, method, path, "", 501); e["error_code"] != "NOT_IMPLEMENTED" || !strings.Contains(fmt.Sprint(e["message"]), "does not have") {
			t.Errorf("%s: %v", p, e)
		}
	}
}

// object reads an answer as a JSON object.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return out
}

// digest is the ETag that the server gives to contents.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestWhatMLflowDoesSoDoWe(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	// old clients send their JSON as a JSON string
	id := at(t, do(t, s, "POST", api+"experiments/create", `"{\"name\":\"twice encoded\"}"`, 200), "experiment_id").(string)
	// values that are too long are cut off, by characters
	do(t, s, "POST", api+"runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"long","value":%q}`, run, strings.Repeat("ä", 6001)), 200)
	do(t, s, "POST", api+"runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"long","value":%q}`, run, strings.Repeat("ä", 8001)), 200)
	do(t, s, "POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"params":[{"key":"batch","value":%q}]}`, run, strings.Repeat("x", 6001)), 200)
	_, text := s.Do(t, "GET", api+"runs/get?run_id="+run, "")
	for what, n := range map[string]int{strings.Repeat("ä", 6000) + `"`: 2, strings.Repeat("x", 6000) + `"`: 1} { // the tag has them in its end
		if strings.Count(text, what) != n || strings.Contains(text, strings.Repeat("ä", 8001)) {
			t.Errorf("%.3s: %d times, want %d", what, strings.Count(text, what), n)
		}
	}
	// tags and metadata of traces too: a trace is not refused for them
	start := fmt.Sprintf(`{"trace":{"trace_info":{"trace_id":"tr-long","trace_location":{"mlflow_experiment":{"experiment_id":"0"}},"request_time":"2026-01-31T12:00:00Z","tags":{"a":%[1]q},"trace_metadata":{"b":%[1]q}}}}`,
		strings.Repeat("ä", 8001))
	do(t, s, "POST", "/api/3.0/mlflow/traces", start, 200)
	do(t, s, "PATCH", "/api/3.0/mlflow/traces/tr-long/tags", fmt.Sprintf(`{"key":"c","value":%q}`, strings.Repeat("ä", 8001)), 200)
	if _, text := s.Do(t, "GET", "/api/3.0/mlflow/traces/tr-long", ""); strings.Count(text, `":"`+strings.Repeat("ä", 8000)+`"`) != 3 {
		t.Errorf("%d bytes of a trace with long tags", len(text))
	}
	// a dataset that is logged again keeps the tags it came with first
	for _, tags := range []string{`[{"key":"mlflow.data.context","value":"train"}]`, `[{"key":"mlflow.data.context","value":"test"}]`, `[]`} {
		do(t, s, "POST", api+"runs/log-inputs", fmt.Sprintf(`{"run_id":%q,"datasets":[{"tags":%s,"dataset":{"name":"d","digest":"1","source_type":"local","source":"{}"}}],"models":[{"model_id":"m-1"}]}`, run, tags), 200)
	}
	_, text = s.Do(t, "GET", api+"runs/get?run_id="+run, "")
	if !strings.Contains(text, `"dataset_inputs":[{"tags":[{"key":"mlflow.data.context","value":"train"}],`) || !strings.Contains(text, `"model_inputs":[{"model_id":"m-1"}]`) {
		t.Error(text)
	}
	// params and tags of logged models have any key
	do(t, s, "POST", api+"logged-models", `{"experiment_id":"0","name":"m","params":[{"key":"top_p (%)","value":"1"}],"tags":[{"key":"€","value":"1"}]}`, 200)
	// doubles have a point or an exponent
	do(t, s, "POST", api+"runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"whole","value":3,"timestamp":1}`, run), 200)
	if _, text := s.Do(t, "GET", api+"metrics/get-history?metric_key=whole&run_id="+run, ""); !strings.Contains(text, `"value":3.0,`) {
		t.Error(text)
	}
	// a version that says it is of another run than its source
	do(t, s, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model/MLmodel", "flavors:\n  python_function:\n    loader_module: x\n", 200)
	do(t, s, "POST", api+"registered-models/create", `{"name":"需求预测"}`, 200)
	version := `{"name":"需求预测","source":"runs:/` + run + `/model","run_id":"` + "%s" + `"}`
	e := do(t, s, "POST", api+"model-versions/create", fmt.Sprintf(version, strings.Repeat("f", 32)), 400)
	if want := "Invalid model version source: 'runs:/" + run + "/model'. The run_id request parameter must identify the resource that contains the source."; e["message"] != want {
		t.Error(e)
	}
	made := do(t, s, "POST", api+"model-versions/create", fmt.Sprintf(version, run), 200)
	if v := at(t, made, "model_version").(map[string]any); v["run_link"] != "" || v["description"] != "" || v["run_id"] != run {
		t.Error(v)
	}
	for _, number := range []string{"1", "'1'"} {
		found := do(t, s, "GET", api+"model-versions/search?filter="+url.QueryEscape("name = '需求预测' AND version_number = "+number), "", 200)
		if list, _ := found["model_versions"].([]any); len(list) != 1 {
			t.Error(number, found)
		}
	}
	do(t, s, "GET", api+"model-versions/get?version=0&name="+url.QueryEscape("需求预测"), "", 404)
	// a tag of a prompt, which holds its text, is counted in characters
	do(t, s, "POST", api+"registered-models/set-tag", fmt.Sprintf(`{"name":"需求预测","key":"k","value":%q}`, strings.Repeat("测", 100_000)), 200)
	// what GET asks may stand in its body
	if got := do(t, s, "GET", api+"runs/get", fmt.Sprintf(`{"run_id":%q}`, run), 200); at(t, got, "run", "info", "run_id") != run {
		t.Error(got)
	}
	// an experiment in the other stage of its life is not found
	do(t, s, "POST", api+"experiments/restore", fmt.Sprintf(`{"experiment_id":%q}`, id), 404)
	do(t, s, "POST", api+"experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, id), 200)
	do(t, s, "POST", api+"experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, id), 404)
	// nobody writes into a workspace that is not there
	for path, status := range map[string]int{api + "experiments/search": 404, "/api/3.0/mlflow/server-info": 200} {
		if code, text := s.Do(t, "GET", path, "", "X-MLFLOW-WORKSPACE", "team-a"); code != status || status != 200 && object(t, text)["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// TestMessages: messages are MLflow's where it has one, and never Go's.
func TestMessages(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	for most, want := range map[string]string{"0": "a positive integer", "-1": "a positive integer", "50001": "at most 50000"} {
		e := do(t, s, "POST", api+"runs/search", `{"experiment_ids":["0"],"max_results":`+most+`}`, 400)
		if e["message"] != "Invalid value "+most+" for parameter 'max_results' supplied. It must be "+want+"." {
			t.Error(e)
		}
	}
	for body, want := range map[string]string{
		`{}`:                         "Missing value for required parameter 'run_id'. See the API docs for more information about request parameters.",
		`{"run_id":5}`:               "Invalid value for parameter 'run_id' supplied: Hint: Value was of type 'number'. See the API docs for more information about request parameters.",
		`{"run_id":"x","tags":[[]]}`: "Invalid value for parameter 'tags' supplied: Hint: Value was of type 'array'. See the API docs for more information about request parameters.",
		`[]`:                         "Malformed request body: expected a JSON object, got array",
	} {
		if e := do(t, s, "POST", api+"runs/log-batch", body, 400); e["message"] != want {
			t.Errorf("%s: %v", body, e["message"])
		}
	}
}
