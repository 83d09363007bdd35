package mlflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

// in sends a request in a workspace ("" for none) and wants a status.
func in(t *testing.T, s *testkit.Server, workspace, method, path, body string, want int) map[string]any {
	t.Helper()
	var header []string
	if workspace != "" {
		header = []string{"X-MLFLOW-WORKSPACE", workspace}
	}
	code, text := s.Do(t, method, path, body, header...)
	if code != want {
		t.Errorf("%s in %q %s %s %.200s: %d, want %d: %.300s", method, workspace, path, "", body, code, want, text)
	}
	if code == 204 || !strings.HasPrefix(text, "{") {
		return map[string]any{"text": text}
	}
	return object(t, text)
}

const spaces = "/api/3.0/mlflow/workspaces"

func TestWorkspaceCalls(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	if got := at(t, in(t, s, "", "GET", spaces, "", 200), "workspaces").([]any); len(got) != 1 || at(t, got[0], "name") != "default" {
		t.Fatal(got)
	}
	in(t, s, "", "POST", spaces, `{"name":"team-a","description":"A"}`, 201)
	for body, code := range map[string]string{`{"name":"team-a"}`: "RESOURCE_ALREADY_EXISTS", `{"name":"default"}`: "INVALID_PARAMETER_VALUE", `{"name":"Team"}`: "INVALID_PARAMETER_VALUE", `{}`: "INVALID_PARAMETER_VALUE",
		`{"name":"team-b","default_artifact_root":"s3://elsewhere"}`: "INVALID_PARAMETER_VALUE"} {
		if e := in(t, s, "", "POST", spaces, body, 400); e["error_code"] != code {
			t.Errorf("%s: %v", body, e)
		}
	}
	in(t, s, "", "POST", spaces, `{"name":"team-b","trace_archival_config":{"retention":"30d"}}`, 501)
	in(t, s, "", "GET", spaces+"/none", "", 404)
	in(t, s, "", "GET", spaces+"/NO", "", 400)
	in(t, s, "", "PATCH", spaces+"/team-a", `{}`, 400)
	if w := in(t, s, "", "PATCH", "/ajax-api/3.0/mlflow/workspaces/team-a", `{"description":"B"}`, 200); at(t, w, "workspace", "description") != "B" {
		t.Error(w)
	}
	in(t, s, "", "DELETE", spaces+"/default", "", 400)
	in(t, s, "", "DELETE", spaces+"/team-a?mode=BAD", "", 400)
	in(t, s, "", "DELETE", spaces+"/none", "", 404)
	in(t, s, "", "DELETE", spaces+"/team-a", "", 204)
	in(t, s, "team-a", "GET", api+"experiments/search", "", 404)
}

