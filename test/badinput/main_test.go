package badinput

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/testkit"
)

// TestMain lets the test binary be the shim that pipeline steps run under.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "internal" && os.Args[2] == "shim" {
		os.Exit(proc.ShimMain(os.Args[3:]))
	}
	os.Exit(m.Run())
}

const (
	mlflow  = "/api/2.0/mlflow/"
	record  = `{"a":1.197764800789861,"b b":-110.54385216287118,"c":0.5717924811999365,"zero":0.0,"n":-1,"flag":true,"k":31}`
	vectors = "../../internal/infer/testdata/parity"
)

type yard struct {
	*testkit.Server
	t testing.TB
}

// send gives the status and the decoded answer.
func (y yard) send(method, path, contentType string, body []byte, header ...string) (int, map[string]any, string) {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), method, y.URL+path, bytes.NewReader(body))
	must(y.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Timeout: 30 * time.Second} // a hang is a failure
	res, err := client.Do(req)
	if err != nil {
		y.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	must(y.t, err)
	var out map[string]any
	_ = json.Unmarshal(text, &out)
	return res.StatusCode, out, string(text)
}

// ok sends JSON and wants a 2xx.
func (y yard) ok(method, path, body string) map[string]any {
	y.t.Helper()
	status, out, text := y.send(method, path, "application/json", []byte(body))
	if status/100 != 2 {
		y.t.Fatalf("%s %s %.200s: %d %.500s", method, path, body, status, text)
	}
	return out
}

// refused wants a 4xx that says what is wrong: every part of want is in the answer.
func (y yard) refused(name string, status int, got map[string]any, text string, want ...string) {
	y.t.Helper()
	plain := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text)
	switch {
	case status/100 != 4:
		y.t.Errorf("%s: %d %.400s", name, status, text)
	case got["detail"] == nil && got["message"] == nil:
		y.t.Errorf("%s: %d without a problem: %.400s", name, status, text)
	}
	for _, w := range want {
		if !strings.Contains(plain, w) {
			y.t.Errorf("%s: %d %.600s does not say %s", name, status, text, w)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// version registers a model of the parity vectors as the stock client does: a run, its artifacts, a version. change may alter its files.
func (y yard) version(model, vector string, change func(name string, data []byte) []byte) string {
	y.t.Helper()
	run := y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
	entries, err := os.ReadDir(filepath.Join(vectors, vector))
	must(y.t, err)
	for _, e := range entries {
		if e.Name() == "case.json" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(vectors, vector, e.Name()))
		must(y.t, err)
		if change != nil {
			data = change(e.Name(), data)
		}
		path := fmt.Sprintf("/api/2.0/mlflow-artifacts/artifacts/0/%s/artifacts/model/%s", run, e.Name())
		if status, _, text := y.send("PUT", path, "application/octet-stream", data); status != http.StatusOK {
			y.t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	if status, _, _ := y.send("GET", "/api/v1/models/"+model, "", nil); status == http.StatusNotFound {
		y.ok("POST", "/api/v1/models", fmt.Sprintf(`{"name":%q}`, model))
	}
	v := y.ok("POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":%q,"source":"mlflow-artifacts:/0/%s/artifacts/model","run_id":%q}`, model, run, run))
	return fmt.Sprint(v["model_version"].(map[string]any)["version"])
}

// deploy makes an endpoint and waits until it serves or has failed.
func (y yard) deploy(name, uri string) string {
	y.t.Helper()
	y.ok("POST", "/api/v1/endpoints", fmt.Sprintf(`{"name":%q,"model_uri":%q}`, name, uri))
	var state string
	y.await("endpoint "+name, func() bool {
		state = y.ok("GET", "/api/v1/endpoints/"+name, "")["status"].(map[string]any)["state"].(string)
		return state != "loading"
	})
	return state
}

func (y yard) await(what string, done func() bool) {
	y.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			y.t.Fatalf("%s: nothing happened", what)
		}
	}
}

// goesOn wants the server to answer as if nothing had been.
func (y yard) goesOn() {
	y.t.Helper()
	if status, _, text := y.send("GET", "/readyz", "", nil); status != http.StatusOK {
		y.t.Errorf("not ready: %d %s", status, text)
	}
}

func start(t *testing.T) yard {
	t.Helper()
	return yard{testkit.Start(t), t}
}
