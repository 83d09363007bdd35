package tracking

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/httpx"
)

// ask sends a request to the native API of the service and decodes the answer.
func ask(t *testing.T, s *Service, method, path, body string, status int) map[string]any {
	t.Helper()
	r := httpx.New(httpx.Options{Version: "test", Log: s.d.Log, Guard: func(r *http.Request, _ httpx.Action) (context.Context, error) { return r.Context(), nil }})
	s.Routes(r)
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	r.Handler().ServeHTTP(w, req)
	out := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != status {
		t.Fatalf("%s %s %s: %d %s %v", method, path, body, w.Code, w.Body, err)
	}
	return out
}

// grid makes six runs with depth 1 to 3, their loss going down to 1/depth from twice of that.
func grid(t *testing.T, s *Service) (eid string, ids []string) {
	t.Helper()
	ctx := t.Context()
	eid = must(s.CreateExperiment(ctx, NewExperiment{Name: "grid"}))(t)
	for i := range 6 {
		depth := 1 + i%3
		r := must(s.CreateRun(ctx, NewRun{ExperimentID: eid, Name: fmt.Sprint("r", i)}))(t)
		ids = append(ids, r.ID)
		b := Batch{Params: []Param{{"depth", fmt.Sprint(depth)}, {"other", "x"}}, Tags: []Tag{{"kind", "nightly"}}}
		if i == 5 {
			b.Params = b.Params[1:]
		}
		for step := range int64(5) {
			b.Metrics = append(b.Metrics, Metric{Key: "loss", Point: Point{Step: step, Time: step, Value: (2 - float64(step%4)/3) / float64(depth)}}, Metric{Key: "acc", Point: Point{Step: step, Value: float64(i)}})
		}
		ok(t, s.LogBatch(ctx, r.ID, b))
	}
	return eid, ids
}

func pluck(t *testing.T, v any, keys ...any) any {
	t.Helper()
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %q in %v", k, v)
			}
			v = m[k]
		case int:
			l, ok := v.([]any)
			if !ok || k >= len(l) {
				t.Fatalf("no item %d in %v", k, v)
			}
			v = l[k]
		}
	}
	return v
}

func TestStoreSearchAPI(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		eid, ids := grid(t, s)
		body := fmt.Sprintf(`{"experiment_ids":[%q],"filter":"tags.kind = 'nightly' AND NOT params.depth = '1'","order_by":["best(metrics.loss) ASC","metrics.acc DESC"],
			"columns":["params.depth","min(metrics.loss)","max(metrics.loss)","last(metrics.acc)","attributes.status"],"page_size":2,"offset":1,"count_total":true}`, eid)
		got := ask(t, s, "POST", "/api/v1/runs/search", body, 200)
		// 1/3: r5, r2; 1/2: r4, r1
		if got["total"] != 4.0 || pluck(t, got, "items", 0, "name") != "r2" || pluck(t, got, "items", 1, "name") != "r4" || got["next_page_token"] == nil {
			t.Fatalf("%v", got)
		}
		item := pluck(t, got, "items", 1)
		if d := cmp.Diff(map[string]any{"min(metrics.loss)": .5, "max(metrics.loss)": 1.0, "last(metrics.acc)": 4.0, "best(metrics.loss)": .5}, pluck(t, item, "aggregates")); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]any{map[string]any{"depth": "2"}, map[string]any{}, map[string]any{}}, []any{pluck(t, item, "params"), pluck(t, item, "metrics"), pluck(t, item, "tags")}); d != "" {
			t.Error(d)
		}
		if m := must(s.Run(t.Context(), ids[4]))(t).Metrics; len(m) != 2 {
			t.Errorf("a narrowed view changed the run in the cache: %v", m)
		}
		for _, bad := range []string{`{"columns":["metrics"]}`, `{"columns":["min(params.x)"]}`, `{"offset":1,"page_token":"e30"}`, `{"offset":-1}`, `{"filter":"("}`} {
			ask(t, s, "POST", "/api/v1/runs/search", bad, 400)
		}

		keys := ask(t, s, "GET", "/api/v1/experiments/"+eid+"/keys", "", 200)
		if d := cmp.Diff(map[string]any{"metrics": []any{"acc", "loss"}, "params": []any{"depth", "other"}, "tags": []any{"kind", "mlflow.runName"}}, keys); d != "" {
			t.Error(d)
		}
		ok(t, s.LogBatch(t.Context(), ids[0], Batch{Metrics: []Metric{{Key: "new"}}}))
		if keys = ask(t, s, "GET", "/api/v1/experiments/"+eid+"/keys", "", 200); pluck(t, keys, "metrics", 2) != "new" {
			t.Errorf("%v", keys)
		}
		ask(t, s, "GET", "/api/v1/experiments/77/keys", "", 404)

		groups := ask(t, s, "POST", "/api/v1/runs/groups", fmt.Sprintf(`{"experiment_ids":[%q],"by":["params.depth","attributes.status"],"metrics":["loss","acc","none"]}`, eid), 200)
		if pluck(t, groups, "more") != false || len(pluck(t, groups, "items").([]any)) != 4 || pluck(t, groups, "items", 0, "runs") != 2.0 || pluck(t, groups, "items", 3, "runs") != 1.0 {
			t.Fatalf("%v", groups)
		}
		if d := cmp.Diff(map[string]any{"depth": nil, "status": "RUNNING"}, map[string]any{"depth": pluck(t, groups, "items", 2, "keys", "params.depth"), "status": pluck(t, groups, "items", 2, "keys", "attributes.status")}); d != "" {
			t.Error(d)
		}
		first := pluck(t, groups, "items", 0, "metrics") // depth 1: r0 and r3; the last loss is 2/depth
		if d := cmp.Diff(map[string]any{"loss": map[string]any{"count": 2.0, "min": 2.0, "max": 2.0, "mean": 2.0, "best": 2.0, "best_run_id": ids[0]},
			"acc": map[string]any{"count": 2.0, "min": 0.0, "max": 3.0, "mean": 1.5, "best": 3.0, "best_run_id": ids[3]}}, first); d != "" {
			t.Error(d)
		}
		for _, bad := range []string{`{"by":["metrics.loss"]}`, `{"by":["start_time"]}`, `{"by":["datasets.name"]}`, `{"by":["params.a"],"filter":"x"}`} {
			ask(t, s, "POST", "/api/v1/runs/groups", bad, 400)
		}
	})
}

