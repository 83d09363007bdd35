package mlflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

const api3 = "/api/3.0/mlflow/"

func info(id, more string) string {
	return fmt.Sprintf(`{"trace":{"trace_info":{"trace_id":%q,"trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":"0"}},"request_time":"2026-01-31T12:00:00.5Z","execution_duration":"1.25s","state":"OK"%s}}}`, id, more)
}

func TestTraceForms(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	tr := do(t, s, "POST", api3+"traces", info("tr-1", `,"tags":{"a":"b"},"trace_metadata":{"m":"1"},"request_preview":"hi","assessments":[{"assessment_name":"x","source":{"source_type":"HUMAN","source_id":"ann"},"feedback":{"value":5}}]`), 200)
	got := at(t, tr, "trace", "trace_info").(map[string]any)
	if got["request_time"] != "2026-01-31T12:00:00.500Z" || got["execution_duration"] != "1.250s" || at(t, got, "tags", "mlflow.artifactLocation") != "mlflow-artifacts:/0/traces/tr-1/artifacts" {
		t.Errorf("%v", got)
	}
	if as := got["assessments"].([]any); len(as) != 1 || at(t, as[0], "feedback", "value") != 5.0 || at(t, as[0], "trace_id") != "tr-1" {
		t.Errorf("%v", as)
	}
	if got := do(t, s, "GET", "/ajax-api/3.0/mlflow/traces/tr-1", "", 200); at(t, got, "trace", "trace_info", "trace_id") != "tr-1" {
		t.Errorf("%v", got)
	}
	do(t, s, "GET", api3+"traces/get?trace_id=tr-1&allow_partial=True", "", 200)
	do(t, s, "PATCH", api+"traces/tr-1/tags", `{"key":"k","value":"v"}`, 200)
	do(t, s, "PATCH", api3+"traces/tr-1/tags", `{"key":"mlflow.artifactLocation","value":"file:///etc"}`, 400)
	do(t, s, "DELETE", api3+"traces/tr-1/tags?key=k", "", 200)
	do(t, s, "DELETE", api3+"traces/tr-1/tags", `{"key":"k"}`, 404)
	if got := do(t, s, "POST", api3+"traces/search", `{"locations":[{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":"0"}}],"filter":"tag.a = 'b'","max_results":"5"}`, 200); len(got["traces"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	if got := do(t, s, "POST", api3+"traces/calculate-filter-correlation", `{"experiment_ids":["0"],"filter_string1":"tag.a = 'b'","filter_string2":"status = 'OK'"}`, 200); got["joint_count"] != 1.0 || got["npmi"] != 1.0 {
		t.Errorf("%v", got)
	}
	if got := do(t, s, "POST", api+"traces/delete-traces", `{"experiment_id":"0","request_ids":["tr-1"]}`, 200); got["traces_deleted"] != 1.0 {
		t.Errorf("%v", got)
	}
	if e := do(t, s, "GET", api3+"traces/tr-1", "", 404); e["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
		t.Errorf("%v", e)
	}
}

func TestTraceBadRequests(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	do(t, s, "POST", api3+"traces", info("tr-1", ""), 200)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", api3 + "traces", "{}", 400},
		{"POST", api3 + "traces", `{"trace":{"trace_info":{}}}`, 400},
		{"POST", api3 + "traces", info("../../x", ""), 400},
		{"POST", api3 + "traces", info("tr-2", `,"state":"GREAT"`), 400},
		{"POST", api3 + "traces", info("tr-2", `,"request_time":"yesterday"`), 400},
		{"POST", api3 + "traces", info("tr-2", `,"execution_duration":"-5s"`), 400},
		{"POST", api3 + "traces", info("tr-2", `,"execution_duration":5`), 400},
		{"POST", api3 + "traces", info("tr-2", `,"tags":{"":"x"}`), 400},
		{"POST", api3 + "traces", strings.Replace(info("tr-2", ""), `"experiment_id":"0"`, `"experiment_id":"77"`, 1), 404},
		{"POST", api3 + "traces/search", `{}`, 400},
		{"POST", api3 + "traces/search", `{"locations":[{"mlflow_experiment":{"experiment_id":"0"}}],"max_results":501}`, 400},
		{"POST", api3 + "traces/search", `{"locations":[{"mlflow_experiment":{"experiment_id":"0"}}],"page_token":"x"}`, 400},
		{"POST", api3 + "traces/search", `{"locations":[{"mlflow_experiment":{"experiment_id":"0"}}],"filter":"tag.x RLIKE '('"}`, 400},
		{"GET", api3 + "traces/%00", "", 404},
		{"GET", api3 + "traces/..%2f..%2fx", "", 404},
		{"GET", api3 + "traces/get", "", 400},
		{"GET", api3 + "traces/get?trace_id=tr-1&allow_partial=maybe", "", 400},
		{"GET", api3 + "traces/batchGet", "", 400},
		{"GET", api3 + "traces/batchGet?trace_ids=" + strings.Repeat("a&trace_ids=", 150) + "b", "", 400},
		{"POST", api3 + "traces/batchGetInfos", `{}`, 400},
		{"POST", api3 + "traces/tr-1/assessments", `{"assessment":{}}`, 400},
		{"POST", api3 + "traces/tr-1/assessments", `{"assessment":{"assessment_name":"x","source":{"source_type":"MOON"},"feedback":{"value":1}}}`, 400},
		{"POST", api3 + "traces/tr-1/assessments", `{"assessment":{"assessment_name":"x","source":{"source_type":"HUMAN"},"expectation":{"serialized_value":{"serialization_format":"JSON_FORMAT","value":"{"}}}}`, 400},
		{"PATCH", api3 + "traces/tr-1/assessments/a-1", `{"assessment":{},"update_mask":"rationale"}`, 404},
		{"PATCH", api3 + "traces/tr-1/assessments/a-1", `{"assessment":{}}`, 400},
		{"POST", api + "traces/delete-traces", `{"experiment_id":"0"}`, 400},
		{"POST", api + "traces/delete-traces", `{"experiment_id":"0","max_timestamp_millis":5,"max_traces":0}`, 400},
		{"POST", api + "traces/link-to-run", `{"run_id":"none","trace_ids":["tr-1"]}`, 404},
		{"POST", api + "traces/link-prompts", `{"trace_id":"tr-1","prompt_versions":[{"name":""}]}`, 400},
		{"PATCH", api + "traces/tr-1", `{"timestamp_ms":"x"}`, 400},
		{"POST", api3 + "datasets/create", `{}`, 400},
		{"POST", api3 + "datasets/create", `{"name":"x","tags":"nonsense"}`, 400},
		{"GET", api3 + "datasets/d-none", "", 404},
		{"POST", api3 + "datasets/d-none/records", `{"records":"[]"}`, 404},
		{"POST", api3 + "datasets/d-none/records", `{"records":"{"}`, 400},
		{"GET", api3 + "datasets/%00/records", "", 404},
		{"GET", "/api/2.0/mlflow-artifacts/artifacts/0/traces/tr-1/artifacts/traces.json", "", 404},
		{"GET", "/api/2.0/mlflow-artifacts/artifacts/1/traces/tr-1/artifacts/x", "", 404},
		{"PUT", "/api/2.0/mlflow-artifacts/artifacts/0/traces/tr-1/artifacts/%2e%2e/%2e%2e/x", "x", 400},
	} {
		if got, body := s.Do(t, c.method, c.path, c.body); got != c.status || !strings.Contains(body, "error_code") {
			t.Errorf("%s %.100s %.200s: %d %s, want %d", c.method, c.path, c.body, got, body, c.status)
		}
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"no experiment":      {"{}", []string{"Content-Type", "application/json"}, 400},
		"unknown experiment": {`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","startTimeUnixNano":5}]}]}]}`, []string{"Content-Type", "application/json", "x-mlflow-experiment-id", "77"}, 404},
		"form":               {"a=b", []string{"Content-Type", "application/x-www-form-urlencoded", "x-mlflow-experiment-id", "0"}, 400},
		"no protobuf":        {"\xff\xff\xff", []string{"Content-Type", "application/x-protobuf", "x-mlflow-experiment-id", "0"}, 400},
		"no gzip":            {"abc", []string{"Content-Type", "application/x-protobuf", "x-mlflow-experiment-id", "0", "Content-Encoding", "gzip"}, 400},
		"deep":               {strings.Repeat("[", 100), []string{"Content-Type", "application/json", "x-mlflow-experiment-id", "0"}, 400},
		"large":              {strings.Repeat(" ", 33<<20), []string{"Content-Type", "application/json", "x-mlflow-experiment-id", "0"}, 413},
	} {
		if got, body := s.Do(t, "POST", "/v1/traces", c.body, c.headers...); got != c.status {
			t.Errorf("%s: %d %.300s, want %d", name, got, body, c.status)
		}
	}
}
