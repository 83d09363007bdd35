package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

const (
	mlflow = "/api/2.0/mlflow/"
	model  = "../../internal/infer/testdata/parity/lgb-binary/"
	record = `{"a":%g,"b b":-110.5,"c":0.57,"zero":0.0,"n":-1,"flag":true,"k":31}`
)

type yard struct {
	*testkit.Server
	t testing.TB
}

func start(t testing.TB, dir, dsn string) yard {
	return yard{testkit.Start(t, func(c *config.Config) { c.DataDir, c.DatabaseURL = dir, dsn }), t}
}

func (y yard) ok(method, path, body string) map[string]any {
	y.t.Helper()
	status, text := y.Do(y.t, method, path, body)
	if status/100 != 2 {
		y.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	out := map[string]any{}
	_ = json.Unmarshal([]byte(text), &out)
	return out
}

// acked is a run that the server said is stored, with its file.
type acked struct{ id, text string }

// write logs runs with values and a file until ctx ends; each is noted once all of it was acknowledged.
func (y yard) write(ctx context.Context, writer int, note func(acked)) {
	post := func(method, path, body string) (map[string]any, bool) {
		req, err := http.NewRequestWithContext(ctx, method, y.URL+path, strings.NewReader(body))
		if err != nil {
			return nil, false
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, false
		}
		defer func() { _ = resp.Body.Close() }()
		out := map[string]any{}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
			y.t.Errorf("%s: %d %v", path, resp.StatusCode, out)
			return nil, false
		}
		return out, true
	}
	for i := 0; ctx.Err() == nil; i++ {
		r, ok := post("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)
		if !ok {
			return
		}
		a := acked{r["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string), fmt.Sprintf("file %d of writer %d", i, writer)}
		if _, ok := post("POST", mlflow+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"params":[{"key":"p","value":"%d"}],"metrics":[{"key":"m","value":%d,"timestamp":1,"step":1}]}`, a.id, i, i)); !ok {
			return
		}
		if _, ok := post("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+a.id+"/artifacts/f.txt", a.text); !ok {
			return
		}
		note(a)
	}
}

func (y yard) deploy() {
	y.t.Helper()
	r := y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
	for _, f := range []string{"MLmodel", "model.lgb"} {
		b, err := os.ReadFile(model + f)
		if err != nil {
			y.t.Fatal(err)
		}
		y.ok("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+r+"/artifacts/model/"+f, string(b))
	}
	y.ok("POST", mlflow+"registered-models/create", `{"name":"m"}`)
	y.ok("POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model"}`, r))
	y.ok("POST", "/api/v1/endpoints", `{"name":"m","model_uri":"models:/m/1"}`)
	for range 1000 {
		if status, _ := y.Do(y.t, "GET", "/v2/models/m/ready", ""); status == http.StatusOK {
			return
		}
	}
	y.t.Fatal("the endpoint does not come up")
}

// download gives a whole backup.
func (y yard) download() []byte {
	y.t.Helper()
	req, err := http.NewRequestWithContext(y.t.Context(), http.MethodPost, y.URL+"/api/v1/backup", nil)
	if err != nil {
		y.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		y.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		y.t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return b
}

func restore(t testing.TB, b []byte, dir, dsn string, force bool) (app.Restored, error) {
	cfg := config.Default()
	cfg.DataDir, cfg.DatabaseURL = dir, dsn
	return app.Restore(t.Context(), cfg, bytes.NewReader(b), force)
}

func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); underLoad(t, "", "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); underLoad(t, dbtest.PostgresURL(t), dbtest.PostgresURL(t)) })
}

func underLoad(t *testing.T, dsn, target string) {
	y := start(t, t.TempDir(), dsn)
	y.deploy()
	p := y.ok("POST", "/endpoints/m/predict", fmt.Sprintf(record, 1.5))
	y.ok("POST", "/endpoints/m/feedback", fmt.Sprintf(`{"prediction_id":%q,"label":1}`, p["prediction_id"]))
	var mu sync.Mutex
	var done []acked
	enough := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			y.write(ctx, w, func(a acked) {
				mu.Lock()
				defer mu.Unlock()
				if done = append(done, a); len(done) == 60 {
					close(enough)
				}
			})
		})
	}
	<-enough
	mu.Lock()
	before := len(done) // all these were acknowledged before the backup began
	mu.Unlock()
	b := y.download()
	stop()
	writers.Wait()
	dir := filepath.Join(t.TempDir(), "restored")
	r, err := restore(t, b, dir, target, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Missing)+len(r.Damaged) > 0 || r.Contents == 0 || r.Events == 0 {
		t.Errorf("%+v", r.Manifest)
	}
	z := start(t, dir, target)
	for _, a := range done[:before] {
		run := z.ok("GET", "/api/v1/runs/"+a.id, "")
		if fmt.Sprint(run["metrics"]) == "map[]" || fmt.Sprint(run["params"]) == "map[]" {
			t.Errorf("run %s has %v and %v", a.id, run["metrics"], run["params"])
		}
		if _, text := z.Do(t, "GET", "/api/2.0/mlflow-artifacts/artifacts/0/"+a.id+"/artifacts/f.txt", ""); text != a.text {
			t.Errorf("the file of run %s is %q", a.id, text)
		}
	}
	if chain := z.ok("POST", "/api/v1/events/verify", "{}"); chain["ok"] != true {
		t.Errorf("the chain: %v", chain)
	}
	pred := z.ok("GET", "/api/v1/predictions/"+p["prediction_id"].(string), "")
	if pred["label"] != 1. {
		t.Errorf("the prediction: %v", pred)
	}
	created := z.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`) // and it goes on
	if created["run"] == nil {
		t.Errorf("%v", created)
	}
	if sweep := z.ok("POST", "/api/v1/trash/sweep", `{"dry_run":true}`); sweep["removed"] != 0. {
		t.Errorf("the backup holds contents that nothing refers to: %v", sweep)
	}
	t.Logf("%d runs were acknowledged before the backup began; it has %d bytes, %d contents, %d events", before, len(b), r.Contents, r.Events)
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	y := start(t, t.TempDir(), "")
	y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)
	b := y.download()
	fresh := func() string { return filepath.Join(t.TempDir(), "data") }
	flipped := bytes.Clone(b)
	flipped[len(b)*2/3] ^= 4
	for name, bad := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": b[:len(b)-200], "half": b[:len(b)/2], "flipped": flipped} {
		dir := fresh()
		if _, err := restore(t, bad, dir, "", false); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s left a data folder", name)
		}
		if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
	if _, err := restore(t, b, fresh(), "postgres://localhost/x", false); !errs.Is(err, errs.Precondition) {
		t.Errorf("into another engine: %v", err)
	}
	dir := fresh()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, b, dir, "", false); !errs.Is(err, errs.Conflict) {
		t.Errorf("into a folder with files: %v", err)
	}
	r, err := restore(t, b, dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(filepath.Join(r.Before, "mine")); err != nil || string(kept) != "x" {
		t.Errorf("the old folder: %v", err)
	}
	z := start(t, dir, "")
	z.ok("GET", "/api/v1/version", "")
	if _, err := restore(t, b, dir, "", true); !errs.Is(err, errs.Conflict) { // its server runs
		t.Errorf("under a running server: %v", err)
	}
}

// TestDamagedContentsAreBackedUp: one damaged file does not keep everything else from being saved, and is told.
func TestDamagedContentsAreBackedUp(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	y := start(t, src, "")
	run := y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
	put := func(name, text string) {
		y.ok("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/"+name, text)
	}
	put("good", "good")
	put("bad", "bad")
	put("gone", "gone")
	files, err := filepath.Glob(filepath.Join(src, "blobs", "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch b, _ := os.ReadFile(f); string(b) {
		case "bad":
			err = os.WriteFile(f, []byte("bae"), 0o600)
		case "gone":
			err = os.Remove(f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "restored")
	r, err := restore(t, y.download(), dir, "", false)
	if err != nil || len(r.Missing) != 1 || len(r.Damaged) != 1 {
		t.Fatalf("%v %v %v", err, r.Missing, r.Damaged)
	}
	z := start(t, dir, "")
	want := map[string]int{"good": http.StatusOK, "bad": http.StatusInternalServerError, "gone": http.StatusNotFound}
	for name, code := range want {
		if status, text := z.Do(t, "GET", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/"+name, ""); status != code {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}
