package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

const (
	kills   = 5
	writers = 4
	keys    = 5  // metrics in a batch
	steps   = 20 // points of each
	seed    = 7
	mlflow  = "/api/2.0/mlflow/"
	model   = "../../internal/infer/testdata/parity/lgb-binary/"
	record  = `{"a":%g,"b b":-110.5,"c":0.57,"zero":0.0,"n":-1,"flag":true,"k":31}`
)

func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	bin := os.Getenv("MODELYARD_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "modelyard")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/modelyard")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); killUnderLoad(t, bin, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); killUnderLoad(t, bin, dbtest.PostgresURL(t)) })
}

func killUnderLoad(t *testing.T, bin, dsn string) {
	s := &server{bin: bin, dir: t.TempDir(), dsn: dsn, addr: freePort(t)}
	s.start(t)
	s.deploy(t)
	l := &ledger{acks: make(chan struct{}, 1<<16)}
	rng := rand.New(rand.NewPCG(seed, 0))
	next := 0
	for range kills {
		// A generation of writers ends with its server: each stops at its first request that is not answered.
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for range writers {
			next++
			wg.Go(func() { s.write(ctx, t, l, next) })
		}
		for range 150 + rng.IntN(250) {
			select {
			case <-l.acks:
			case <-ctx.Done():
				t.Fatal("the server acknowledges too little")
			}
		}
		s.kill(t)
		wg.Wait()
		cancel()
		s.start(t)
	}
	l.verify(t, s)
	s.kill(t)
}

// server is the program as a process of its own.
type server struct {
	bin, dir, dsn, addr string
	cmd                 *exec.Cmd
	log                 bytes.Buffer
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.log.Reset()
	s.cmd = exec.Command(s.bin, "up", "--data-dir", s.dir, "--listen", s.addr) //nolint:noctx // it is killed
	s.cmd.Env = append(os.Environ(), "MODELYARD_TEST_COMMIT_DELAY=3ms", "MODELYARD_LOG_LEVEL=warn", "MODELYARD_DATABASE_URL="+s.dsn)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := s.cmd.Process
	t.Cleanup(func() { _ = p.Kill() })
	s.until(t, "the server is ready", func() bool {
		status, _, err := s.do(t.Context(), "GET", "/readyz", "")
		return err == nil && status == http.StatusOK
	})
}

func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("the server was gone already: %v\n%s", err, s.log.String())
	}
	_ = s.cmd.Wait()
}

func (s *server) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			t.Fatalf("after 30 s still not: %s\n%s", what, s.log.String())
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
			RunID string `json:"run_id"`
		}
		Data struct {
			Metrics []struct {
				Value float64
				Step  int
			}
			Params []struct{ Value string }
		}
	}
}

func (s *server) deploy(t *testing.T) {
	t.Helper()
	var r runAnswer
	s.ask(t, "POST", mlflow+"runs/create", `{"experiment_id":"0"}`, &r)
	id := r.Run.Info.RunID
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

type prediction struct {
	PredictionID string `json:"prediction_id"`
	Prediction   float64
	Logged       bool
	labelled     bool
	label        float64
}

type loggedRun struct {
	id    string
	batch bool // its one log_batch was acknowledged
}

// ledger is what the server acknowledged.
type ledger struct {
	acks        chan struct{} // one for each acknowledgement
	mu          sync.Mutex
	runs        []*loggedRun
	predictions []*prediction
}

// note records one acknowledgement.
func (l *ledger) note(fn func()) {
	l.mu.Lock()
	fn()
	l.mu.Unlock()
	l.acks <- struct{}{}
}

// write goes round until a request fails: a run, its batch, a prediction, its label.
func (s *server) write(ctx context.Context, t *testing.T, l *ledger, writer int) {
	client := func(path, body string, out any) bool {
		status, b, err := s.do(ctx, "POST", path, body)
		if err != nil {
			return false // killed
		}
		if status == http.StatusServiceUnavailable || status == http.StatusNotFound && strings.HasPrefix(path, "/endpoints/") {
			return true // the model is being loaded after the start
		}
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, b)
			return false
		}
		if err := json.Unmarshal(b, out); err != nil {
			t.Errorf("%s: %v", path, err)
			return false
		}
		return true
	}
	for i := 0; ctx.Err() == nil; i++ {
		var r runAnswer
		if !client(mlflow+"runs/create", `{"experiment_id":"0","tags":[{"key":"writer","value":"`+fmt.Sprint(writer)+`"}]}`, &r) {
			return
		}
		run := &loggedRun{id: r.Run.Info.RunID}
		l.note(func() { l.runs = append(l.runs, run) })
		if !client(mlflow+"runs/log-batch", batch(run.id), &struct{}{}) {
			return
		}
		l.note(func() { run.batch = true })
		p := &prediction{}
		if !client("/endpoints/m/predict", fmt.Sprintf(record, float64(i)/10), p) {
			return
		}
		if p.PredictionID == "" {
			continue
		}
		if !p.Logged {
			t.Error("a prediction was not logged")
		}
		l.note(func() { l.predictions = append(l.predictions, p) })
		var f struct{ Accepted int }
		label := float64(i % 2)
		if !client("/endpoints/m/feedback", fmt.Sprintf(`{"prediction_id":%q,"label":%g}`, p.PredictionID, label), &f) {
			return
		}
		if f.Accepted != 1 {
			t.Errorf("the label of an answered prediction was not accepted: %+v", f)
		}
		l.note(func() { p.labelled, p.label = true, label })
	}
}

