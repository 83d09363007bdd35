package serving_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/routing"
	"github.com/modelyard/modelyard/internal/serving"
)

const record = `{"a":1.197764800789861,"b b":-110.54385216287118,"c":0.5717924811999365,"zero":0.0,"n":-1,"flag":true,"k":31}`

// expected is what the library itself predicts for the first rows of a parity vector.
func expected(t testing.TB, vector string) (columns []string, rows [][]any, want []float64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "infer", "testdata", "parity", vector, "case.json"))
	must(t, err)
	var c struct {
		Columns []string  `json:"columns"`
		Rows    [][]any   `json:"rows"`
		Predict []float64 `json:"predict"`
	}
	must(t, json.Unmarshal(data, &c))
	return c.Columns, c.Rows, c.Predict
}

func near(a any, b float64) bool {
	f, ok := a.(float64)
	return ok && math.Abs(f-b) <= 1e-6*max(1, math.Abs(b))
}

func TestEveryFormatGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.deploy("bike", y.version("lgb-regression", nil))
	columns, rows, want := expected(t, "lgb-regression")
	n := 5
	jsonOf := func(v any) string { b, err := json.Marshal(v); must(t, err); return string(b) }
	var records []map[string]any
	tensors := []map[string]any{}
	for i := range rows[:n] {
		rec := map[string]any{}
		for j, c := range columns {
			rec[c] = rows[i][j]
		}
		records = append(records, rec)
	}
	for j, c := range columns {
		var data []any
		for i := range n {
			data = append(data, rows[i][j])
		}
		datatype := "FP64"
		switch data[0].(type) {
		case bool:
			datatype = "BOOL"
		}
		tensors = append(tensors, map[string]any{"name": c, "shape": []int{n, 1}, "datatype": datatype, "data": data})
	}
	csv := strings.Join(columns, ",") + "\n"
	for i := range n {
		cells := []string{}
		for _, v := range rows[i] {
			if v == nil {
				v = ""
			}
			cells = append(cells, fmt.Sprint(v))
		}
		csv += strings.Join(cells, ",") + "\n"
	}
	for name, r := range map[string]reply{
		"records":         y.post("/endpoints/bike/predict", jsonOf(records)),
		"dataframe_split": y.post("/endpoints/bike/invocations", jsonOf(map[string]any{"dataframe_split": map[string]any{"columns": columns, "data": rows[:n]}})),
		"dataframe_recs":  y.post("/endpoints/bike/invocations", jsonOf(map[string]any{"dataframe_records": records})),
		"instances":       y.post("/endpoints/bike/invocations", jsonOf(map[string]any{"instances": records})),
		"csv":             y.post("/endpoints/bike/invocations", csv, "Content-Type", "text/csv"),
	} {
		got, _ := r.body["predictions"].([]any)
		if r.status != http.StatusOK || len(got) != n || r.header.Get("X-Modelyard-Version") != "1" {
			t.Errorf("%s: %d %v", name, r.status, r.body)
			continue
		}
		for i := range got {
			if !near(got[i], want[i]) {
				t.Errorf("%s row %d: %v, the library says %v", name, i, got[i], want[i])
			}
		}
		if ids, _ := r.body["prediction_ids"].([]any); len(ids) != n {
			t.Errorf("%s: ids %v", name, ids)
		}
	}
	r := y.post("/v2/models/bike/infer", jsonOf(map[string]any{"id": "r1", "inputs": tensors, "parameters": map[string]any{"key": "k"}}))
	outs, _ := r.body["outputs"].([]any)
	if r.status != http.StatusOK || len(outs) != 1 || r.body["id"] != "r1" {
		t.Fatalf("v2: %d %v", r.status, r.body)
	}
	data, _ := outs[0].(map[string]any)["data"].([]any)
	for i := range n {
		if !near(data[i], want[i]) {
			t.Errorf("v2 row %d: %v", i, data[i])
		}
	}
	one := y.post("/endpoints/bike/predict", record, "X-Modelyard-Event-Time", "2011-04-01T00:00:00Z", "X-Modelyard-Key", "hour-1")
	if !near(one.body["prediction"], want[0]) || one.body["logged"] != true || one.body["prediction_id"] != one.header.Get("X-Modelyard-Prediction-Id") {
		t.Fatalf("predict: %v", one.body)
	}
	p, err := y.log.Get(t.Context(), one.body["prediction_id"].(string))
	must(t, err)
	if p.Key != "hour-1" || p.EventTime.Year() != 2011 || !near(p.Output, want[0]) || p.Inputs["n"] != int64(-1) || p.Version != "1" {
		t.Errorf("logged %+v", p)
	}
	if meta := y.get("/v2/models/bike"); meta.status != http.StatusOK || len(meta.body["inputs"].([]any)) != 7 {
		t.Errorf("metadata %v", meta.body)
	}
	e := y.get("/api/v1/endpoints/bike").body
	if e["sample_input"].(map[string]any)["n"] != -1.0 || e["status"].(map[string]any)["state"] != "ready" {
		t.Errorf("endpoint %v", e)
	}
	stats := y.get("/api/v1/endpoints/bike/stats?window=15m").body
	if stats["totals"].(map[string]any)["count"] != float64(6*n+1) {
		t.Errorf("stats %v", stats["totals"])
	}
}

