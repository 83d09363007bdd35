package badinput

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/testkit"
)

func (y yard) putPipeline(name, spec string) (int, map[string]any, string) {
	body, err := json.Marshal(map[string]any{"spec": spec})
	must(y.t, err)
	return y.send("PUT", "/api/v1/pipelines/"+name, "application/json", body)
}

func TestPipelineDefinitions(t *testing.T) {
	t.Parallel()
	y := start(t)
	for name, c := range map[string]struct{ spec, want string }{
		"cycle":       {"steps:\n- {name: a, needs: [b], run: x}\n- {name: b, needs: [a], run: x}\n", "a -> b -> a"},
		"itself":      {"steps: [{name: a, needs: [a], run: x}]", "a"},
		"unknown":     {"steps: [{name: a, needs: [zz], run: x}]", "zz"},
		"no steps":    {"name: p\n", "steps"},
		"nothing":     {"", "spec"},
		"unknown key": {"stepz: []", "stepz"},
		"both":        {"steps: [{name: a, run: x, command: [y]}]", "run"},
		"timeout":     {"steps: [{name: a, run: x, timeout: soon}]", "timeout"},
		"a tag":       {"steps: !00 00\n", "spec"},
		"tag deep":    {"params:\n  a: !00 00\nsteps: [{name: a, run: x}]\n", ""},
		"deep":        {"steps: " + strings.Repeat("[", 50_000), "nested"},
		"too large":   {"description: " + strings.Repeat("x", 300_000), "KiB"},
		"not UTF-8":   {"steps: [{name: \xff, run: x}]", "name"},
		"schedule":    {"steps: [{name: a, run: x}]\non: {schedule: whenever}\n", "schedule"},
		"huge name":   {"steps: [{name: " + strings.Repeat("x", 2000) + ", run: x}]", "name"},
	} {
		status, got, text := y.putPipeline("p", c.spec)
		y.refused(name, status, got, text, c.want)
	}
	if status, _, _ := y.send("GET", "/api/v1/pipelines/p", "", nil); status != http.StatusNotFound {
		t.Errorf("a refused pipeline is there: %d", status)
	}
	status, got, text := y.send("POST", "/api/v1/pipelines/p/runs", "application/json", []byte(`{}`))
	y.refused("run of nothing", status, got, text, "p")
	y.goesOn()
}

// run starts a run of a pipeline and waits for its end.
func (y yard) run(name, spec string) map[string]any {
	y.t.Helper()
	if status, _, text := y.putPipeline(name, spec); status/100 != 2 {
		y.t.Fatalf("%s: %d %s", name, status, text)
	}
	id := y.ok("POST", "/api/v1/pipelines/"+name+"/runs", `{"params":{}}`)["id"].(string)
	var run map[string]any
	y.await("pipeline "+name, func() bool {
		run = y.ok("GET", "/api/v1/pipeline-runs/"+id, "")
		return run["state"] != "queued" && run["state"] != "running"
	})
	return run
}

func TestPipelineSteps(t *testing.T) {
	t.Parallel()
	var dir string
	y := yard{testkit.Start(t, func(c *config.Config) { dir = c.DataDir }), t}
	for name, c := range map[string]struct{ step, state, says string }{
		"fails":    {"run: exit 3", "failed", "3"},
		"hangs":    {"run: sleep 600, timeout: 300ms", "failed", "time limit"},
		"no-such":  {"command: [/no/such/program]", "failed", "program"},
		"killed":   {"run: kill -9 $$", "failed", ""},
		"ignores":  {`run: "trap '' TERM; while :; do sleep 1; done", timeout: 300ms`, "failed", "time limit"},
		"gigabyte": {"run: head -c 1000000000 /dev/zero", "succeeded", ""},
	} {
		run := y.run(name, "steps:\n- {name: only, "+c.step+"}\n")
		step, _ := json.Marshal(run["steps"].([]any)[0])
		if run["state"] != c.state || !strings.Contains(string(step), c.says) {
			t.Errorf("%s: %v: %s", name, run["state"], step)
		}
		if name == "gigabyte" {
			if status, _, text := y.send("GET", "/api/v1/pipeline-runs/"+run["id"].(string)+"/steps/only/log?offset=0", "", nil); status != http.StatusOK || len(text) > 16<<20 {
				t.Errorf("its log: %d, %d bytes at once", status, len(text))
			}
		}
	}
	var size int64
	must(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if i, ierr := e.Info(); ierr == nil {
				size += i.Size()
			}
		}
		return nil
	}))
	if size > 200<<20 {
		t.Errorf("the data folder has %d MiB after a step printed a gigabyte", size>>20)
	}
	y.goesOn()
}