func batch(run string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"run_id":%q,"params":[{"key":"p","value":"v"}],"metrics":[`, run)
	for k := range keys {
		for i := range steps {
			if k+i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"key":"m%d","value":%d,"step":%d,"timestamp":%d}`, k, 100*k+i, i, 1700000000000+i)
		}
	}
	b.WriteString("]}")
	return b.String()
}

func (l *ledger) verify(t *testing.T, s *server) {
	t.Helper()
	batches, labels := 0, 0
	for _, run := range l.runs {
		var r runAnswer
		s.ask(t, "GET", mlflow+"runs/get?run_id="+run.id, "", &r)
		got := len(r.Run.Data.Metrics)
		if run.batch && (got != keys || len(r.Run.Data.Params) != 1) || !run.batch && got != 0 && got != keys {
			t.Errorf("run %s has %d metrics and %d parameters; batch acknowledged: %v", run.id, got, len(r.Run.Data.Params), run.batch)
			continue
		}
		if !run.batch {
			continue
		}
		batches++
		for k := range keys {
			var h struct{ Metrics []struct{ Value float64 } }
			s.ask(t, "GET", fmt.Sprintf("%smetrics/get-history?run_id=%s&metric_key=m%d", mlflow, run.id, k), "", &h)
			if len(h.Metrics) != steps || h.Metrics[steps-1].Value != float64(100*k+steps-1) {
				t.Errorf("run %s: metric m%d has %d points, want %d", run.id, k, len(h.Metrics), steps)
			}
		}
	}
	for _, p := range l.predictions {
		var have struct {
			Label   *float64
			Outputs map[string]any
		}
		what := "prediction " + p.PredictionID
		s.ask(t, "GET", "/api/v1/predictions/"+p.PredictionID, "", &have)
		if !p.labelled {
			continue
		}
		labels++
		s.until(t, what+" has its label", func() bool {
			if have.Label == nil {
				s.ask(t, "GET", "/api/v1/predictions/"+p.PredictionID, "", &have)
			}
			return have.Label != nil
		})
		if *have.Label != p.label {
			t.Errorf("%s has the label %g, want %g", what, *have.Label, p.label)
		}
	}
	s.until(t, "the chain of events tells of every run", func() bool {
		told := s.toldRuns(t)
		return !slices.ContainsFunc(l.runs, func(r *loggedRun) bool { return !told[r.id] })
	})
	var chain struct {
		OK     bool
		Detail string
	}
	if s.ask(t, "POST", "/api/v1/events/verify", "{}", &chain); !chain.OK {
		t.Error(chain.Detail)
	}
	t.Logf("killed %d times; %d runs, %d batches, %d predictions and %d labels were acknowledged and are there", kills, len(l.runs), batches, len(l.predictions), labels)
}

// toldRuns reads all events of runs from the chain.
func (s *server) toldRuns(t *testing.T) map[string]bool {
	t.Helper()
	told := map[string]bool{}
	for token := ""; ; {
		var page struct {
			Items         []struct{ Resource struct{ ID string } }
			NextPageToken string `json:"next_page_token"`
		}
		s.ask(t, "GET", "/api/v1/events?type=tracking.run.&limit=1000&page_token="+token, "", &page)
		for _, e := range page.Items {
			told[e.Resource.ID] = true
		}
		if token = page.NextPageToken; token == "" {
			return told
		}
	}
}
