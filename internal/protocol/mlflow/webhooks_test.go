package mlflow_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/testkit"
	"github.com/modelyard/modelyard/internal/webhook"
)

// delivered is one call of a receiver.
type delivered struct {
	header http.Header
	body   string
	event  string // entity.action
	data   map[string]any
}

// receiver takes webhooks and answers with the status that the test chooses for each attempt.
func receiver(t *testing.T, status func(d delivered, attempt int) int) (url string, calls <-chan delivered) {
	t.Helper()
	ch := make(chan delivered, 100)
	var mu sync.Mutex
	attempts := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var in struct {
			Entity string         `json:"entity"`
			Action string         `json:"action"`
			Data   map[string]any `json:"data"`
		}
		_ = json.Unmarshal(b, &in)
		d := delivered{r.Header, string(b), in.Entity + "." + in.Action, in.Data}
		id := r.Header.Get("X-MLflow-Delivery-Id")
		mu.Lock()
		attempts[id]++
		n := attempts[id]
		mu.Unlock()
		w.WriteHeader(status(d, n))
		_, _ = io.WriteString(w, "thanks")
		ch <- d
	}))
	t.Cleanup(srv.Close)
	return srv.URL, ch
}

func wait(t *testing.T, calls <-chan delivered) delivered {
	t.Helper()
	select {
	case d := <-calls:
		return d
	case <-time.After(2 * time.Minute):
		t.Fatal("no delivery came")
		return delivered{}
	}
}

const allEvents = `[{"entity":"REGISTERED_MODEL","action":"CREATED"},{"entity":"MODEL_VERSION","action":"CREATED"},{"entity":"MODEL_VERSION_TAG","action":"SET"},
	{"entity":"MODEL_VERSION_TAG","action":"DELETED"},{"entity":"MODEL_VERSION_ALIAS","action":"CREATED"},{"entity":"MODEL_VERSION_ALIAS","action":"DELETED"},
	{"entity":5,"action":1},{"entity":"PROMPT_VERSION","action":"CREATED"},{"entity":"PROMPT_TAG","action":"SET"},{"entity":"PROMPT_TAG","action":"DELETED"},
	{"entity":"PROMPT_VERSION_TAG","action":"SET"},{"entity":"PROMPT_VERSION_TAG","action":"DELETED"},{"entity":"PROMPT_ALIAS","action":"CREATED"},
	{"entity":"PROMPT_ALIAS","action":"DELETED"}]`