func TestHistoriesAPI(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	_, ids := grid(t, s)
	got := ask(t, s, "POST", "/api/v1/metric-histories", fmt.Sprintf(`{"runs":[%q,"gone",%q,%q],"keys":["loss","none"],"max_points":2,"start_step":1}`, ids[3], ids[0], ids[3]), 200)
	if len(pluck(t, got, "series").([]any)) != 2 || pluck(t, got, "series", 0, "run_id") != ids[3] || pluck(t, got, "series", 1, "total") != 4.0 {
		t.Fatalf("%v", got)
	}
	// steps 1 to 4 are 5/3, 4/3, 1, 2: the smallest and the largest stay
	if d := cmp.Diff([]any{map[string]any{"step": 3.0, "time": "1970-01-01T00:00:00.003Z", "value": 1.0}, map[string]any{"step": 4.0, "time": "1970-01-01T00:00:00.004Z", "value": 2.0}}, pluck(t, got, "series", 0, "points")); d != "" {
		t.Error(d)
	}
	many := `["` + strings.Repeat(`k","`, 49) + `k"]`
	ask(t, s, "POST", "/api/v1/metric-histories", `{"runs":["a"],"keys":`+many+`,"max_points":10000}`, 200)
	runs := `["` + strings.Repeat(`r","`, 49) + `r"]`
	ask(t, s, "POST", "/api/v1/metric-histories", `{"runs":`+runs+`,"keys":`+many+`}`, 400)
	ask(t, s, "POST", "/api/v1/metric-histories", `{"runs":[],"keys":["a"]}`, 400)
}

// TestBest: what is best comes from the name of the metric, or from a tag of the experiment.
func TestBest(t *testing.T) {
	t.Parallel()
	for key, lower := range map[string]bool{"loss": true, "val_loss": true, "eval/RMSE": true, "trainLoss": true, "latency_ms": true, "acc": false, "f1": false, "lossless": false,
		"r2": false, "roc_auc": false, "uptime": false, "system/gpu_memory": true} {
		if lowerIsBetter(key) != lower {
			t.Errorf("%s: lower is better is %v", key, !lower)
		}
	}
	s, _ := start(t, dbtest.SQLite(t))
	eid, _ := grid(t, s)
	q := RunQuery{ExperimentIDs: []string{eid}, OrderBy: []string{"best(metrics.acc) DESC"}, Aggregates: []string{"best(metrics.acc)", "best(metrics.loss)"}, Filter: "params.depth = '1'"}
	for _, told := range []string{"", "min", "max", "whatever"} {
		if told != "" {
			ok(t, s.SetExperimentTag(t.Context(), eid, Tag{TagBest + "loss", told}))
		}
		p := must(s.SearchRuns(t.Context(), q))(t)
		want := 1.0
		if told == "max" {
			want = 2
		}
		if got := p.Aggregates[p.Runs[0].ID]["best(metrics.loss)"]; p.Runs[0].Name != "r3" || got != want {
			t.Errorf("told %q: %v", told, p.Aggregates)
		}
	}
}

func TestRunningRunsAreCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Service, _ *clock.Fake) {
		a := must(s.CreateExperiment(t.Context(), NewExperiment{Name: "a"}))(t)
		var ids []string
		for range 4 {
			ids = append(ids, must(s.CreateRun(t.Context(), NewRun{ExperimentID: a}))(t).ID)
		}
		done := StatusFinished
		must(s.UpdateRun(t.Context(), ids[0], RunChange{Status: &done}))(t)
		ok(t, s.DeleteRun(t.Context(), ids[1])) // it is in the trash, whatever it does
		got := ask(t, s, "GET", "/api/v1/experiments/"+a, "", 200)
		if pluck(t, got, "runs_count") != 3.0 || pluck(t, got, "runs_running") != 2.0 {
			t.Error(got)
		}
	})
}
