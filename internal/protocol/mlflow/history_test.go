package mlflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/testkit"
)

func TestHistories(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	a, b := newRun(t, s), newRun(t, s)
	for i, run := range []string{a, b} {
		var points []string
		for step := range 50 {
			value := fmt.Sprint(step + i)
			if step == 31 {
				value = "-1000"
			}
			points = append(points, fmt.Sprintf(`{"key":"m","value":%s,"timestamp":%d,"step":%d}`, value, 1000+step, step))
		}
		do(t, s, "POST", api+"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[%s]}`, run, strings.Join(points, ",")), 200)
	}
	list := func(path string) []any {
		t.Helper()
		got, _ := do(t, s, "GET", api+path, "", 200)["metrics"].([]any)
		return got
	}
	token, seen := "", 0
	for pages := 0; pages == 0 || token != ""; pages++ {
		got := do(t, s, "GET", api+"metrics/get-history?run_id="+a+"&metric_key=m&max_results=20&page_token="+token, "", 200)
		seen += len(got["metrics"].([]any))
		token, _ = got["next_page_token"].(string)
	}
	if seen != 50 {
		t.Errorf("pages hold %d points, want 50", seen)
	}
	bulk := list("metrics/get-history-bulk?metric_key=m&run_id=" + b + "&run_id=" + a + "&run_id=none&max_results=60")
	if len(bulk) != 60 || at(t, bulk[0], "run_id") != min(a, b) || at(t, bulk[59], "run_id") != max(a, b) || at(t, bulk[59], "step") != 9.0 {
		t.Errorf("%d points, the last %v", len(bulk), bulk[len(bulk)-1])
	}
	thin := list("metrics/get-history-bulk-interval?metric_key=m&run_ids=" + a + "&run_ids=" + b + "&max_results=6&start_step=10&end_step=40")
	lowest := 0
	for _, p := range thin {
		if step := at(t, p, "step").(float64); step < 10 || step > 40 {
			t.Errorf("step %v is outside", step)
		}
		if at(t, p, "value") == -1000.0 {
			lowest++
		}
	}
	if len(thin) != 12 || lowest != 2 {
		t.Errorf("%d points, the dip is there %d times", len(thin), lowest)
	}
	for path, want := range map[string]string{
		"get-history?run_id=" + a + "&metric_key=m&page_token=%21":                   "page_token",
		"get-history?run_id=" + a:                                                    "metric_key",
		"get-history-bulk?metric_key=m":                                              "at least one run_id",
		"get-history-bulk?metric_key=m" + strings.Repeat("&run_id=a", 101):           "cannot specify more than 100 run_ids",
		"get-history-bulk?run_id=a":                                                  "must specify a metric_key",
		"get-history-bulk-interval?run_ids=a":                                        "metric_key",
		"get-history-bulk-interval?metric_key=m":                                     "run_ids",
		"get-history-bulk-interval?metric_key=m&run_ids=a&start_step=1":              "both must be specified",
		"get-history-bulk-interval?metric_key=m&run_ids=a&start_step=2&end_step=1":   "must be greater than start_step",
		"get-history-bulk-interval?metric_key=m&run_ids=a&max_results=2501":          "between 1 and 2500",
		"get-history-bulk-interval?metric_key=m" + strings.Repeat("&run_ids=a", 101): "at most 100 run_ids",
	} {
		got := do(t, s, "GET", api+"metrics/"+path, "", 400)
		if msg := fmt.Sprint(got["message"]); got["error_code"] != "INVALID_PARAMETER_VALUE" || !strings.Contains(msg, want) {
			t.Errorf("%s: %v", path, got)
		}
	}
}
