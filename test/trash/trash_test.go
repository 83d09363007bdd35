package trash

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/testkit"
)

const mlflow = "/api/2.0/mlflow/"

type yard struct {
	*testkit.Server
	t   testing.TB
	dir string
}

// each starts a server on every engine.
func each(t *testing.T, test func(y yard)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(start(t, "")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(start(t, dbtest.PostgresURL(t))) })
}

func start(t *testing.T, dsn string) yard {
	y := yard{t: t, dir: t.TempDir()}
	y.Server = testkit.Start(t, func(c *config.Config) { c.DataDir, c.DatabaseURL = y.dir, dsn })
	return y
}

// send wants a status (0: any 2xx) and decodes the answer.
func (y yard) send(want int, method, path, body string) map[string]any {
	y.t.Helper()
	status, text := y.Do(y.t, method, path, body)
	if want == 0 && status/100 != 2 || want != 0 && status != want {
		y.t.Fatalf("%s %s %s: %d %s", method, path, body, status, text)
	}
	out := map[string]any{}
	_ = json.Unmarshal([]byte(text), &out)
	return out
}

func (y yard) ok(method, path, body string) map[string]any {
	y.t.Helper()
	return y.send(0, method, path, body)
}

func (y yard) run(exp string) string {
	y.t.Helper()
	r := y.ok("POST", mlflow+"runs/create", fmt.Sprintf(`{"experiment_id":%q,"tags":[{"key":"t","value":"v"}]}`, exp))
	id := r["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
	y.ok("POST", mlflow+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"params":[{"key":"p","value":"1"}],"metrics":[{"key":"m","value":1,"timestamp":1,"step":1}]}`, id))
	return id
}

func (y yard) file(exp, run, path, text string) {
	y.t.Helper()
	y.ok("PUT", "/api/2.0/mlflow-artifacts/artifacts/"+exp+"/"+run+"/artifacts/"+path, text)
}

func (y yard) experiment(name string) string {
	y.t.Helper()
	return y.ok("POST", mlflow+"experiments/create", fmt.Sprintf(`{"name":%q}`, name))["experiment_id"].(string)
}

// blobs counts the contents on disk.
func (y yard) blobs() (n int) {
	y.t.Helper()
	err := filepath.WalkDir(filepath.Join(y.dir, "blobs"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return n
}

// trash lists the ids in the trash.
func (y yard) trash() []string {
	y.t.Helper()
	out := []string{}
	for token := ""; ; {
		page := y.ok("GET", "/api/v1/trash?page_size=2&page_token="+token, "")
		for _, i := range page["items"].([]any) {
			out = append(out, i.(map[string]any)["id"].(string))
		}
		if token, _ = page["next_page_token"].(string); token == "" {
			return out
		}
	}
}

// told lists the event types of a resource, oldest first, once the sequencer has them.
func (y yard) told(kind, id, last string) []string {
	y.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * time.Minute); ; {
		var types []string
		for _, e := range y.ok("GET", "/api/v1/events?kind="+kind+"&id="+id+"&limit=100", "")["items"].([]any) {
			types = append(types, e.(map[string]any)["type"].(string))
		}
		slices.Reverse(types)
		if len(types) > 0 && types[len(types)-1] == last {
			return types
		}
		select {
		case <-tick.C:
		case <-deadline:
			y.t.Fatalf("%s %s: %v, waiting for %s", kind, id, types, last)
		}
	}
}

func num(o map[string]any, key string) int { return int(o[key].(float64)) }

func TestRunLife(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		keep, gone := y.run("0"), y.run("0")
		y.file("0", keep, "a.txt", "shared")
		y.file("0", gone, "a.txt", "shared")
		y.file("0", gone, "dir/b.txt", "only mine")
		y.ok("POST", mlflow+"runs/delete", fmt.Sprintf(`{"run_id":%q}`, gone))
		y.ok("POST", "/api/v1/runs/restore", fmt.Sprintf(`{"run_ids":[%q]}`, gone))
		y.ok("POST", "/api/v1/runs/delete", fmt.Sprintf(`{"run_ids":[%q]}`, gone))
		if got := y.trash(); !slices.Equal(got, []string{"run:" + gone}) {
			y.t.Fatalf("trash: %v", got)
		}
		item := y.ok("GET", "/api/v1/trash?kind=run", "")["items"].([]any)[0].(map[string]any)
		if item["deleted_by"] == nil || item["purge_at"] == nil || num(item, "files") != 2 || num(item, "bytes") != len("shared")+len("only mine") {
			y.t.Errorf("%v", item)
		}
		young := y.ok("POST", "/api/v1/trash/purge", `{}`) // nothing has waited out the undo period
		if num(young, "count") != 0 {
			y.t.Fatalf("%v", young)
		}
		dry := y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s","dry_run":true}`)
		if num(dry, "count") != 1 || num(dry, "files") != 2 || num(dry, "freed_bytes") != len("only mine") || dry["dry_run"] != true {
			y.t.Errorf("dry run: %v", dry)
		}
		if y.blobs() != 2 || len(y.trash()) != 1 {
			y.t.Fatal("a dry run removed something")
		}
		real := y.ok("POST", "/api/v1/trash/purge", fmt.Sprintf(`{"ids":["run:%s"]}`, gone))
		for _, key := range []string{"count", "files", "bytes", "freed_bytes"} {
			if real[key] != dry[key] {
				y.t.Errorf("%s: the dry run said %v, it was %v", key, dry[key], real[key])
			}
		}
		if y.blobs() != 1 || len(y.trash()) != 0 {
			y.t.Errorf("%d contents, %v in the trash", y.blobs(), y.trash())
		}
		y.send(404, "GET", mlflow+"runs/get?run_id="+gone, "")
		y.send(404, "GET", "/api/v1/runs/"+gone, "")
		y.send(404, "POST", "/api/v1/trash/purge", fmt.Sprintf(`{"ids":["run:%s"]}`, gone))
		if _, text := y.Do(y.t, "GET", "/api/2.0/mlflow-artifacts/artifacts/0/"+keep+"/artifacts/a.txt", ""); text != "shared" {
			y.t.Errorf("the other run's file: %q", text)
		}
		want := []string{"tracking.run.created", "tracking.run.deleted", "tracking.run.restored", "tracking.run.deleted", "tracking.run.purged"}
		if got := y.told("run", gone, "tracking.run.purged"); !slices.Equal(got, want) {
			y.t.Errorf("events: %v", got)
		}
		if sweep := y.ok("POST", "/api/v1/trash/sweep", `{}`); num(sweep, "removed") != 0 || num(sweep, "waiting") != 0 {
			y.t.Errorf("the purge left %v", sweep)
		}
	})
}