// TestWorkspacesAreApart makes one of everything in a workspace and asks for it in others.
func TestWorkspacesAreApart(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	in(t, s, "", "POST", spaces, `{"name":"team-a"}`, 201)
	in(t, s, "", "POST", spaces, `{"name":"team-b"}`, 201)
	const a = "team-a"
	var exps []string
	for _, w := range []string{a, "team-b", ""} { // one name in each
		exps = append(exps, at(t, in(t, s, w, "POST", api+"experiments/create", `{"name":"same"}`, 200), "experiment_id").(string))
	}
	exp := exps[0]
	if e := in(t, s, a, "POST", api+"experiments/create", `{"name":"same"}`, 400); e["error_code"] != "RESOURCE_ALREADY_EXISTS" {
		t.Error(e)
	}
	if x := in(t, s, a, "GET", api+"experiments/get-by-name?experiment_name=same", "", 200); at(t, x, "experiment", "experiment_id") != exp || at(t, x, "experiment", "workspace") != a {
		t.Error(x)
	}
	run := at(t, in(t, s, a, "POST", api+"runs/create", fmt.Sprintf(`{"experiment_id":%q}`, exp), 200), "run", "info", "run_id").(string)
	in(t, s, a, "PUT", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/model/MLmodel", exp, run), "flavors:\n  python_function:\n    loader_module: m\n", 200)
	in(t, s, a, "PUT", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/%s/%s/artifacts/a.txt", exp, run), "hello", 200)
	logged := at(t, in(t, s, a, "POST", api+"logged-models", fmt.Sprintf(`{"experiment_id":%q,"source_run_id":%q,"name":"m"}`, exp, run), 200), "model", "info", "model_id").(string)
	in(t, s, a, "POST", api3+"traces", strings.Replace(info("tr-a", ""), `"experiment_id":"0"`, `"experiment_id":"`+exp+`"`, 1), 200)
	in(t, s, a, "POST", api+"registered-models/create", `{"name":"churn"}`, 200)
	in(t, s, "", "POST", api+"registered-models/create", `{"name":"churn","description":"default's"}`, 200)
	v := in(t, s, a, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"churn","source":"runs:/%s/model","run_id":%q}`, run, run), 200)
	if at(t, v, "model_version", "name") != "churn" {
		t.Error(v)
	}
	if c := in(t, s, a, "POST", api+"model-versions/create", `{"name":"churn","source":"models:/churn/1"}`, 200); at(t, c, "model_version", "source") != "models:/churn/1" {
		t.Error(c)
	}
	hook := at(t, in(t, s, a, "POST", api+"webhooks", `{"name":"h","url":"https://example.com/x","events":[{"entity":"REGISTERED_MODEL","action":"CREATED"}]}`, 200), "webhook", "webhook_id").(string)
	set := at(t, in(t, s, a, "POST", api3+"datasets/create", `{"name":"d"}`, 200), "dataset", "dataset_id").(string)
	in(t, s, a, "POST", api3+"scorers/register", fmt.Sprintf(`{"experiment_id":%q,"name":"s","serialized_scorer":"{\"name\":\"s\",\"instructions_judge_pydantic_data\":{}}"}`, exp), 200)
	in(t, s, a, "POST", api+"runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1}`, run), 200)
	presigned := at(t, in(t, s, a, "GET", "/api/2.0/mlflow-artifacts/presigned/versions/churn/1/MLmodel", "", 200), "url").(string)

	asks := []struct{ method, path, body string }{
		{"GET", api + "experiments/get?experiment_id=" + exp, ""},
		{"POST", api + "experiments/update", fmt.Sprintf(`{"experiment_id":%q,"new_name":"x"}`, exp)},
		{"POST", api + "experiments/set-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"k","value":"v"}`, exp)},
		{"POST", api + "experiments/delete-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"k"}`, exp)},
		{"POST", api + "experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, exp)},
		{"POST", api + "experiments/restore", fmt.Sprintf(`{"experiment_id":%q}`, exp)},
		{"POST", api + "experiments/search-datasets", fmt.Sprintf(`{"experiment_ids":[%q]}`, exp)},
		{"POST", api + "runs/create", fmt.Sprintf(`{"experiment_id":%q}`, exp)},
		{"GET", api + "runs/get?run_id=" + run, ""},
		{"POST", api + "runs/update", fmt.Sprintf(`{"run_id":%q,"status":"FINISHED"}`, run)},
		{"POST", api + "runs/delete", fmt.Sprintf(`{"run_id":%q}`, run)},
		{"POST", api + "runs/restore", fmt.Sprintf(`{"run_id":%q}`, run)},
		{"POST", api + "runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1}`, run)},
		{"POST", api + "runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"m","value":"1"}`, run)},
		{"POST", api + "runs/log-batch", fmt.Sprintf(`{"run_id":%q,"tags":[{"key":"m","value":"1"}]}`, run)},
		{"POST", api + "runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"m","value":"1"}`, run)},
		{"POST", api + "runs/delete-tag", fmt.Sprintf(`{"run_id":%q,"key":"mlflow.runName"}`, run)},
		{"POST", api + "runs/log-inputs", fmt.Sprintf(`{"run_id":%q,"datasets":[]}`, run)},
		{"POST", api + "runs/outputs", fmt.Sprintf(`{"run_id":%q,"models":[]}`, run)},
		{"POST", api + "runs/log-model", fmt.Sprintf(`{"run_id":%q,"model_json":"{\"artifact_path\":\"m\",\"flavors\":{},\"utc_time_created\":\"2026-01-01\",\"run_id\":\"x\"}"}`, run)},
		{"GET", api + "metrics/get-history?metric_key=m&run_id=" + run, ""},
		{"GET", api + "artifacts/list?run_id=" + run, ""},
		{"GET", "/get-artifact?path=a.txt&run_id=" + run, ""},
		{"GET", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/a.txt", exp, run), ""},
		{"PUT", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/b.txt", exp, run), "x"},
		{"DELETE", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/a.txt", exp, run), ""},
		{"GET", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts?path=%s/%s/artifacts", exp, run), ""},
		{"POST", fmt.Sprintf("/api/2.0/mlflow-artifacts/mpu/create/%s/%s/artifacts", exp, run), `{"path":"x","num_parts":1}`},
		{"POST", api + "artifacts/presigned-upload-url", fmt.Sprintf(`{"run_id":%q,"path":"x"}`, run)},
		{"GET", api + "logged-models/" + logged, ""},
		{"PATCH", api + "logged-models/" + logged, `{"status":"LOGGED_MODEL_READY"}`},
		{"DELETE", api + "logged-models/" + logged, ""},
		{"PATCH", api + "logged-models/" + logged + "/tags", `{"tags":[{"key":"a","value":"b"}]}`},
		{"POST", api + "logged-models/" + logged + "/params", `{"params":[{"key":"a","value":"b"}]}`},
		{"GET", api + "logged-models/" + logged + "/artifacts/directories", ""},
		{"POST", api + "logged-models", fmt.Sprintf(`{"experiment_id":%q}`, exp)},
		{"GET", api3 + "traces/tr-a", ""},
		{"GET", api3 + "traces/get?trace_id=tr-a", ""},
		{"GET", api + "traces/tr-a/info", ""},
		{"PATCH", api + "traces/tr-a", `{"timestamp_ms":1,"status":"OK"}`},
		{"PATCH", api3 + "traces/tr-a/tags", `{"key":"k","value":"v"}`},
		{"DELETE", api3 + "traces/tr-a/tags", `{"key":"k"}`},
		{"POST", api + "traces/link-prompts", `{"trace_id":"tr-a","prompt_versions":[{"name":"p","version":"1"}]}`},
		{"POST", api3 + "traces/tr-a/assessments", `{"assessment":{"assessment_name":"x","source":{"source_type":"HUMAN","source_id":"a"},"feedback":{"value":1}}}`},
		{"GET", api3 + "traces/tr-a/assessments/a-1", ""},
		{"PATCH", api3 + "traces/tr-a/assessments/a-1", `{"assessment":{"assessment_name":"x"},"update_mask":"assessment_name"}`},
		{"DELETE", api3 + "traces/tr-a/assessments/a-1", ""},
		{"GET", api3 + "get-trace-artifact?request_id=tr-a", ""},
		{"GET", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/traces/tr-a/artifacts/traces.json", exp), ""},
		{"GET", api + "webhooks/" + hook, ""},
		{"PATCH", api + "webhooks/" + hook, `{"name":"x"}`},
		{"POST", api + "webhooks/" + hook + "/test", `{}`},
		{"DELETE", api + "webhooks/" + hook, ""},
		{"GET", api3 + "datasets/" + set, ""},
		{"PATCH", api3 + "datasets/" + set + "/tags", `{"tags":"{\"a\":\"b\"}"}`},
		{"POST", api3 + "datasets/" + set + "/records", `{"records":"[{\"inputs\":{\"a\":1}}]"}`},
		{"GET", api3 + "datasets/" + set + "/records", ""},
		{"POST", api3 + "datasets/" + set + "/add-experiments", fmt.Sprintf(`{"experiment_ids":[%q]}`, exps[1])},
		{"POST", api3 + "scorers/register", fmt.Sprintf(`{"experiment_id":%q,"name":"s","serialized_scorer":"{\"name\":\"s\",\"instructions_judge_pydantic_data\":{}}"}`, exp)},
		{"GET", api3 + "scorers/list?experiment_id=" + exp, ""},
		{"POST", api + "model-versions/create", fmt.Sprintf(`{"name":"churn","source":"runs:/%s/model"}`, run)},
	}
	for _, other := range []string{"", "team-b"} {
		for _, q := range asks {
			if other == "team-b" && strings.HasSuffix(q.path, "/add-experiments") {
				continue // the experiment is its own, the dataset is not; asked from the default one
			}
			if e := in(t, s, other, q.method, q.path, q.body, 404); e["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
				t.Errorf("%v", e)
			}
		}
		in(t, s, other, "GET", api+"registered-models/get?name=team-a:churn", "", 400)
		for _, path := range []string{"model-versions/get?name=team-a:churn&version=1", "model-versions/get-download-uri?name=team-a:churn&version=1", "registered-models/alias?name=team-a:churn&alias=x"} {
			in(t, s, other, "GET", api+path, "", 404)
		}
		in(t, s, other, "GET", "/api/2.0/mlflow-artifacts/artifacts/versions/team-a:churn/1/MLmodel", "", 404)
		in(t, s, other, "GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces/team-a/versions/churn/1/MLmodel", "", 400)
		in(t, s, other, "POST", api+"registered-models/create", `{"name":"team-a:mine"}`, 400)
		if got := in(t, s, other, "POST", api+"runs/search", fmt.Sprintf(`{"experiment_ids":[%q]}`, exp), 200); got["runs"] != nil {
			t.Errorf("%v", got)
		}
		if got := in(t, s, other, "POST", api+"logged-models/search", fmt.Sprintf(`{"experiment_ids":[%q]}`, exp), 200); got["models"] != nil {
			t.Errorf("%v", got)
		}
		if got := in(t, s, other, "POST", api3+"traces/search", fmt.Sprintf(`{"locations":[{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":%q}}]}`, exp), 200); got["traces"] != nil {
			t.Errorf("%v", got)
		}
		for _, path := range []string{api3 + "traces/batchGet?trace_ids=tr-a", api + "webhooks", api3 + "datasets/search", api + "model-versions/search?filter=run_id%3D'" + run + "'"} {
			if got := in(t, s, other, "GET", path, "", 200); len(got) > 0 {
				t.Errorf("%s: %v", path, got)
			}
		}
		if got := in(t, s, other, "GET", api3+"scorers/list?experiment_ids="+exp, "", 200); len(got) > 0 {
			t.Errorf("%v", got)
		}
		for _, path := range []string{"metrics/get-history-bulk-interval?max_results=10&metric_key=m&run_ids=" + run, "metrics/get-history-bulk?metric_key=m&run_id=" + run} {
			if code, text := s.Do(t, "GET", "/ajax-api/2.0/mlflow/"+path, "", "X-MLFLOW-WORKSPACE", map[string]string{"": "default"}[other]+other); code == 200 && strings.Contains(text, run) {
				t.Errorf("%s: %s", path, text)
			}
		}
		if got := in(t, s, other, "POST", api3+"traces/metrics", fmt.Sprintf(`{"experiment_ids":[%q],"view_type":"TRACES","metric_name":"trace_count","aggregations":[{"aggregation_type":"COUNT"}]}`, exp), 200); at(t, got, "data_points").([]any)[0].(map[string]any)["values"].(map[string]any)["COUNT"] != 0.0 {
			t.Errorf("%v", got)
		}
		in(t, s, other, "POST", api3+"traces", strings.Replace(info("tr-a", ""), `"experiment_id":"0"`, `"experiment_id":"`+exps[map[string]int{"": 2, "team-b": 1}[other]]+`"`, 1), 404) // would take it over
		if got := in(t, s, other, "POST", api+"traces/delete-traces", fmt.Sprintf(`{"experiment_id":%q,"request_ids":["tr-a"]}`, exp), 200); got["traces_deleted"] != 0.0 {
			t.Errorf("%v", got)
		}
		for _, e := range at(t, in(t, s, other, "GET", api+"experiments/search?max_results=100", "", 200), "experiments").([]any) {
			if at(t, e, "experiment_id") == exp {
				t.Errorf("%v", e)
			}
		}
	}
	if m := in(t, s, "", "GET", api+"registered-models/get?name=churn", "", 200); at(t, m, "registered_model", "description") != "default's" {
		t.Error(m)
	}
	if got := in(t, s, a, "GET", api+"registered-models/search?filter=name%20LIKE%20'ch%25'", "", 200); len(at(t, got, "registered_models").([]any)) != 1 {
		t.Error(got)
	}
	// in its own workspace everything goes on as ever, and an address with a signature needs no workspace
	in(t, s, a, "GET", api+"runs/get?run_id="+run, "", 200)
	in(t, s, a, "GET", api3+"traces/tr-a", "", 200)
	in(t, s, a, "GET", "/api/2.0/mlflow-artifacts/artifacts/versions/churn/1/MLmodel", "", 200)
	in(t, s, "", "GET", presigned[strings.Index(presigned, "/api/"):], "", 200)
	// the native API sees all, models by their full names
	if x := in(t, s, "", "GET", "/api/v1/experiments/"+exp, "", 200); x["workspace"] != a {
		t.Error(x)
	}
	if x := in(t, s, "", "GET", "/api/v1/experiments?workspace=team-a", "", 200); len(x["items"].([]any)) != 1 {
		t.Error(x)
	}
	if x := in(t, s, "", "GET", "/api/v1/models/team-a:churn", "", 200); x["workspace"] != a {
		t.Error(x)
	}
	// across workspaces: a run moves, a version is copied
	in(t, s, "", "POST", "/api/v1/runs/move", fmt.Sprintf(`{"run_ids":[%q],"experiment_id":%q}`, run, exps[1]), 200)
	in(t, s, "team-b", "GET", api+"runs/get?run_id="+run, "", 200)
	in(t, s, a, "GET", api+"runs/get?run_id="+run, "", 404)
	in(t, s, "", "POST", "/api/v1/models/team-a:churn/versions/1/copy", `{"to":"team-b:churn"}`, 201)
	in(t, s, "team-b", "GET", api+"model-versions/get?name=churn&version=1", "", 200)
	in(t, s, "", "POST", "/api/v1/models/team-a:churn/versions/1/copy", `{"to":"team-z:churn"}`, 404)
}

func TestWorkspaceDeletion(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	fill := func(name string) (exp, run string) {
		in(t, s, "", "POST", spaces, fmt.Sprintf(`{"name":%q}`, name), 201)
		exp = at(t, in(t, s, name, "POST", api+"experiments/create", fmt.Sprintf(`{"name":"e-%s"}`, name), 200), "experiment_id").(string)
		run = at(t, in(t, s, name, "POST", api+"runs/create", fmt.Sprintf(`{"experiment_id":%q}`, exp), 200), "run", "info", "run_id").(string)
		in(t, s, name, "POST", api+"registered-models/create", fmt.Sprintf(`{"name":"m-%s"}`, name), 200)
		in(t, s, name, "POST", api3+"datasets/create", `{"name":"d"}`, 200)
		return exp, run
	}
	exp, run := fill("team-a")
	if e := in(t, s, "", "DELETE", spaces+"/team-a", "", 409); e["error_code"] != "INVALID_STATE" || !strings.Contains(e["message"].(string), "still contains") {
		t.Error(e)
	}
	in(t, s, "team-a", "GET", api+"runs/get?run_id="+run, "", 200) // it is open again
	// a name that is taken keeps it whole
	in(t, s, "", "POST", api+"registered-models/create", `{"name":"m-team-a"}`, 200)
	if e := in(t, s, "", "DELETE", spaces+"/team-a?mode=SET_DEFAULT", "", 409); !strings.Contains(e["message"].(string), "m-team-a") {
		t.Error(e)
	}
	in(t, s, "team-a", "GET", api+"registered-models/get?name=m-team-a", "", 200)
	in(t, s, "", "PATCH", api+"registered-models/update", `{"name":"m-team-a","description":"x"}`, 200)
	in(t, s, "", "POST", api+"registered-models/rename", `{"name":"m-team-a","new_name":"free"}`, 200)
	in(t, s, "", "DELETE", spaces+"/team-a?mode=SET_DEFAULT", "", 204)
	in(t, s, "", "GET", api+"runs/get?run_id="+run, "", 200)
	in(t, s, "", "GET", api+"registered-models/get?name=m-team-a", "", 200)
	if got := in(t, s, "", "GET", api3+"datasets/search", "", 200); len(at(t, got, "datasets").([]any)) != 1 {
		t.Error(got)
	}
	in(t, s, "team-a", "GET", api+"runs/get?run_id="+run, "", 404)
	if x := in(t, s, "", "GET", api+"experiments/get?experiment_id="+exp, "", 200); at(t, x, "experiment", "workspace") != "default" {
		t.Error(x)
	}

	exp, run = fill("team-b")
	in(t, s, "", "DELETE", spaces+"/team-b?mode=CASCADE", "", 204)
	in(t, s, "", "GET", "/api/v1/experiments/"+exp, "", 404)
	in(t, s, "", "GET", "/api/v1/runs/"+run, "", 404)
	in(t, s, "", "GET", "/api/v1/models/team-b:m-team-b", "", 404)
	in(t, s, "", "POST", spaces, `{"name":"team-b"}`, 201) // empty when it is made again
	if got := in(t, s, "team-b", "GET", api+"experiments/search?max_results=10&view_type=ALL", "", 200); len(got) != 0 {
		t.Error(got)
	}
	in(t, s, "", "DELETE", spaces+"/team-b", "", 204)
}

// TestWebhooksHearTheirWorkspace: a webhook hears of the models of its own workspace, by the names they have there.
func TestWebhooksHearTheirWorkspace(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	url, calls := receiver(t, func(delivered, int) int { return 200 })
	in(t, s, "", "POST", spaces, `{"name":"team-a"}`, 201)
	in(t, s, "team-a", "POST", api+"webhooks", fmt.Sprintf(`{"name":"h","url":%q,"events":%s}`, url, allEvents), 200)
	in(t, s, "", "POST", api+"registered-models/create", `{"name":"churn"}`, 200) // another's
	in(t, s, "team-a", "POST", api+"registered-models/create", `{"name":"churn","description":"ours"}`, 200)
	run := at(t, in(t, s, "team-a", "POST", api+"runs/create", fmt.Sprintf(`{"experiment_id":%q}`, at(t, in(t, s, "team-a", "POST", api+"experiments/create", `{"name":"e"}`, 200), "experiment_id")), 200), "run", "info")
	id, exp := at(t, run, "run_id").(string), at(t, run, "experiment_id").(string)
	in(t, s, "team-a", "PUT", fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/m/MLmodel", exp, id), "flavors:\n  python_function:\n    loader_module: m\n", 200)
	in(t, s, "team-a", "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"churn","source":"runs:/%s/m"}`, id), 200)
	in(t, s, "team-a", "POST", api+"model-versions/create", `{"name":"churn","source":"models:/churn/1"}`, 200)
	sources := map[any]bool{}
	for range 3 {
		d := wait(t, calls)
		if d.data["name"] != "churn" || d.event == "registered_model.created" && d.data["description"] != "ours" {
			t.Errorf("%s %v", d.event, d.data)
		}
		sources[d.data["source"]] = true
	}
	if !sources["models:/churn/1"] {
		t.Error(sources)
	}
	select {
	case d := <-calls:
		t.Errorf("a call too many: %v", d)
	default:
	}
}
