package app_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/app"
	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/testkit"
)

type queued struct {
	RunAt time.Time `json:"run_at"`
}

// call sends a request that must succeed and decodes the answer.
func call(t *testing.T, s *testkit.Server, method, path, body string, out any) {
	t.Helper()
	status, text := s.Do(t, method, path, body)
	if status < 200 || status > 299 {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
}

// eventually asks again until done or the test's patience ends.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after two minutes still not: %s", what)
		}
	}
}

// TestWholeServerOnPostgres goes once through the loop with everything in PostgreSQL: run, model, endpoint, prediction, label, events.
func TestWholeServerOnPostgres(t *testing.T) {
	t.Parallel()
	dsn := dbtest.PostgresURL(t)
	s := testkit.Start(t, func(c *config.Config) { c.DatabaseURL = dsn })
	const api, model = "/api/2.0/mlflow/", "../infer/testdata/parity/lgb-binary"

	var run struct {
		Run struct {
			Info struct {
				RunID string `json:"run_id"`
			}
			Data struct {
				Metrics []struct {
					Key   string
					Value float64
				}
			}
		}
	}
	call(t, s, "POST", api+"runs/create", `{"experiment_id":"0","tags":[{"key":"mlflow.user","value":"ann"}]}`, &run)
	id := run.Run.Info.RunID
	for step := range 40 {
		call(t, s, "POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"key":"auc","value":%g,"step":%d,"timestamp":%d}],"tags":[{"key":"step","value":"%d"}]}`, id, 0.5+float64(step)/100, step, 1700000000000+step, step), nil)
	}
	for _, f := range []string{"MLmodel", "model.lgb"} {
		b, err := os.ReadFile(filepath.Join(model, f))
		if err != nil {
			t.Fatal(err)
		}
		call(t, s, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+id+"/artifacts/model/"+f, string(b), nil)
	}
	call(t, s, "POST", api+"runs/update", fmt.Sprintf(`{"run_id":%q,"status":"FINISHED"}`, id), nil)
	call(t, s, "GET", api+"runs/get?run_id="+id, "", &run)
	if m := run.Run.Data.Metrics; len(m) != 1 || m[0].Value != 0.89 {
		t.Errorf("latest metrics %v", m)
	}
	var found struct{ Runs []any }
	call(t, s, "POST", api+"runs/search", `{"experiment_ids":["0"],"filter":"metrics.auc > 0.8 AND tags.step LIKE '3%' AND attributes.status = 'FINISHED'","order_by":["metrics.auc DESC"]}`, &found)
	if len(found.Runs) != 1 {
		t.Errorf("%d runs found", len(found.Runs))
	}

	call(t, s, "POST", api+"registered-models/create", `{"name":"m"}`, nil)
	call(t, s, "POST", api+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model","run_id":%q}`, id, id), nil)
	call(t, s, "POST", api+"registered-models/alias", `{"name":"m","alias":"champion","version":"1"}`, nil)
	call(t, s, "POST", "/api/v1/endpoints", `{"name":"m","model_uri":"models:/m@champion"}`, nil)
	eventually(t, "the endpoint is ready", func() bool { status, _ := s.Do(t, "GET", "/v2/models/m/ready", ""); return status == 200 })

	var p struct {
		Prediction   float64
		PredictionID string `json:"prediction_id"`
		Logged       bool
	}
	call(t, s, "POST", "/endpoints/m/predict", `{"a":1.197764800789861,"b b":-110.54385216287118,"c":0.5717924811999365,"zero":0.0,"n":-1,"flag":true,"k":31}`, &p)
	if p.PredictionID == "" || !p.Logged {
		t.Fatalf("prediction %+v", p)
	}
	call(t, s, "POST", "/endpoints/m/feedback", fmt.Sprintf(`{"prediction_id":%q,"label":1}`, p.PredictionID), nil)
	eventually(t, "the prediction shows its label", func() bool {
		status, body := s.Do(t, "GET", "/api/v1/predictions/"+p.PredictionID, "")
		return status == 200 && strings.Contains(body, `"label":1`)
	})

	seen := map[string]bool{}
	want := []string{"tracking.run.created", "tracking.run.ended", "registry.model.created", "registry.version.created", "registry.alias.set", "serving.endpoint.created", "routing.route.changed"}
	eventually(t, fmt.Sprint("sequenced: ", want), func() bool {
		var evs struct{ Items []struct{ Type string } }
		call(t, s, "GET", "/api/v1/events?limit=100", "", &evs)
		for _, e := range evs.Items {
			seen[e.Type] = true
		}
		for _, w := range want {
			if !seen[w] {
				return false
			}
		}
		return true
	})
	var chain struct {
		OK     bool
		Detail string
	}
	if call(t, s, "POST", "/api/v1/events/verify", `{}`, &chain); !chain.OK {
		t.Error(chain.Detail)
	}
	eventually(t, "no job is due", func() bool {
		var jobs struct{ Items []queued }
		call(t, s, "GET", "/api/v1/jobs?state=ready", "", &jobs)
		return !slices.ContainsFunc(jobs.Items, func(j queued) bool { return j.RunAt.Before(time.Now()) })
	})
	var failed struct{ Items []any }
	if call(t, s, "GET", "/api/v1/jobs?state=failed", "", &failed); len(failed.Items) != 0 {
		t.Errorf("failed jobs: %v", failed.Items)
	}
}

func TestSecondServerOnOneDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, dsn string) {
		cfg := config.Default()
		cfg.DataDir, cfg.Listen, cfg.DatabaseURL = t.TempDir(), "127.0.0.1:0", dsn
		first, err := app.New(t.Context(), cfg, app.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.DataDir = t.TempDir()
		_, err = app.New(t.Context(), cfg, app.Options{})
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
			t.Errorf("the second server: %v", err)
		}
		first.Close()
		second, err := app.New(t.Context(), cfg, app.Options{})
		if err != nil {
			t.Fatalf("after the first has stopped: %v", err)
		}
		second.Close()
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); refused(t, "sqlite:"+filepath.Join(t.TempDir(), "sub", "one.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); refused(t, dbtest.PostgresURL(t)) })
}

// A server that loses its connection takes the lock again; when another has it meanwhile, it stops.
func TestLostDatabaseLock(t *testing.T) {
	t.Parallel()
	dsn := dbtest.PostgresURL(t)
	d, err := db.Open(t.Context(), db.Options{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	lock, err := d.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, _ := url.Parse(dsn)
	sever := func(c *sql.DB) {
		t.Helper()
		eventually(t, "the connection with the lock is cut", func() bool { // it has its name a moment after the lock
			var n int
			return c.QueryRowContext(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = $1 AND application_name LIKE 'modelyard process%'`, strings.TrimPrefix(name.Path, "/")).Scan(&n) == nil && n > 0
		})
	}
	admin, err := sql.Open("pgx", os.Getenv("MODELYARD_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	watched := make(chan error, 1)
	go func() { watched <- lock.Watch(t.Context()) }()
	sever(admin)
	eventually(t, "the lock is taken again", func() bool {
		var n int
		return admin.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'modelyard process%'`,
			strings.TrimPrefix(name.Path, "/")).Scan(&n) == nil && n == 1
	})
	other, err := db.Open(t.Context(), db.Options{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	var theirs *db.Lock
	for err = errs.E(errs.Conflict, "test", "", nil); errs.Is(err, errs.Conflict); { // the first may be the quicker one
		sever(admin)
		theirs, err = other.Lock(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(theirs.Release)
	if err := <-watched; !errs.Is(err, errs.Conflict) {
		t.Fatalf("the first server goes on: %v", err)
	}
}