func TestExperimentLife(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		exp := y.experiment("e")
		first := y.run(exp)
		y.ok("POST", mlflow+"runs/delete", fmt.Sprintf(`{"run_id":%q}`, first))
		for i := range 120 { // more than one batch of a purge
			r := y.run(exp)
			if i == 0 {
				y.file(exp, r, "f", "data")
			}
		}
		y.ok("POST", "/api/v1/experiments/"+exp+"/delete", "")
		if got := y.trash(); !slices.Equal(got, []string{"experiment:" + exp}) {
			y.t.Fatalf("trash: %v", got)
		}
		y.ok("POST", "/api/v1/trash/restore", fmt.Sprintf(`{"ids":["experiment:%s"]}`, exp))
		if got := y.trash(); !slices.Equal(got, []string{"run:" + first}) { // deleted before the experiment: not restored with it
			y.t.Fatalf("trash: %v", got)
		}
		y.ok("POST", mlflow+"experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, exp))
		out := y.ok("POST", "/api/v1/trash/purge", `{"kinds":["experiment"],"older_than":"0s"}`)
		if num(out, "count") != 1 || num(out, "files") != 1 || num(out, "freed_bytes") != 4 || out["more"] != false {
			y.t.Errorf("%v", out)
		}
		y.send(404, "GET", mlflow+"experiments/get?experiment_id="+exp, "")
		y.send(404, "GET", mlflow+"runs/get?run_id="+first, "")
		y.send(404, "POST", "/api/v1/experiments/"+exp+"/restore", "")
		if again := y.experiment("e"); again == exp { // the name is free again
			y.t.Error("an id was given twice")
		}
		if got := y.told("experiment", exp, "tracking.experiment.purged"); len(got) != 5 {
			y.t.Errorf("events: %v", got)
		}
	})
}

