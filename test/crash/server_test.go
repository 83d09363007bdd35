package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is the program as a process of its own.
type server struct {
	bin, dir, dsn, log string
	addr               string // differs with each start
	env                []string
	faults             []string // environment of a server with a fault
	mayBeAway          bool     // the database dies under this server: 503 is no acknowledgement
	modelRun           string   // the run whose model is served
	cmd                *exec.Cmd
}

// freePort is a port that no outgoing connection is given meanwhile: those come from 32768 on.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ready is what the server says once it listens.
var ready = regexp.MustCompile(`is ready at http://(\S+) after`)

// said is what the server has written to its log since it was started.
func (s *server) said() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *server) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(s.bin, "up", "--data-dir", s.dir, "--listen", "127.0.0.1:0") //nolint:noctx // it is killed
	s.cmd.Env = append(os.Environ(), "MODELYARD_TEST_COMMIT_DELAY=3ms", "MODELYARD_LOG_LEVEL=warn", "MODELYARD_DATABASE_URL="+s.dsn)
	s.cmd.Env = append(s.cmd.Env, s.env...)
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := s.cmd.Process
	t.Cleanup(func() { _ = p.Kill() })
	s.until(t, "the server is ready", func() bool {
		m := ready.FindStringSubmatch(s.said())
		if m == nil {
			return false
		}
		s.addr = m[1]
		status, _, err := s.do(t.Context(), "GET", "/readyz", "")
		return err == nil && status == http.StatusOK
	})
}

func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("the server was gone already: %v\n%s", err, s.said())
	}
	_ = s.cmd.Wait()
}

func (s *server) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			t.Fatalf("after %v still not: %s\n%s", patience, what, s.said())
		}
	}
}

func (s *server) do(ctx context.Context, method, path, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// ask sends a request that must be answered with 2xx and decodes the answer.
func (s *server) ask(t *testing.T, method, path, body string, out any) {
	t.Helper()
	status, b, err := s.do(t.Context(), method, path, body)
	if err == nil && status > 299 {
		err = fmt.Errorf("%d %s", status, b)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

type runAnswer struct {
	Run struct {
		Info struct {
			RunID     string `json:"run_id"`
			Lifecycle string `json:"lifecycle_stage"`
		}
		Data struct {
			Metrics []struct {
				Key   string
				Value float64
				Step  int
			}
			Params []struct{ Key, Value string }
			Tags   []struct{ Key, Value string }
		}
	}
}

func (s *server) deploy(t *testing.T) {
	t.Helper()
	var r runAnswer
	s.ask(t, "POST", mlflow+"runs/create", `{"experiment_id":"0"}`, &r)
	id := r.Run.Info.RunID
	s.modelRun = id
	for _, f := range []string{"MLmodel", "model.lgb"} {
		b, err := os.ReadFile(model + f)
		if err != nil {
			t.Fatal(err)
		}
		s.ask(t, "PUT", "/api/2.0/mlflow-artifacts/artifacts/0/"+id+"/artifacts/model/"+f, string(b), nil)
	}
	s.ask(t, "POST", mlflow+"registered-models/create", `{"name":"m"}`, nil)
	s.ask(t, "POST", mlflow+"model-versions/create", fmt.Sprintf(`{"name":"m","source":"runs:/%s/model"}`, id), nil)
	s.ask(t, "POST", "/api/v1/endpoints", `{"name":"m","model_uri":"models:/m/1"}`, nil)
	s.until(t, "the endpoint answers", func() bool {
		status, _, err := s.do(t.Context(), "GET", "/v2/models/m/ready", "")
		return err == nil && status == http.StatusOK
	})
}
