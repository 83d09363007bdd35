package badinput

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/testkit"
)

// opening wants the start of a server to fail with a reason, and the data folder to be free afterwards.
func opening(t *testing.T, cfg config.Config, want ...string) {
	t.Helper()
	s, err := app.New(t.Context(), cfg, app.Options{})
	if err == nil {
		s.Close()
		t.Fatal("it started")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %s", err, w)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = ln.Close() }()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), ln.Addr().String()
	opening(t, cfg, ln.Addr().String(), "already")
	cfg.Listen = "127.0.0.1:0" // the folder was given back
	s, err := app.New(t.Context(), cfg, app.Options{})
	must(t, err)
	opening(t, cfg, "in use by process") // and now it is held: by whom
	s.Close()
}

// small mounts a file system of the given size.
func small(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("a small disk needs Linux and root")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() }) //nolint:noctx // the test's context has ended
	return dir
}

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	dir := small(t, "8m")
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,ro", dir).CombinedOutput()
	if err != nil {
		t.Skipf("%s", out)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = filepath.Join(dir, "data"), "127.0.0.1:0"
	opening(t, cfg, dir)
	cfg.DataDir = dir
	opening(t, cfg, dir)
}

// fill takes all room of a file system and gives a function that gives it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	must(t, err)
	for chunk := make([]byte, 1<<16); len(chunk) > 0; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(name)) }
}

// TestFullDisk: predictions go on without their log, an alert says so, writes are refused with 507 and leave nothing, and all is well
// once there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := small(t, "24m")
	y := yard{testkit.Start(t, func(c *config.Config) { c.DataDir = filepath.Join(dir, "data") }), t}
	y.version("bike", "lgb-regression", nil)
	if s := y.deploy("bike", "models:/bike/1"); s != "ready" {
		t.Fatalf("the endpoint is %s", s)
	}
	run := y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
	predict := func() (int, map[string]any, string) {
		return y.send("POST", "/endpoints/bike/predict", "application/json", []byte(record))
	}
	alerts := func(state string) int {
		return len(y.ok("GET", "/api/v1/alerts?state="+state, "")["items"].([]any))
	}
	if status, got, text := predict(); status != http.StatusOK || got["logged"] != true {
		t.Fatalf("%d %s", status, text)
	}
	free := fill(t, dir)
	y.await("the log fails", func() bool {
		status, got, text := predict()
		if status != http.StatusOK {
			t.Fatalf("a prediction fails: %d %s", status, text)
		}
		return got["logged"] == false
	})
	artifact := "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/big"
	for path, method := range map[string]string{artifact: "PUT", "/api/v1/datasets/d/versions?format=csv": "POST"} {
		status, _, text := y.send(method, path, "application/octet-stream", []byte("a,b\n"+strings.Repeat("1,2\n", 1<<18)))
		if status != http.StatusInsufficientStorage || !strings.Contains(text, "full") || !strings.Contains(text, "free some") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	sawFull := false
	for range 2000 { // metadata has some room of its own in the write-ahead log
		status, _, text := y.send("POST", "/api/v1/experiments", "application/json", []byte(`{"name":"`+strings.Repeat("e", 200)+`"}`))
		if status == http.StatusInsufficientStorage || status == http.StatusServiceUnavailable {
			sawFull = true
			break
		}
		if status >= 500 {
			t.Fatalf("an experiment: %d %s", status, text)
		}
		if status/100 == 4 {
			break // the name exists: it was taken
		}
	}
	t.Logf("metadata was refused: %v", sawFull)
	free()
	y.await("the log is written again", func() bool {
		status, got, _ := predict()
		return status == http.StatusOK && got["logged"] == true
	})
	y.await("an alert was raised and resolved", func() bool { return alerts("resolved") == 1 && alerts("active") == 0 })
	y.ok("POST", "/api/v1/experiments", `{"name":"afterwards"}`)
	if status, _, _ := y.send("GET", artifact, "", nil); status != http.StatusNotFound {
		t.Errorf("half an artifact is there: %d", status)
	}
	if status, _, text := y.send("POST", "/api/v1/datasets/d/versions?format=csv", "text/csv", []byte("a\n1\n")); status != http.StatusCreated || !strings.Contains(text, `"version":1`) {
		t.Errorf("a dataset afterwards: %d %s", status, text)
	}
	y.goesOn()
}

// TestPredictionLogCannotBeWritten: only the log has no room, so the alert is there at once.
func TestPredictionLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	data, disk := t.TempDir(), small(t, "256k")
	must(t, os.Symlink(disk, filepath.Join(data, "predictions")))
	y := yard{testkit.Start(t, func(c *config.Config) { c.DataDir = data }), t}
	y.version("bike", "lgb-regression", nil)
	if s := y.deploy("bike", "models:/bike/1"); s != "ready" {
		t.Fatalf("the endpoint is %s", s)
	}
	logged := func() bool {
		status, got, text := y.send("POST", "/endpoints/bike/predict", "application/json", []byte(record))
		if status != http.StatusOK || got["prediction"] == nil {
			t.Fatalf("a prediction fails: %d %s", status, text)
		}
		return got["logged"].(bool)
	}
	if !logged() {
		t.Fatal("it is not logged")
	}
	free := fill(t, disk)
	y.await("the log fails", func() bool { return !logged() })
	items := func(state string) []any { return y.ok("GET", "/api/v1/alerts?state="+state, "")["items"].([]any) }
	y.await("an alert", func() bool { return len(items("active")) == 1 })
	if a := items("active")[0].(map[string]any); a["kind"] != "prediction_log" || a["severity"] != "page" {
		t.Errorf("the alert is %v", a)
	}
	free()
	y.await("the log is written again", logged)
	y.await("the alert is resolved", func() bool { return len(items("active")) == 0 && len(items("resolved")) == 1 })
}