func TestBadInputIsNamed(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.deploy("bike", y.version("lgb-regression", nil))
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		want       string
	}{
		"empty":            {"/endpoints/bike/predict", "", nil, 400, "empty"},
		"no json":          {"/endpoints/bike/predict", "{", nil, 400, ""},
		"missing column":   {"/endpoints/bike/predict", `{"a":1}`, nil, 400, "b b"},
		"text for number":  {"/endpoints/bike/predict", strings.Replace(record, "31", `"x"`, 1), nil, 400, `"k[0]"`},
		"nan for long":     {"/endpoints/bike/predict", strings.Replace(record, "31", `NaN`, 1), nil, 400, ""},
		"unknown endpoint": {"/endpoints/biek/predict", record, nil, 404, "did you mean bike"},
		"too large":        {"/endpoints/bike/predict", `{"a":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "larger"},
		"event time":       {"/endpoints/bike/predict", record, []string{"X-Modelyard-Event-Time", "soon"}, 400, "X-Modelyard-Event-Time"},
		"long key":         {"/endpoints/bike/predict", record, []string{"X-Modelyard-Key", strings.Repeat("k", 300)}, 400, "X-Modelyard-Key"},
		"content type":     {"/endpoints/bike/invocations", record, []string{"Content-Type", "application/xml"}, 400, "Content-Type"},
		"bare list":        {"/endpoints/bike/invocations", `[1,2]`, nil, 400, "dataframe_split"},
		"bad csv":          {"/endpoints/bike/invocations", "a,b\n1\n", []string{"Content-Type", "text/csv"}, 400, "CSV"},
		"v2 no inputs":     {"/v2/models/bike/infer", `{}`, nil, 400, "inputs"},
		"v2 shape":         {"/v2/models/bike/infer", `{"inputs":[{"name":"a","shape":[3],"datatype":"FP64","data":[1]}]}`, nil, 400, "inputs[0].data"},
		"v2 datatype":      {"/v2/models/bike/infer", `{"inputs":[{"name":"a","shape":[1],"datatype":"FLOAT","data":[1]}]}`, nil, 400, "inputs[0].datatype"},
		"v2 huge shape":    {"/v2/models/bike/infer", `{"inputs":[{"name":"a","shape":[100000,100000],"datatype":"FP64","data":[1]}]}`, nil, 400, "inputs[0].shape"},
	} {
		r := y.post(c.path, c.body, c.header...)
		text, err := json.Marshal(r.body)
		must(t, err)
		if r.status != c.status || !strings.Contains(strings.ReplaceAll(string(text), `\"`, `"`), c.want) || r.body["error"] == nil {
			t.Errorf("%s: %d %s", name, r.status, text)
		}
	}
	if r := y.post("/endpoints/bike/predict", record); r.status != http.StatusOK {
		t.Errorf("afterwards: %d", r.status)
	}
}

func TestBadVersionLeavesTheGoodOneAlone(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	good := y.version("lgb-regression", nil)
	bad := y.version("lgb-huber", func(name string, data []byte) []byte {
		if strings.HasPrefix(name, "model.") {
			return data[:len(data)/3]
		}
		return data
	})
	y.deploy("bike", good)
	_, err := y.routes.SetTargets(t.Context(), "bike", []routing.Target{{Version: bad, Weight: 100}}, "trial")
	must(t, err)
	e := y.await("bike", func(e serving.Endpoint) bool { return e.Status.State == serving.Degraded })
	if e.Spec.Generation != 2 || e.Status.ObservedGeneration != 1 || e.Status.Versions[0].State != serving.Failed || e.Status.Versions[0].Error == "" {
		t.Errorf("status %+v", e)
	}
	if r := y.post("/endpoints/bike/predict", record); r.status != http.StatusOK || r.body["version"] != good {
		t.Errorf("it answers %v", r.body)
	}
	_, err = y.routes.Rollback(t.Context(), "bike", "")
	must(t, err)
	y.await("bike", func(e serving.Endpoint) bool {
		return e.Status.State == serving.Ready && e.Status.ObservedGeneration == 3
	})
	_, err = y.serving.Create(t.Context(), serving.NewEndpoint{Name: "only-bad", ModelURI: "models:/bike/" + bad})
	must(t, err)
	y.await("only-bad", func(e serving.Endpoint) bool { return e.Status.State == serving.Failed })
	if r := y.post("/endpoints/only-bad/predict", record); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("failed endpoint: %d %v", r.status, r.body)
	}
	must(t, y.serving.Delete(t.Context(), "only-bad"))
	if r := y.post("/endpoints/only-bad/predict", record); r.status != http.StatusNotFound {
		t.Errorf("deleted endpoint: %d", r.status)
	}
}

func TestCanaryIsMirrored(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	one, two := y.version("lgb-regression", nil), y.version("lgb-huber", nil)
	y.deploy("bike", one)
	_, err := y.routes.SetTargets(t.Context(), "bike", []routing.Target{{Version: one, Weight: 70}, {Version: two, Weight: 30}}, "canary")
	must(t, err)
	y.await("bike", func(e serving.Endpoint) bool { return e.Status.ObservedGeneration == 2 })
	answered := map[string]int{}
	const n = 200
	for i := range n {
		r := y.post("/endpoints/bike/predict", record, "X-Modelyard-Key", fmt.Sprint("k", i))
		if r.status != http.StatusOK {
			t.Fatal(r.body)
		}
		answered[r.body["version"].(string)]++
	}
	if answered[two] < n/5 || answered[two] > n*2/5 {
		t.Errorf("the split is %v", answered)
	}
	pairs := map[string]map[string]predlog.Role{}
	var cur predlog.Cursor
	err = y.log.Follow(t.Context(), "bike", "", func(_ context.Context, es []predlog.Entry, next predlog.Cursor) error {
		cur = next
		for _, e := range es {
			if pairs[e.Record.RequestID] == nil {
				pairs[e.Record.RequestID] = map[string]predlog.Role{}
			}
			pairs[e.Record.RequestID][e.Record.Schema.Version] = e.Record.Role
		}
		for _, p := range pairs {
			if len(p) != 2 {
				return nil
			}
		}
		if len(pairs) < n {
			return nil
		}
		return io.EOF
	})
	if err != io.EOF || cur == "" || len(pairs) != n {
		t.Fatalf("%v: %d pairs", err, len(pairs))
	}
	for id, p := range pairs {
		shadows := 0
		for _, role := range p {
			if role == predlog.Shadow {
				shadows++
			}
		}
		if shadows != 1 {
			t.Errorf("%s: %v", id, p)
		}
	}
}

func TestSwapsUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	vs := []string{y.version("lgb-regression", nil), y.version("lgb-huber", nil), y.version("lgb-fair", nil)}
	y.deploy("bike", vs[0])
	var stop atomic.Bool
	var wg sync.WaitGroup
	var answered atomic.Int64
	seen := [4]map[string]bool{}
	for w := range seen {
		seen[w] = map[string]bool{}
		wg.Go(func() {
			for !stop.Load() {
				r := y.post("/endpoints/bike/predict", record)
				if r.status != http.StatusOK || r.body["logged"] != true {
					t.Errorf("%d %v", r.status, r.body)
					return
				}
				seen[w][r.body["version"].(string)] = true
				answered.Add(1)
			}
		})
	}
	for i := range 30 {
		a, b := vs[i%3], vs[(i+1)%3]
		targets := []routing.Target{{Version: a, Weight: 100}}
		if i%2 == 1 {
			targets = []routing.Target{{Version: a, Weight: 60}, {Version: b, Weight: 40}}
		}
		r, err := y.routes.SetTargets(t.Context(), "bike", targets, "swap")
		must(t, err)
		y.await("bike", func(e serving.Endpoint) bool { return e.Status.ObservedGeneration == r.Generation })
	}
	stop.Store(true)
	wg.Wait()
	for _, v := range vs {
		if !seen[0][v] && !seen[1][v] && !seen[2][v] && !seen[3][v] {
			t.Errorf("version %s never answered", v)
		}
	}
	t.Logf("%d answers over 30 swaps", answered.Load())
}

func TestRestartServesAgain(t *testing.T) {
	t.Parallel()
	d, dir := dbtest.SQLite(t), t.TempDir()
	y := startYard(t, d, dir)
	y.deploy("bike", y.version("lgb-regression", nil))
	id := y.post("/endpoints/bike/predict", record).body["prediction_id"].(string)
	y.stop()
	digests, err := filepath.Glob(filepath.Join(dir, "models", "*", "model.lgb"))
	if err != nil || len(digests) != 1 {
		t.Fatal(digests, err)
	}
	must(t, os.WriteFile(digests[0], []byte("altered"), 0o600)) // the server must notice
	y = startYard(t, d, dir)
	y.await("bike", func(e serving.Endpoint) bool { return e.Status.State == serving.Ready })
	if r := y.post("/endpoints/bike/predict", record); r.status != http.StatusOK {
		t.Fatal(r.body)
	}
	if r := y.post("/endpoints/bike/feedback", `{"prediction_id":"`+id+`","label":12.5}`); r.status != http.StatusOK || r.body["accepted"] != 1.0 {
		t.Errorf("feedback: %v", r.body)
	}
	if p := y.get("/api/v1/predictions/" + id); p.body["label"] != 12.5 {
		t.Errorf("prediction %v", p.body)
	}
	list := y.get("/api/v1/endpoints/bike/predictions?limit=1").body
	if items := list["items"].([]any); len(items) != 1 || list["next_page_token"] == "" {
		t.Errorf("list %v", list)
	}
}

func BenchmarkPredict(b *testing.B) {
	y := newYard(b)
	y.deploy("bike", y.version("lgb-regression", nil))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	one := func(b *testing.B) {
		res, err := client.Post(y.url+"/endpoints/bike/predict", "application/json", strings.NewReader(record))
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			one(b)
		}
	})
	b.Run("sixteen", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one(b)
			}
		})
	})
}
