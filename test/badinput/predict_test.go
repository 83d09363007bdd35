package badinput

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPredictions(t *testing.T) {
	t.Parallel()
	y := start(t)
	y.version("bike", "lgb-regression", nil)
	if s := y.deploy("bike", "models:/bike/1"); s != "ready" {
		t.Fatalf("the endpoint is %s", s)
	}
	deep := strings.Repeat("[", 200_000)
	for name, c := range map[string]struct {
		path, body string
		want       []string
	}{
		"unknown endpoint": {"/endpoints/biek/predict", record, []string{"biek", "bike"}},
		"missing column":   {"/endpoints/bike/predict", `{"a":1}`, []string{"b b"}},
		"wrong type":       {"/endpoints/bike/predict", strings.Replace(record, "31", `"many"`, 1), []string{`"k[0]"`, "whole number"}},
		"empty body":       {"/endpoints/bike/predict", "", []string{"empty"}},
		"no rows":          {"/endpoints/bike/predict", "[]", []string{""}},
		"NaN":              {"/endpoints/bike/predict", strings.Replace(record, "31", "NaN", 1), []string{""}},
		"infinite":         {"/endpoints/bike/predict", strings.Replace(record, "31", "1e999", 1), []string{"k"}},
		"deep":             {"/endpoints/bike/predict", deep, []string{""}},
		"deep in a field":  {"/endpoints/bike/predict", strings.Replace(record, "31", deep, 1), []string{""}},
		"deep v2":          {"/v2/models/bike/infer", `{"inputs":` + deep, []string{""}},
		"deep invocations": {"/endpoints/bike/invocations", `{"dataframe_split":` + deep, []string{""}},
		"duplicate key":    {"/endpoints/bike/predict", strings.Replace(record, `"n":-1`, `"n":-1,"n":2`, 1), []string{"n"}},
		"invalid UTF-8":    {"/endpoints/bike/predict", strings.Replace(record, "31", "\"\xff\xfe\"", 1), []string{""}},
		"a list of text":   {"/endpoints/bike/predict", `["a"]`, []string{""}},
		"a number":         {"/endpoints/bike/predict", `7`, []string{""}},
		"null":             {"/endpoints/bike/predict", `null`, []string{""}},
		"two documents":    {"/endpoints/bike/predict", record + record, []string{""}},
		"v2 empty":         {"/v2/models/bike/infer", "", []string{""}},
		"v2 unknown":       {"/v2/models/biek/infer", `{"inputs":[]}`, []string{"biek"}},
		"feedback empty":   {"/endpoints/bike/feedback", "", []string{""}},
		"feedback nothing": {"/endpoints/bike/feedback", `{"label":1}`, []string{"prediction_id"}},
		"feedback deep":    {"/endpoints/bike/feedback", `{"label":` + deep, []string{""}},
		"feedback endless": {"/endpoints/bike/feedback", `{"key":"a","label":1e999}`, []string{""}},
		"feedback unknown": {"/endpoints/biek/feedback", `{"key":"a","label":1}`, []string{"biek"}},
	} {
		status, got, text := y.send("POST", c.path, "application/json", []byte(c.body))
		y.refused(name, status, got, text, c.want...)
	}
	for name, header := range map[string][]string{
		"huge key":       {"X-Modelyard-Key", strings.Repeat("k", 30_000)},
		"wrong time":     {"X-Modelyard-Event-Time", "yesterday"},
		"far time":       {"X-Modelyard-Event-Time", "99999-01-01T00:00:00Z"},
		"key not UTF-8":  {"X-Modelyard-Key", "\xff\xfe"},
		"encoded body":   {"Content-Encoding", "gzip"},
		"foreign origin": {"Origin", "https://evil.example"},
	} {
		status, got, text := y.send("POST", "/endpoints/bike/predict", "application/json", []byte(record), header...)
		y.refused(name, status, got, text)
	}
	status, got, text := y.send("POST", "/endpoints/"+strings.Repeat("x", 20_000)+"/predict", "application/json", []byte(record))
	y.refused("huge endpoint name", status, got, text[:min(len(text), 3000)])
	if len(text) > 4000 {
		t.Errorf("a huge name comes back whole: %d bytes", len(text))
	}
	if status, got, text := y.send("POST", "/endpoints/bike/predict", "application/json", []byte(record)); status != http.StatusOK || got["logged"] != true {
		t.Errorf("afterwards: %d %s", status, text)
	}
	if n := len(y.ok("GET", "/api/v1/endpoints/bike/predictions", "")["items"].([]any)); n != 1 {
		t.Errorf("%d predictions are logged, one was answered", n)
	}
	y.goesOn()
}

// zeros is a body that is never held whole.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestHundredMegabytes(t *testing.T) {
	t.Parallel()
	y := start(t)
	y.version("bike", "lgb-regression", nil)
	y.deploy("bike", "models:/bike/1")
	for _, path := range []string{"/endpoints/bike/predict", "/endpoints/bike/invocations", "/v2/models/bike/infer", "/endpoints/bike/feedback", "/api/v1/models", mlflow + "runs/create",
		"/api/v1/gates/check", "/api/v1/rollouts", "/api/v1/webhooks"} {
		body := io.LimitReader(zeros{}, 100<<20)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, y.URL+path, body)
		must(t, err)
		req.ContentLength = 100 << 20
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the connection was closed while we were writing: the answer may be lost
		}
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
		if res.StatusCode/100 != 4 || !bytes.Contains(text, []byte("{")) {
			t.Errorf("%s: %d %.300s", path, res.StatusCode, text)
		}
	}
	y.goesOn()
}
