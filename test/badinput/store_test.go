package badinput

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/testkit"
)

func (y yard) newRun() string {
	y.t.Helper()
	return y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
}

// points is a batch of metrics with a large parameter, so that it needs room.
func points(run string, n int) string {
	var b strings.Builder
	for i := range 500 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"key":"m","value":%d.5,"step":%d,"timestamp":%d}`, i, n*500+i, 1700000000000+i)
	}
	return fmt.Sprintf(`{"run_id":%q,"metrics":[%s],"params":[{"key":"p%d","value":%q}]}`, run, b.String(), n, strings.Repeat("x", 5000))
}

// TestTrackingOnAFullDisk: tracking writes are refused with 507 and the next step, nothing of a refused batch is there, and writing goes
// on without a restart once there is room.
func TestTrackingOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := small(t, "16m")
	y := yard{testkit.Start(t, func(c *config.Config) { c.DataDir = filepath.Join(dir, "data") }), t}
	run := y.newRun()
	free := fill(t, dir)
	taken, refused := 0, ""
	for taken < 2000 {
		status, _, text := y.send("POST", mlflow+"runs/log-batch", "application/json", []byte(points(run, taken)))
		if status != http.StatusOK {
			if status != http.StatusInsufficientStorage {
				t.Errorf("a batch on a full disk: %d %s", status, text)
			}
			refused = text
			break
		}
		taken++
	}
	if !strings.Contains(refused, "full") || !strings.Contains(refused, "free some space") {
		t.Fatalf("after %d batches: %q", taken, refused)
	}
	status, _, text := y.send("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/a", "application/octet-stream", []byte(strings.Repeat("a", 1<<20)))
	if status != http.StatusInsufficientStorage || !strings.Contains(text, "free some space") {
		t.Errorf("an artifact on a full disk: %d %s", status, text)
	}
	if y.ok("GET", mlflow+"runs/get?run_id="+run, "")["run"] == nil { // reading goes on
		t.Error("the run cannot be read")
	}
	free()
	y.await("batches are taken again", func() bool {
		status, _, _ := y.send("POST", mlflow+"runs/log-batch", "application/json", []byte(points(run, taken)))
		return status == http.StatusOK
	})
	y.newRun()
	params := y.ok("GET", "/api/v1/runs/"+run, "")["params"].(map[string]any)
	history := y.ok("GET", mlflow+"metrics/get-history?run_id="+run+"&metric_key=m&max_results=25000", "")["metrics"].([]any)
	if len(params) != taken+1 || len(history) != min(25000, (taken+1)*500) {
		t.Errorf("after %d batches there are %d params and %d points", taken+1, len(params), len(history))
	}
	if status, _, text := y.send("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/a", "application/octet-stream", []byte(strings.Repeat("a", 1<<20))); status != http.StatusOK {
		t.Errorf("an artifact afterwards: %d %s", status, text)
	}
	y.goesOn()
}

// TestStoreTurnsReadOnly: files that cannot be written any more give a clear error, and all goes on once they can.
func TestStoreTurnsReadOnly(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	y := yard{testkit.Start(t, func(c *config.Config) { c.DataDir = data }), t}
	run := y.newRun()
	freeze := func(flag string) error {
		files := []string{filepath.Join(data, "modelyard.db-wal"), filepath.Join(data, "blobs", "tmp")}
		out, err := exec.Command("chattr", append([]string{flag}, files...)...).CombinedOutput() //nolint:noctx // cleanups run it too
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := freeze("+i"); err != nil {
		_ = freeze("-i")
		t.Skipf("files cannot be made immutable here: %v", err)
	}
	t.Cleanup(func() { _ = freeze("-i") })
	for path, method := range map[string]string{mlflow + "runs/log-batch": "POST", "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/a": "PUT"} {
		body := points(run, 0)
		status, _, text := y.send(method, path, "application/json", []byte(body))
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "check") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if y.ok("GET", mlflow+"runs/get?run_id="+run, "")["run"] == nil {
		t.Error("the run cannot be read")
	}
	if err := freeze("-i"); err != nil {
		t.Fatal(err)
	}
	y.await("writing goes on", func() bool {
		status, _, _ := y.send("POST", mlflow+"runs/log-batch", "application/json", []byte(points(run, 0)))
		return status == http.StatusOK
	})
	y.ok("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/a", "x")
	y.goesOn()
}

// TestFlippedByte: a damaged artifact is never given away as a whole one; it is told by a clear error, a counter and an event, and
// uploading it again mends it.
func TestFlippedByte(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	y := yard{testkit.Start(t, func(c *config.Config) { c.DataDir = data }), t}
	run := y.newRun()
	contents := map[string][]byte{"small.txt": []byte("a small file"), "large.bin": []byte(strings.Repeat("0123456789", 300_000))}
	url := func(name string) string { return "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/" + name }
	for name, b := range contents {
		if status, _, text := y.send("PUT", url(name), "application/octet-stream", b); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	files, err := filepath.Glob(filepath.Join(data, "blobs", "??", "*"))
	must(t, err)
	if len(files) != len(contents) {
		t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		b[len(b)-1] ^= 1
		must(t, os.WriteFile(f, b, 0o600))
	}
	status, _, text := y.send("GET", url("small.txt"), "", nil)
	if status != http.StatusInternalServerError || !strings.Contains(text, "damaged") || !strings.Contains(text, "backup") {
		t.Errorf("small.txt: %d %s", status, text)
	}
	if n, whole := y.fetch(url("large.bin"), ""); whole || n >= len(contents["large.bin"]) {
		t.Errorf("large.bin: %d bytes were given, as a whole: %v", n, whole)
	}
	if n, whole := y.fetch(url("large.bin"), "bytes=100-199"); whole && n == 100 {
		t.Error("a range of a damaged file was given")
	}
	y.await("an event tells of both", func() bool {
		return len(y.ok("GET", "/api/v1/events?type=blob.contents.damaged", "")["items"].([]any)) == 2
	})
	told := y.ok("GET", "/api/v1/events?type=blob.contents.damaged", "")["items"].([]any)[0].(map[string]any)["data"].(map[string]any)["files"].([]any)
	if len(told) != 1 || !strings.HasPrefix(told[0].(string), "run/"+run+"/") {
		t.Errorf("the event names %v", told)
	}
	if _, _, text := y.send("GET", "/metrics", "", nil); !strings.Contains(text, "modelyard_blob_damaged_total ") || strings.Contains(text, "modelyard_blob_damaged_total 0") {
		t.Error("it was not counted")
	}
	for name, b := range contents {
		if status, _, text := y.send("PUT", url(name), "application/octet-stream", b); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if n, whole := y.fetch(url(name), ""); !whole || n != len(b) {
			t.Errorf("%s was uploaded again and is not whole", name)
		}
	}
}

// fetch gives how many bytes of a file came, and whether the answer was a success that came to its end.
func (y yard) fetch(path, ranged string) (int, bool) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodGet, y.URL+path, nil)
	must(y.t, err)
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer func() { _ = res.Body.Close() }()
	n, buf := 0, make([]byte, 32<<10)
	for {
		k, err := res.Body.Read(buf)
		n += k
		if err != nil {
			return n, err.Error() == "EOF" && res.StatusCode < 300
		}
	}
}