// TestModelLineageIsKept: what a living version was made from is kept; once the version is purged it goes.
func TestModelLineageIsKept(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		exp := y.experiment("e")
		run := y.run(exp)
		y.file(exp, run, "model/MLmodel", "flavors:\n  python_function:\n    loader_module: x\n")
		y.ok("POST", "/api/v1/models", `{"name":"m"}`)
		for range 2 {
			y.ok("POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model","run_id":%q}`, run, run))
		}
		y.ok("PUT", "/api/v1/models/m/aliases/champion", `{"version":"1","reason":"x"}`)
		y.ok("POST", mlflow+"runs/delete", fmt.Sprintf(`{"run_id":%q}`, run))
		out := y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s"}`)
		kept := out["kept"].([]any)
		if num(out, "count") != 0 || len(kept) != 1 || fmt.Sprint(kept[0].(map[string]any)["used_by"]) != "[model version m/1 model version m/2]" {
			y.t.Fatalf("%v", out)
		}
		y.ok("DELETE", "/api/v1/models/m/versions/2", "")
		y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s","kinds":["model_version"]}`)
		y.ok("DELETE", "/api/v1/models/m", "")
		ids := y.trash()
		model := ids[slices.IndexFunc(ids, func(id string) bool { return strings.HasPrefix(id, "model:") })]
		y.ok("POST", "/api/v1/models", `{"name":"m"}`)
		y.send(409, "POST", "/api/v1/trash/restore", fmt.Sprintf(`{"ids":[%q]}`, model)) // the name is taken
		y.ok("PATCH", "/api/v1/models/m", `{"name":"other"}`)
		y.ok("POST", "/api/v1/trash/restore", fmt.Sprintf(`{"ids":[%q]}`, model))
		m := y.ok("GET", "/api/v1/models/m", "")
		if num(m, "versions_count") != 1 || fmt.Sprint(m["aliases"]) != "map[champion:1]" {
			y.t.Errorf("restored: %v", m)
		}
		v := y.ok("POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model"}`, run))
		if v["model_version"].(map[string]any)["version"] != "3" {
			y.t.Errorf("a purged number was given again: %v", v)
		}
		y.ok("DELETE", "/api/v1/models/m", "")
		out = y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s"}`)
		if num(out, "count") != 2 || len(y.trash()) != 0 || y.blobs() != 0 {
			y.t.Errorf("%v; %v; %d contents", out, y.trash(), y.blobs())
		}
		if got := y.told("model", "m", "registry.model.purged"); !slices.Contains(got, "registry.model.restored") {
			y.t.Errorf("events: %v", got)
		}
	})
}

func TestDatasetLife(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		push := func(text string) int {
			return num(y.ok("POST", "/api/v1/datasets/d/versions?format=csv", text), "version")
		}
		one, two := push("a,b\n1,2\n"), push("a,b\n3,4\n")
		y.ok("DELETE", "/api/v1/datasets/d/versions/2", "")
		if d := y.ok("GET", "/api/v1/datasets/d", ""); num(d, "latest_version") != one || num(d, "versions_count") != 1 {
			y.t.Errorf("%v", d)
		}
		y.send(404, "GET", fmt.Sprintf("/api/v1/datasets/d/versions/%d", two), "")
		if three := push("a,b\n3,4\n"); three != 3 { // the same bytes again
			y.t.Errorf("version %d", three)
		}
		y.send(409, "POST", "/api/v1/trash/restore", `{"ids":["dataset_version:d/2"]}`)
		out := y.ok("POST", "/api/v1/trash/purge", `{"ids":["dataset_version:d/2"]}`)
		if num(out, "count") != 1 || num(out, "freed_bytes") != 0 { // version 3 has the same contents
			y.t.Errorf("%v", out)
		}
		y.ok("DELETE", "/api/v1/datasets/d", "")
		y.send(404, "GET", "/api/v1/datasets/d/versions/1", "")
		y.send(409, "POST", "/api/v1/datasets/d/versions?format=csv", "a\n1\n")
		y.ok("POST", "/api/v1/trash/restore", `{"ids":["dataset:d"]}`)
		if _, text := y.Do(y.t, "GET", "/api/v1/datasets/d/versions/3/data", ""); text != "a,b\n3,4\n" {
			y.t.Errorf("restored: %q", text)
		}
		y.ok("DELETE", "/api/v1/datasets/d", "")
		out = y.ok("POST", "/api/v1/trash/purge", `{"older_than":"0s"}`)
		if num(out, "count") != 1 || y.ok("POST", "/api/v1/trash/sweep", "{}")["waiting"] != 0. && y.blobs() > 1 {
			y.t.Errorf("%v; %d contents", out, y.blobs())
		}
		y.send(404, "GET", "/api/v1/datasets/d", "")
	})
}

