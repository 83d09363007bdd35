package mlflow_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/config"
	"github.com/modelyard/modelyard/internal/testkit"
)

const proxy = "/api/2.0/mlflow-artifacts/"

// path is an address that the server gave out, without its host.
func path(t *testing.T, s *testkit.Server, address any) string {
	t.Helper()
	p, ok := strings.CutPrefix(address.(string), s.URL)
	if !ok {
		t.Fatalf("%v does not lead to %s", address, s.URL)
	}
	return p
}

func TestFilesInParts(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	run := newRun(t, s)
	folder := "0/" + run + "/artifacts/dir"
	made := do(t, s, "POST", proxy+"mpu/create/"+folder, `{"path":"/home/ann/big.bin","num_parts":"3"}`, 200)
	id, credentials := made["upload_id"].(string), made["credentials"].([]any)
	if len(credentials) != 3 {
		t.Fatalf("%v", made)
	}
	var etags []string
	for i, text := range []string{"first-", "second-", "third"} {
		p := path(t, s, at(t, credentials[i], "url"))
		if i == 1 {
			if code, _ := s.Do(t, "PUT", p, "a first try that is replaced"); code != 200 {
				t.Fatal(code)
			}
		}
		code, _ := s.Do(t, "PUT", p, text)
		if code != 200 {
			t.Fatal(code)
		}
		etags = append(etags, fmt.Sprintf(`{"part_number":%d,"etag":%q,"url":""}`, i+1, digest(text)))
		for _, forged := range []string{strings.Replace(p, "signature=", "signature=0", 1), strings.Replace(p, "/"+fmt.Sprint(i+1)+"?", "/9?", 1), strings.Split(p, "?")[0]} {
			if e := do(t, s, "PUT", forged, "x", 403); e["error_code"] != "PERMISSION_DENIED" {
				t.Errorf("%v", e)
			}
		}
	}
	body := fmt.Sprintf(`{"path":"big.bin","upload_id":%q,"parts":[%s]}`, id, strings.Join([]string{etags[2], etags[0], etags[1]}, ","))
	do(t, s, "POST", proxy+"mpu/complete/0/"+run+"/artifacts/elsewhere", body, 400)
	do(t, s, "POST", proxy+"mpu/complete/"+folder, strings.Replace(body, digest("third"), digest("other"), 1), 400)
	do(t, s, "POST", proxy+"mpu/complete/"+folder, body, 200)
	if code, got := s.Do(t, "GET", proxy+"artifacts/"+folder+"/big.bin", ""); code != 200 || got != "first-second-third" {
		t.Errorf("%d %q", code, got)
	}
	do(t, s, "POST", proxy+"mpu/complete/"+folder, body, 400) // the parts are gone
	made = do(t, s, "POST", proxy+"mpu/create/"+folder, `{"path":"never","num_parts":1}`, 200)
	p := path(t, s, at(t, made["credentials"].([]any)[0], "url"))
	if code, _ := s.Do(t, "PUT", p, "x"); code != 200 {
		t.Fatal(code)
	}
	do(t, s, "POST", proxy+"mpu/abort/"+folder, fmt.Sprintf(`{"path":"never","upload_id":%q}`, made["upload_id"]), 200)
	do(t, s, "POST", proxy+"mpu/complete/"+folder, fmt.Sprintf(`{"path":"never","upload_id":%q,"parts":[{"part_number":1}]}`, made["upload_id"]), 400)
	for _, bad := range []string{`{}`, `{"path":"x","num_parts":10001}`, `{"path":".."}`, `{"path":5}`} {
		do(t, s, "POST", proxy+"mpu/create/"+folder, bad, 400)
	}
	do(t, s, "POST", proxy+"mpu/create/0/"+run+"/artifacts/..%2f..%2fx", `{"path":"x"}`, 400)
	do(t, s, "POST", proxy+"mpu/create/0/00000000000000000000000000000000/artifacts", `{"path":"x"}`, 404)
}

