package badinput

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestModelsAndEndpoints(t *testing.T) {
	t.Parallel()
	y := start(t)
	y.version("bike", "lgb-regression", nil)
	y.ok("PUT", "/api/v1/models/bike/aliases/champion", `{"version":"1"}`)
	if status, _, text := y.send("DELETE", "/api/v1/models/bike/aliases/champion", "", nil); status/100 != 2 {
		t.Fatalf("%d %s", status, text)
	}
	deep, huge := strings.Repeat(`{"a":`, 100_000), strings.Repeat("n", 100_000)
	for name, c := range map[string]struct {
		method, path, body string
		want               []string
	}{
		"unknown model":       {"POST", "/api/v1/endpoints", `{"name":"e","model_uri":"models:/biek/1"}`, []string{"biek"}},
		"unknown version":     {"POST", "/api/v1/endpoints", `{"name":"e","model_uri":"models:/bike/7"}`, []string{"7"}},
		"alias that is gone":  {"POST", "/api/v1/endpoints", `{"name":"e","model_uri":"models:/bike@champion"}`, []string{"champion"}},
		"no model":            {"POST", "/api/v1/endpoints", `{"name":"e"}`, []string{"model_uri"}},
		"no URI":              {"POST", "/api/v1/endpoints", `{"name":"e","model_uri":"bike"}`, []string{"models:/"}},
		"bad endpoint name":   {"POST", "/api/v1/endpoints", `{"name":"../e","model_uri":"models:/bike/1"}`, []string{"name"}},
		"huge endpoint name":  {"POST", "/api/v1/endpoints", `{"name":"` + huge + `","model_uri":"models:/bike/1"}`, []string{"name"}},
		"unknown field":       {"POST", "/api/v1/endpoints", `{"nmae":"e","model_uri":"models:/bike/1"}`, []string{"nmae"}},
		"wrong type":          {"POST", "/api/v1/endpoints", `{"name":5,"model_uri":"models:/bike/1"}`, []string{"name"}},
		"empty":               {"POST", "/api/v1/endpoints", ``, nil},
		"null":                {"POST", "/api/v1/endpoints", `null`, nil},
		"deep":                {"POST", "/api/v1/endpoints", deep, nil},
		"not JSON":            {"POST", "/api/v1/endpoints", `{"name":`, nil},
		"invalid UTF-8":       {"POST", "/api/v1/models", "{\"name\":\"a\xff\xfe\"}", nil},
		"control characters":  {"POST", "/api/v1/models", `{"name":"a\u0000b"}`, []string{"name"}},
		"huge model name":     {"POST", "/api/v1/models", `{"name":"` + huge + `"}`, []string{"name"}},
		"taken name":          {"POST", "/api/v1/models", `{"name":"bike"}`, nil},
		"model of nothing":    {"POST", "/api/v1/models/bike/versions", `{"source":"runs:/nothing/model"}`, nil},
		"model of a file":     {"POST", "/api/v1/models/bike/versions", `{"source":"file:///etc/passwd"}`, nil},
		"alias of nothing":    {"PUT", "/api/v1/models/bike/aliases/champion", `{"version":"99"}`, []string{"99"}},
		"page token":          {"GET", "/api/v1/models?page_token=%00%ff", ``, []string{"page_token"}},
		"traffic over 100":    {"PUT", "/api/v1/endpoints/none/traffic", `{"targets":[{"version":"1","weight":200}]}`, []string{"weight"}},
		"rollback of nothing": {"POST", "/api/v1/endpoints/none/rollback", `{}`, []string{"none"}},
		"mlflow deep":         {"POST", mlflow + "runs/create", deep, nil},
		"mlflow empty":        {"POST", mlflow + "runs/log-metric", ``, nil},
		"mlflow not UTF-8":    {"POST", mlflow + "experiments/create", "{\"name\":\"\xff\xfe\"}", nil},
		"mlflow huge name":    {"POST", mlflow + "experiments/create", `{"name":"` + huge + `"}`, []string{"name"}},
		"mlflow unknown":      {"GET", mlflow + "registered-models/get?name=biek", ``, []string{"biek"}},
		"mlflow filter":       {"POST", mlflow + "runs/search", `{"experiment_ids":["0"],"filter":"` + strings.Repeat("(", 20_000) + `"}`, nil},
		"mlflow no artifact":  {"GET", "/api/2.0/mlflow-artifacts/artifacts/0/nothing/artifacts/model", ``, nil},
		"mlflow path out":     {"PUT", "/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/%2e%2e/%2e%2e/a", `x`, nil},
		"gate empty":          {"POST", "/api/v1/gates/check", `{"model":"bike","version":"1","gate":{}}`, []string{"gate"}},
		"gate unknown":        {"POST", "/api/v1/gates/check", `{"model":"bike","version":"1","gate":{"name":"g","dataset":"none@1","target":"y","rules":[{"schema":true}]}}`, []string{"none"}},
		"policy unknown":      {"PUT", "/api/v1/lifecycle/policies/none", `{"pipeline":"p","colour":1}`, []string{"colour"}},
		"rollout of nothing":  {"POST", "/api/v1/rollouts", `{"endpoint":"none","version":"1","checks":{"max_error_rate":0.1}}`, []string{"none"}},
		"monitor of nothing":  {"PATCH", "/api/v1/monitors/none", `{"window":{"by":"moon"}}`, nil},
		"webhook to files":    {"POST", "/api/v1/webhooks", `{"url":"file:///etc/passwd","events":["*"]}`, []string{"url"}},
		"unknown page":        {"GET", "/api/v1/nothing", ``, nil},
		"unknown method":      {"PATCH", "/api/v1/endpoints", `{}`, nil},
	} {
		status, got, text := y.send(c.method, c.path, "application/json", []byte(c.body))
		y.refused(name, status, got, text, c.want...)
		if len(text) > 8000 {
			t.Errorf("%s: the answer has %d bytes", name, len(text))
		}
	}
	if n := len(y.ok("GET", "/api/v1/endpoints", "")["items"].([]any)); n != 0 {
		t.Errorf("%d endpoints were left", n)
	}
	if n := len(y.ok("GET", "/api/v1/models", "")["items"].([]any)); n != 1 {
		t.Errorf("%d models, expected one", n)
	}
	y.goesOn()
}

