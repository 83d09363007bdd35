package trash

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// in sends to the server as an MLflow client of a workspace does.
func (y yard) in(workspace, method, path, body string) map[string]any {
	y.t.Helper()
	status, text := y.Do(y.t, method, path, body, "X-MLFLOW-WORKSPACE", workspace)
	if status/100 != 2 {
		y.t.Fatalf("%s %s in %s: %d %s", method, path, workspace, status, text)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		y.t.Fatal(err)
	}
	return out
}

// trashOf lists the ids that a workspace has in the trash, and checks that the counts agree.
func (y yard) trashOf(workspace string) []string {
	y.t.Helper()
	page := y.ok("GET", "/api/v1/trash?page_size=200&workspace="+workspace, "")
	out, counted := []string{}, 0
	for _, i := range page["items"].([]any) {
		item := i.(map[string]any)
		if item["workspace"] != workspace {
			y.t.Errorf("%v is listed in %s", item, workspace)
		}
		out = append(out, item["id"].(string))
	}
	for _, k := range page["kinds"].([]any) {
		counted += num(k.(map[string]any), "count")
	}
	if counted != len(out) {
		y.t.Errorf("%s: %d are counted, %d listed", workspace, counted, len(out))
	}
	slices.Sort(out)
	return out
}

// TestWorkspacesAreApart: what was deleted in one workspace is not listed, restored or purged in another.
func TestWorkspacesAreApart(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.ok("POST", "/api/v1/workspaces", `{"name":"team-a"}`)
		discard := func(workspace string) (ids []string) {
			exp := y.in(workspace, "POST", mlflow+"experiments/create", `{"name":"e"}`)["experiment_id"].(string)
			gone := y.in(workspace, "POST", mlflow+"experiments/create", `{"name":"gone"}`)["experiment_id"].(string)
			run := y.in(workspace, "POST", mlflow+"runs/create", fmt.Sprintf(`{"experiment_id":%q}`, exp))["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
			logged := y.in(workspace, "POST", mlflow+"logged-models", fmt.Sprintf(`{"experiment_id":%q,"name":"m"}`, exp))["model"].(map[string]any)["info"].(map[string]any)["model_id"].(string)
			trace := "tr-" + workspace
			y.in(workspace, "POST", "/api/3.0/mlflow/traces", fmt.Sprintf(`{"trace":{"trace_info":{"trace_id":%q,"trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":%q}},"request_time":"2026-01-31T12:00:00Z","state":"OK"}}}`, trace, exp))
			y.in(workspace, "POST", mlflow+"registered-models/create", `{"name":"churn"}`)
			for _, name := range []string{"kept", "answer"} {
				y.in(workspace, "POST", mlflow+"registered-models/create", fmt.Sprintf(`{"name":%q,"tags":[{"key":"mlflow.prompt.is_prompt","value":"true"}]}`, name))
			}
			y.in(workspace, "POST", mlflow+"model-versions/create", `{"name":"kept","source":"prompt-template","tags":[{"key":"mlflow.prompt.is_prompt","value":"true"},{"key":"mlflow.prompt.text","value":"hello"}]}`)

			y.in(workspace, "POST", mlflow+"runs/delete", fmt.Sprintf(`{"run_id":%q}`, run))
			y.in(workspace, "POST", mlflow+"experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, gone))
			y.in(workspace, "DELETE", mlflow+"logged-models/"+logged, "")
			y.in(workspace, "POST", "/api/3.0/mlflow/traces/delete-traces", fmt.Sprintf(`{"experiment_id":%q,"request_ids":[%q]}`, exp, trace))
			y.in(workspace, "DELETE", mlflow+"model-versions/delete", `{"name":"kept","version":"1"}`)
			for _, name := range []string{"churn", "answer"} {
				y.in(workspace, "DELETE", mlflow+"registered-models/delete", fmt.Sprintf(`{"name":%q}`, name))
			}
			return []string{"run:" + run, "experiment:" + gone, "logged_model:" + logged, "trace:" + trace}
		}
		ours, theirs := discard("default"), discard("team-a")
		here, there := y.trashOf("default"), y.trashOf("team-a")
		if len(here) != 7 || len(there) != 7 || len(y.trash()) != 14 {
			t.Fatalf("default: %v\nteam-a: %v\nall: %v", here, there, y.trash())
		}
		for i := range ours {
			if !slices.Contains(here, ours[i]) || slices.Contains(here, theirs[i]) || !slices.Contains(there, theirs[i]) || slices.Contains(there, ours[i]) {
				t.Errorf("%s, %s: default has %v, team-a %v", ours[i], theirs[i], here, there)
			}
		}
		for _, kind := range []string{"run", "experiment", "logged_model", "trace", "model", "prompt", "prompt_version"} {
			if !slices.ContainsFunc(there, func(id string) bool { return strings.HasPrefix(id, kind+":") }) {
				t.Errorf("no %s of team-a: %v", kind, there)
			}
		}
		for _, id := range there {
			y.send(http.StatusNotFound, "POST", "/api/v1/trash/restore", fmt.Sprintf(`{"ids":[%q],"workspace":"default"}`, id))
			y.send(http.StatusNotFound, "POST", "/api/v1/trash/purge", fmt.Sprintf(`{"ids":[%q],"workspace":"default"}`, id))
		}
		if out := y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s","workspace":"default"}`); num(out, "count") != len(here) {
			t.Errorf("purged in default: %v", out)
		}
		if got := y.trashOf("team-a"); !slices.Equal(got, there) {
			t.Errorf("a purge in default left of team-a %v", got)
		}
		for _, id := range there {
			y.ok("POST", "/api/v1/trash/restore", fmt.Sprintf(`{"ids":[%q],"workspace":"team-a"}`, id))
		}
		if left := y.trash(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		y.send(http.StatusBadRequest, "GET", "/api/v1/trash?workspace=No+name", "")
	})
}