func TestTraceLife(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		const v3 = "/api/3.0/mlflow/traces"
		exp := y.experiment("answers")
		tell := func(id string) {
			y.t.Helper()
			y.ok("POST", v3, fmt.Sprintf(`{"trace":{"trace_info":{"trace_id":%q,"trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":%q}},"request_time":"2026-01-31T12:00:00Z","state":"OK","tags":{"mlflow.traceName":"answer"}}}}`, id, exp))
		}
		found := func() int {
			y.t.Helper()
			out := y.ok("POST", v3+"/search", fmt.Sprintf(`{"locations":[{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":%q}}],"max_results":10}`, exp))
			list, _ := out["traces"].([]any)
			return len(list)
		}
		for _, id := range []string{"tr-1", "tr-2", "tr-3"} {
			tell(id)
		}
		attachment := "/api/2.0/mlflow-artifacts/artifacts/" + exp + "/traces/tr-1/artifacts/attachments/a.txt"
		y.ok("PUT", attachment, "what was asked")
		if out := y.ok("POST", v3+"/delete-traces", fmt.Sprintf(`{"experiment_id":%q,"request_ids":["tr-1","tr-2","tr-none"]}`, exp)); out["traces_deleted"] != 2.0 {
			y.t.Errorf("%v", out)
		}
		if n := found(); n != 1 {
			y.t.Errorf("%d traces found", n)
		}
		for _, path := range []string{v3 + "/tr-1", v3 + "/get?trace_id=tr-1", "/api/v1/traces/tr-1", attachment, "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-1"} {
			y.send(404, "GET", path, "")
		}
		y.send(404, "PATCH", v3+"/tr-1/tags", `{"key":"a","value":"b"}`)
		if got := y.trash(); !slices.Equal(got, []string{"trace:tr-2", "trace:tr-1"}) {
			y.t.Fatalf("trash: %v", got)
		}
		item := y.ok("GET", "/api/v1/trash?kind=trace", "")["items"].([]any)[1].(map[string]any)
		if item["name"] != "answer" || item["parent"] != "experiment answers" || item["deleted_by"] == nil || item["purge_at"] == nil || num(item, "files") != 1 {
			y.t.Errorf("%v", item)
		}
		y.ok("POST", "/api/v1/trash/restore", `{"ids":["trace:tr-1"]}`)
		if _, text := y.Do(y.t, "GET", attachment, ""); text != "what was asked" {
			y.t.Errorf("the attachment after the undo: %q", text)
		}
		if n := found(); n != 2 {
			y.t.Errorf("%d traces after the undo", n)
		}
		y.ok("DELETE", "/api/v1/traces/tr-1", "")
		dry := y.ok("POST", "/api/v1/trash/purge", `{"kinds":["trace"],"older_than":"0s","dry_run":true}`)
		went := y.ok("POST", "/api/v1/trash/purge", `{"kinds":["trace"],"older_than":"0s"}`)
		for _, key := range []string{"count", "files", "bytes", "freed_bytes"} {
			if went[key] != dry[key] {
				y.t.Errorf("%s: the dry run said %v, it was %v", key, dry[key], went[key])
			}
		}
		if num(went, "count") != 2 || num(went, "freed_bytes") != len("what was asked") || y.blobs() != 0 || len(y.trash()) != 0 {
			y.t.Errorf("%v, %d contents, %v in the trash", went, y.blobs(), y.trash())
		}
		y.send(404, "POST", "/api/v1/trash/restore", `{"ids":["trace:tr-1"]}`)
		if n := found(); n != 1 {
			y.t.Errorf("%d traces left", n)
		}
		tell("tr-1") // the name is free again
		y.ok("POST", v3+"/delete-traces", fmt.Sprintf(`{"experiment_id":%q,"request_ids":["tr-1"]}`, exp))
		y.ok("POST", "/api/v1/experiments/"+exp+"/delete", "")
		y.send(412, "POST", "/api/v1/trash/restore", `{"ids":["trace:tr-1"]}`)
		want := []string{"trace.deleted", "trace.restored", "trace.deleted", "trace.deleted"}
		got := slices.DeleteFunc(y.told("experiment", exp, "tracking.experiment.deleted"), func(typ string) bool { return !strings.HasPrefix(typ, "trace.") })
		if !slices.Equal(got, want) {
			y.t.Errorf("events: %v", got)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	y := start(t, "")
	for body, field := range map[string]string{
		`{"older_than":"soon"}`:      "older_than",
		`{"older_than":"-1d"}`:       "older_than",
		`{"older_than":"99999999d"}`: "older_than",
		`{"kinds":["planet"]}`:       "kind",
		`{"ids":["run"]}`:            "ids[0]",
		`{"ids":["planet:1"]}`:       "kind",
		`{"ids":[""]}`:               "ids[0]",
	} {
		out := y.send(http.StatusBadRequest, "POST", "/api/v1/trash/purge", body)
		if b, _ := json.Marshal(out["errors"]); !strings.Contains(string(b), field) {
			t.Errorf("%s: %v", body, out)
		}
	}
	y.send(http.StatusBadRequest, "POST", "/api/v1/trash/restore", `{"ids":[]}`)
	y.send(http.StatusBadRequest, "GET", "/api/v1/trash?kind=planet", "")
	y.send(http.StatusBadRequest, "GET", "/api/v1/trash?page_token=x!", "")
	y.send(http.StatusNotFound, "POST", "/api/v1/trash/restore", `{"ids":["run:nothing"]}`)
	y.send(http.StatusNotFound, "POST", "/api/v1/runs/delete", `{"run_ids":["nothing"]}`)
	if _, err := os.Stat(y.dir); err != nil {
		t.Fatal(err)
	}
}