func TestCorruptModelFiles(t *testing.T) {
	t.Parallel()
	y := start(t)
	y.version("bike", "lgb-regression", nil)
	if s := y.deploy("bike", "models:/bike/1"); s != "ready" {
		t.Fatalf("the endpoint is %s", s)
	}
	for i, c := range []struct {
		name, file string
		data       []byte
	}{
		{"half a model", "model.lgb", nil},
		{"noise", "model.lgb", []byte(strings.Repeat("\x00\xff\x80tree", 5000))},
		{"empty", "model.lgb", []byte{}},
		{"a tree without end", "model.lgb", []byte("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=regression\nfeature_names=a\nfeature_infos=[0:1]\ntree_sizes=10\n\nTree=0\nnum_leaves=2\nsplit_feature=0\nthreshold=1\ndecision_type=2\nleft_child=0\nright_child=0\nleaf_value=1 2\n\nend of trees\n")},
	} {
		v := y.version("bike", "lgb-regression", func(name string, data []byte) []byte {
			switch {
			case name != c.file:
				return data
			case c.data == nil:
				return data[:len(data)/2]
			}
			return c.data
		})
		end := fmt.Sprintf("bad%d", i)
		if s := y.deploy(end, "models:/bike/"+v); s != "failed" {
			t.Errorf("%s: the endpoint is %s", c.name, s)
			continue
		}
		message := y.ok("GET", "/api/v1/endpoints/"+end, "")["status"].(map[string]any)["message"].(string)
		if !strings.Contains(message, v) || strings.Contains(message, "runtime error") {
			t.Errorf("%s: %s", c.name, message)
		}
		if status, got, text := y.send("POST", "/endpoints/"+end+"/predict", "application/json", []byte(record)); status != http.StatusServiceUnavailable || got["detail"] == nil {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
	for name, text := range map[string]string{
		"a tag": "flavors: !00 00\n", "deep": "flavors: " + strings.Repeat("[", 100_000), "not UTF-8": "\xff\xfe\x00", "nothing": "", "a list": "- a\n", "bomb": "a: &a [x,x]\nflavors: {p: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]}\n",
	} {
		run := y.ok("POST", mlflow+"runs/create", `{"experiment_id":"0"}`)["run"].(map[string]any)["info"].(map[string]any)["run_id"].(string)
		y.send("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+run+"/artifacts/model/MLmodel", "application/octet-stream", []byte(text))
		status, got, answer := y.send("POST", mlflow+"model-versions/create", "application/json", []byte(fmt.Sprintf(`{"name":"bike","source":"runs:/%s/model","run_id":%q}`, run, run)))
		if status == http.StatusOK { // MLflow lets any folder be a version; then it must be refused when it is deployed
			v := fmt.Sprint(got["model_version"].(map[string]any)["version"])
			end := "mlmodel" + v
			status, got, answer = y.send("POST", "/api/v1/endpoints", "application/json", []byte(fmt.Sprintf(`{"name":%q,"model_uri":"models:/bike/%s"}`, end, v)))
			if status == http.StatusCreated {
				y.await(end, func() bool {
					return y.ok("GET", "/api/v1/endpoints/"+end, "")["status"].(map[string]any)["state"] == "failed"
				})
				continue
			}
		}
		y.refused("MLmodel: "+name, status, got, answer)
	}
	if status, got, text := y.send("POST", "/endpoints/bike/predict", "application/json", []byte(record)); status != http.StatusOK || got["version"] != "1" {
		t.Errorf("afterwards: %d %s", status, text)
	}
	y.goesOn()
}

func TestDatasets(t *testing.T) {
	t.Parallel()
	y := start(t)
	upload := func(query, body string) (int, map[string]any, string) {
		return y.send("POST", "/api/v1/datasets/bikes/versions?"+query, "application/octet-stream", []byte(body))
	}
	if status, _, text := upload("format=csv", "a,b\n1,2\n3,4\n"); status != http.StatusCreated {
		t.Fatalf("%d %s", status, text)
	}
	for name, c := range map[string]struct{ query, body, want string }{
		"broken row":       {"format=csv", "a,b\n1,2\n3\n5,6\n", "3"},
		"open quote":       {"format=csv", "a,b\n1,\"2\n3,4\n", ""},
		"empty":            {"format=csv", "", ""},
		"header only":      {"format=csv", "a,b\n", ""},
		"two same columns": {"format=csv", "a,a\n1,2\n", "a"},
		"not UTF-8":        {"format=csv", "a,b\n1,\xff\xfe\n", ""},
		"NUL bytes":        {"format=csv", "a,b\x00\n1,2\n", ""},
		"not Parquet":      {"format=parquet", "PAR1 nonsense PAR1", ""},
		"torn Parquet":     {"format=parquet", "PAR1\x15\x04\xff\xff\xff\x7fPAR1", ""},
		"broken line":      {"format=jsonl", "{\"a\":1}\n{\"a\":\n", "2"},
		"deep line":        {"format=jsonl", "{\"a\":1}\n{\"a\":" + strings.Repeat("[", 100_000) + "\n", ""},
		"unknown format":   {"format=xls", "a", "format"},
		"no target":        {"format=csv&target=price", "a,b\n1,3\n", "price"},
		"no time":          {"format=csv&time_column=when", "a,b\n1,5\n", "when"},
		"huge name":        {"format=csv&target=" + strings.Repeat("x", 10_000), "a,b\n1,5\n", ""},
	} {
		status, got, text := upload(c.query, c.body)
		y.refused(name, status, got, text, c.want)
	}
	for name, contract := range map[string]string{"a tag": "columns: [{name: a, allowed: !00 00}]", "unknown key": "colums: []", "deep": strings.Repeat("[", 100_000)} {
		status, got, text := y.send("PUT", "/api/v1/datasets/bikes/contract", "application/yaml", []byte(contract))
		y.refused("contract: "+name, status, got, text)
	}
	if n := len(y.ok("GET", "/api/v1/datasets/bikes/versions", "")["items"].([]any)); n != 1 {
		t.Errorf("%d versions, one was taken", n)
	}
	y.goesOn()
}