func TestPresignedAddresses(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef0123456789abcdef"
	s := testkit.Start(t, func(c *config.Config) { c.Token = token })
	auth := []string{"Authorization", "Bearer " + token}
	ask := func(method, path, body string, status int) map[string]any {
		t.Helper()
		code, text := s.Do(t, method, path, body, auth...)
		if code != status {
			t.Fatalf("%s %s %s: %d %s", method, path, body, code, text)
		}
		return object(t, text)
	}
	run := at(t, ask("POST", api+"runs/create", `{"experiment_id":"0"}`, 200), "run", "info", "run_id").(string)
	up := ask("POST", api+"artifacts/presigned-upload-url", fmt.Sprintf(`{"run_id":%q,"path":"a b/c#d?e%%f.txt"}`, run), 200)
	p := path(t, s, up["presigned_url"])
	if code, text := s.Do(t, "PUT", p, "hello world"); code != 200 { // without the token
		t.Fatalf("%d %s", code, text)
	}
	if code, _ := s.Do(t, "GET", p, ""); code != 403 {
		t.Errorf("an address for uploads serves downloads: %d", code)
	}
	if code, _ := s.Do(t, "PUT", strings.Replace(p, "f.txt", "g.txt", 1), "x"); code != 403 {
		t.Errorf("the path was changed: %d", code)
	}
	down := ask("POST", api+"artifacts/presigned-download-url", fmt.Sprintf(`{"run_id":%q,"path":"a b/c#d?e%%f.txt","expiration":60}`, run), 200)
	if down["file_size"] != 11. {
		t.Errorf("%v", down)
	}
	if code, text := s.Do(t, "GET", path(t, s, down["presigned_url"]), "", "Range", "bytes=6-"); code != 206 || text != "world" {
		t.Errorf("%d %q", code, text)
	}
	byPath := ask("GET", proxy+"presigned/0/"+run+"/artifacts/a%20b/c%23d%3Fe%25f.txt", "", 200)
	if code, text := s.Do(t, "GET", path(t, s, byPath["url"]), ""); code != 200 || text != "hello world" || byPath["file_size"] != 11. {
		t.Errorf("%d %q %v", code, text, byPath)
	}
	ask("GET", proxy+"presigned/0/"+run+"/artifacts/none", "", 404)
	for _, bad := range []string{`{"run_id":"` + run + `","path":"x","expiration":0}`, `{"run_id":"` + run + `","path":"x","expiration":604801}`, `{"path":"x"}`,
		`{"run_id":"` + run + `"}`, `{"run_id":"` + run + `","model_id":"m","path":"x"}`, `{"run_id":"` + run + `","path":"../x"}`} {
		ask("POST", api+"artifacts/presigned-upload-url", bad, 400)
	}
	// Without the token nothing else is answered, and it is said in MLflow's form.
	for _, p := range []string{api + "runs/get?run_id=" + run, "/ajax-api/2.0/mlflow/experiments/search", proxy + "artifacts?path=0", "/get-artifact?path=x", "/model-versions/get-artifact?path=x"} {
		code, text := s.Do(t, "GET", p, "")
		if e := object(t, text); code != http.StatusUnauthorized || e["error_code"] != "UNAUTHENTICATED" || e["message"] == "" {
			t.Errorf("%s: %d %v", p, code, e)
		}
	}
	if code, text := s.Do(t, "GET", api+"experiments/search", "", append(auth, "Host", "evil.example")...); code != 403 || object(t, text)["error_code"] != "PERMISSION_DENIED" {
		t.Errorf("%d %s", code, text)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *config.Config) { c.MaxUpload = 1 })
	run := newRun(t, s)
	p := proxy + "artifacts/0/" + run + "/artifacts/"
	do(t, s, "PUT", p+"fits", strings.Repeat("x", 1<<20), 200)
	if e := do(t, s, "PUT", p+"large", strings.Repeat("x", 1<<20+1), 413); e["error_code"] != "RESOURCE_EXHAUSTED" || !strings.Contains(fmt.Sprint(e["message"]), "larger than 1 MiB") {
		t.Errorf("%v", e)
	}
	// Without a length it is cut off while it comes.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 40 {
			if _, err := w.WriteString(strings.Repeat("x", 32<<10)); err != nil {
				break
			}
		}
		_ = w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+p+"stream", r)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil { // or the connection is closed before the answer is read
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	_ = r.Close()
	list := do(t, s, "GET", proxy+"artifacts?path=0/"+run+"/artifacts", "", 200)
	if files := list["files"].([]any); len(files) != 1 {
		t.Errorf("%v", files)
	}
	made := do(t, s, "POST", proxy+"mpu/create/0/"+run+"/artifacts", `{"path":"parts","num_parts":2}`, 200)
	var parts []string
	for i := range 2 {
		if code, _ := s.Do(t, "PUT", path(t, s, at(t, made["credentials"].([]any)[i], "url")), strings.Repeat("x", 600<<10)); code != 200 {
			t.Fatal(code)
		}
		parts = append(parts, fmt.Sprintf(`{"part_number":%d}`, i+1))
	}
	do(t, s, "POST", proxy+"mpu/complete/0/"+run+"/artifacts", fmt.Sprintf(`{"path":"parts","upload_id":%q,"parts":[%s]}`, made["upload_id"], strings.Join(parts, ",")), 413)
}