func TestWebhooksTellOfTheRegistry(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	url, calls := receiver(t, func(d delivered, attempt int) int {
		if d.event == "registered_model.created" && attempt == 1 {
			return http.StatusServiceUnavailable // it is told again
		}
		return http.StatusOK
	})
	made := do(t, s, "POST", api+"webhooks", fmt.Sprintf(`{"name":"all","url":%q,"events":%s,"secret":"s3cret"}`, url, allEvents), 200)
	if _, shown := at(t, made, "webhook").(map[string]any)["secret"]; shown || strings.Contains(fmt.Sprint(made), "s3cret") {
		t.Errorf("the secret is shown: %v", made)
	}
	run := newRun(t, s)
	do(t, s, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model/MLmodel", "flavors:\n  python_function:\n    loader_module: x\n", 200)
	steps := []struct{ method, path, body, event, data string }{
		{"POST", "registered-models/create", `{"name":"m","tags":[{"key":"a","value":"b"}],"description":"d"}`, "registered_model.created", `{"description":"d","name":"m","tags":{"a":"b"}}`},
		{"POST", "model-versions/create", `{"name":"m","source":"runs:/` + run + `/model","run_id":"` + run + `","tags":[{"key":"v","value":"1"}]}`, "model_version.created",
			`{"description":null,"name":"m","run_id":"` + run + `","source":"runs:/` + run + `/model","tags":{"v":"1"},"version":"1"}`},
		{"POST", "model-versions/set-tag", `{"name":"m","version":"1","key":"k","value":"x"}`, "model_version_tag.set", `{"key":"k","name":"m","value":"x","version":"1"}`},
		{"DELETE", "model-versions/delete-tag", `{"name":"m","version":"1","key":"k"}`, "model_version_tag.deleted", `{"key":"k","name":"m","version":"1"}`},
		{"POST", "registered-models/set-tag", `{"name":"m","key":"silent","value":"MLflow does not tell"}`, "", ""},
		{"POST", "registered-models/alias", `{"name":"m","alias":"champion","version":"1"}`, "model_version_alias.created", `{"alias":"champion","name":"m","version":"1"}`},
		{"DELETE", "registered-models/alias", `{"name":"m","alias":"champion"}`, "model_version_alias.deleted", `{"alias":"champion","name":"m"}`},
		{"POST", "registered-models/create", `{"name":"p","tags":[{"key":"mlflow.prompt.is_prompt","value":"true"},{"key":"a","value":"b"}]}`, "prompt.created", `{"description":"","name":"p","tags":{"a":"b"}}`},
		{"POST", "model-versions/create", `{"name":"p","source":"dummy-source","tags":[{"key":"mlflow.prompt.is_prompt","value":"true"},{"key":"mlflow.prompt.text","value":"Hi {{x}}"}]}`,
			"prompt_version.created", `{"description":null,"name":"p","tags":{},"template":"Hi {{x}}","version":"1"}`},
		{"POST", "registered-models/set-tag", `{"name":"p","key":"k","value":"x"}`, "prompt_tag.set", `{"key":"k","name":"p","value":"x"}`},
		{"DELETE", "registered-models/delete-tag", `{"name":"p","key":"k"}`, "prompt_tag.deleted", `{"key":"k","name":"p"}`},
		{"POST", "model-versions/set-tag", `{"name":"p","version":"1","key":"k","value":"x"}`, "prompt_version_tag.set", `{"key":"k","name":"p","value":"x","version":"1"}`},
		{"DELETE", "model-versions/delete-tag", `{"name":"p","version":"1","key":"k"}`, "prompt_version_tag.deleted", `{"key":"k","name":"p","version":"1"}`},
		{"POST", "registered-models/alias", `{"name":"p","alias":"live","version":"1"}`, "prompt_alias.created", `{"alias":"live","name":"p","version":"1"}`},
		{"DELETE", "registered-models/alias", `{"name":"p","alias":"live"}`, "prompt_alias.deleted", `{"alias":"live","name":"p"}`},
	}
	for i, step := range steps {
		do(t, s, step.method, api+step.path, step.body, 200)
		if step.event == "" {
			continue
		}
		d := wait(t, calls)
		if i == 0 { // it was refused once: the same delivery comes again
			again := wait(t, calls)
			if id := "X-Mlflow-Delivery-Id"; d.header.Get(id) == "" || again.header.Get(id) != d.header.Get(id) || again.body != d.body {
				t.Errorf("the repeat is another delivery: %v and %v", d, again)
			}
			d = again
		}
		data, err := json.Marshal(d.data)
		if err != nil {
			t.Fatal(err)
		}
		if d.event != step.event || string(data) != step.data {
			t.Errorf("%s %s told %s %s\nwant %s %s", step.method, step.path, d.event, data, step.event, step.data)
		}
		want := webhook.Sign("s3cret", d.header.Get("X-MLflow-Delivery-Id"), d.header.Get("X-MLflow-Timestamp"), []byte(d.body))
		if got := d.header.Get("X-MLflow-Signature"); got != want || !strings.HasPrefix(got, "v1,") {
			t.Errorf("signature %q, want %q", got, want)
		}
	}
}

func TestWebhookCalls(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	url, calls := receiver(t, func(delivered, int) int { return http.StatusTeapot })
	hook := func(name, more string) string {
		t.Helper()
		return at(t, do(t, s, "POST", api+"webhooks", fmt.Sprintf(`{"name":%q,"url":%q,"events":[{"entity":"PROMPT","action":"CREATED"}]%s}`, name, url, more), 200), "webhook", "webhook_id").(string)
	}
	first := hook("one", "")
	second := hook("two", `,"status":"DISABLED","description":"d"`)
	page := do(t, s, "GET", api+"webhooks?max_results=1", "", 200)
	if list := page["webhooks"].([]any); len(list) != 1 || at(t, list[0], "name") != "two" || at(t, list[0], "status") != "DISABLED" || page["next_page_token"] == nil {
		t.Errorf("%v", page)
	}
	if rest := do(t, s, "GET", api+"webhooks?page_token="+page["next_page_token"].(string), "", 200); len(rest["webhooks"].([]any)) != 1 || rest["next_page_token"] != nil {
		t.Errorf("%v", rest)
	}
	changed := do(t, s, "PATCH", api+"webhooks/"+first, `{"name":"uno","events":[{"entity":"REGISTERED_MODEL","action":"CREATED"}],"description":"","secret":"x"}`, 200)
	if at(t, changed, "webhook", "name") != "uno" || at(t, changed, "webhook", "url") != url || !strings.Contains(fmt.Sprint(changed), "REGISTERED_MODEL") {
		t.Errorf("%v", changed)
	}
	if r := do(t, s, "POST", api+"webhooks/"+first+"/test", `{}`, 200); at(t, r, "result", "success") != false || at(t, r, "result", "response_status") != 418. || at(t, r, "result", "response_body") != "thanks" {
		t.Errorf("%v", r)
	}
	if d := wait(t, calls); d.event != "registered_model.created" || d.data["name"] != "example_model" || d.header.Get("X-MLflow-Signature") == "" {
		t.Errorf("%v", d)
	}
	do(t, s, "PATCH", api+"webhooks/"+first, `{"secret":""}`, 200)
	do(t, s, "POST", api+"webhooks/"+first+"/test", `{"event":{"entity":"PROMPT_VERSION","action":"CREATED"}}`, 200)
	if d := wait(t, calls); d.event != "prompt_version.created" || d.data["template"] != "Hello {{name}}!" || d.header.Get("X-MLflow-Signature") != "" {
		t.Errorf("%v", d)
	}
	self := do(t, s, "PATCH", api+"webhooks/"+first, fmt.Sprintf(`{"url":"%s/api/2.0/mlflow/webhooks"}`, s.URL), 200)
	if r := do(t, s, "POST", api+"webhooks/"+first+"/test", "", 200); at(t, r, "result", "success") != false || !strings.Contains(fmt.Sprint(r), "may not be called") {
		t.Errorf("the server calls itself: %v, %v", self, r)
	}
	for _, body := range []string{`{}`, `{"name":"x","url":"` + url + `"}`, `{"name":"bad name","url":"` + url + `","events":[{"entity":1,"action":1}]}`,
		`{"name":"x","url":"file:///etc","events":[{"entity":1,"action":1}]}`, `{"name":"x","url":"` + url + `","events":[{"entity":1,"action":3}]}`,
		`{"name":"x","url":"` + url + `","events":[{"entity":"BUDGET_POLICY","action":"EXCEEDED"}]}`, `{"name":"x","url":"` + url + `","events":[{"entity":1,"action":1}],"status":"SOME"}`,
		`{"name":"x","url":"` + url + `","events":{}}`, `{"name":"x","url":"` + url + `","events":[5]}`} {
		if e := do(t, s, "POST", api+"webhooks", body, 400); e["error_code"] != "INVALID_PARAMETER_VALUE" {
			t.Errorf("%s: %v", body, e)
		}
	}
	for _, id := range []string{first, second} {
		do(t, s, "DELETE", api+"webhooks/"+id, "", 200)
		do(t, s, "GET", api+"webhooks/"+id, "", 404)
		do(t, s, "DELETE", api+"webhooks/"+id, "", 404)
	}
}
