package mlflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

// BenchmarkServer times calls over HTTP on the whole program, one client at a time; bench/tracking compares with MLflow.
func BenchmarkServer(b *testing.B) {
	s := testkit.Start(b)
	ask := func(b *testing.B, method, path, body string) string {
		b.Helper()
		status, text := s.Do(b, method, api+path, body)
		if status != 200 {
			b.Fatal(status, text)
		}
		return text
	}
	var made struct {
		Run struct{ Info struct{ Run_ID string } } //nolint:revive,staticcheck // the name on the wire
	}
	if err := json.Unmarshal([]byte(ask(b, "POST", "runs/create", `{"experiment_id":"0"}`)), &made); err != nil {
		b.Fatal(err)
	}
	run := made.Run.Info.Run_ID
	n := 0
	points := func() string {
		var out []string
		for k := range 10 {
			for range 100 {
				n++
				out = append(out, fmt.Sprintf(`{"key":"m%d","value":%d.5,"timestamp":%d,"step":%d}`, k, n, n, n))
			}
		}
		return `{"run_id":"` + run + `","metrics":[` + strings.Join(out, ",") + `]}`
	}
	for _, c := range []struct {
		name, method, path string
		body               func() string
	}{
		{"create_run", "POST", "runs/create", func() string {
			return `{"experiment_id":"0","tags":[{"key":"a","value":"b"},{"key":"c","value":"d"}]}`
		}},
		{"log_metric", "POST", "runs/log-metric", func() string {
			n++
			return fmt.Sprintf(`{"run_id":"%s","key":"loss","value":1,"timestamp":%d,"step":%d}`, run, n, n)
		}},
		{"log_batch_1000", "POST", "runs/log-batch", points},
		{"get_run", "GET", "runs/get?run_id=" + run, func() string { return "" }},
		{"get_history", "GET", "metrics/get-history?metric_key=m0&run_id=" + run, func() string { return "" }},
		{"search", "POST", "runs/search", func() string {
			return `{"experiment_ids":["0"],"filter":"tags.a = 'b'","order_by":["metrics.loss DESC"],"max_results":100}`
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				ask(b, c.method, c.path, c.body())
			}
		})
	}
}