func TestScorers(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	const p = "/api/3.0/mlflow/scorers/"
	for i := range 2 {
		got := do(t, s, "POST", p+"register", fmt.Sprintf(`{"experiment_id":"0","name":"polite","serialized_scorer":"{\"name\":\"polite\",\"n\":%d}"}`, i), 200)
		if got["version"] != float64(i+1) || got["scorer_id"] == "" || got["name"] != "polite" {
			t.Errorf("%v", got)
		}
	}
	do(t, s, "POST", p+"register", `{"experiment_id":"0","name":"brief","serialized_scorer":"{}"}`, 200)
	list := do(t, s, "GET", p+"list?experiment_id=0", "", 200)["scorers"].([]any)
	if len(list) != 2 || at(t, list[0], "scorer_name") != "brief" || at(t, list[1], "scorer_version") != 2. {
		t.Errorf("%v", list)
	}
	if all := do(t, s, "GET", p+"list", "", 200)["scorers"].([]any); len(all) != 2 {
		t.Errorf("%v", all)
	}
	if vs := do(t, s, "GET", p+"versions?experiment_id=0&name=polite", "", 200)["scorers"].([]any); len(vs) != 2 || at(t, vs[0], "scorer_version") != 1. {
		t.Errorf("%v", vs)
	}
	if v := do(t, s, "GET", p+"get?experiment_id=0&name=polite", "", 200); at(t, v, "scorer", "scorer_version") != 2. || at(t, v, "scorer", "experiment_id") != 0. {
		t.Errorf("%v", v)
	}
	if v := do(t, s, "GET", p+"get?experiment_id=0&name=polite&version=1", "", 200); !strings.Contains(fmt.Sprint(v), `"n":0`) {
		t.Errorf("%v", v)
	}
	do(t, s, "GET", p+"get?experiment_id=0&name=polite&version=7", "", 404)
	do(t, s, "GET", p+"get?experiment_id=0&name=none", "", 404)
	do(t, s, "DELETE", p+"delete", `{"experiment_id":"0","name":"polite","version":2}`, 200)
	if got := do(t, s, "POST", p+"register", `{"experiment_id":"0","name":"polite","serialized_scorer":"{}"}`, 200); got["version"] != 3. {
		t.Errorf("a number is given twice: %v", got)
	}
	do(t, s, "DELETE", p+"delete", `{"experiment_id":"0","name":"polite"}`, 200)
	do(t, s, "GET", p+"versions?experiment_id=0&name=polite", "", 404)
	for _, bad := range []string{`{"experiment_id":"0","name":" ","serialized_scorer":"{}"}`, `{"experiment_id":"0","name":"x","serialized_scorer":"no"}`, `{"experiment_id":"0","name":"x"}`,
		`{"experiment_id":"0","name":"x","serialized_scorer":"{\"judge\":[{\"call_source\":\"import os\"}]}"}`} {
		do(t, s, "POST", p+"register", bad, 400)
	}
	do(t, s, "POST", p+"register", `{"experiment_id":"77","name":"x","serialized_scorer":"{}"}`, 404)
	do(t, s, "PUT", p+"online-config", `{}`, 501)
}
