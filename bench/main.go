// Command bench takes the figures of bench/RESULTS.md: one server beside a FastAPI and ONNX Runtime peer that serves the same file, in
// interleaved rounds, so that both have the same neighbours. bench/run.sh prepares what it needs.
package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/modelyard/modelyard/bench/host"
)

type options struct {
	bin, python, out string
	rounds, seconds  int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/modelyard", "the program")
	flag.StringVar(&o.python, "python", "python3", "Python of the peer")
	flag.StringVar(&o.out, "out", "bench/RESULTS.md", "where the results go")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of load")
	flag.IntVar(&o.seconds, "seconds", 3, "seconds of load a point")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "modelyard-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var r results
	r.binary, err = size(o.bin)
	if err != nil {
		return err
	}
	if r.flush, err = host.Flush(dir); err != nil {
		return err
	}
	for i := range 5 {
		s, took, err := start(ctx, o.bin, filepath.Join(dir, "cold"+strconv.Itoa(i)))
		if err != nil {
			return err
		}
		r.cold = append(r.cold, took)
		if i == 4 {
			time.Sleep(5 * time.Second) // idle: what start-up left behind is collected by then
			r.idle = rss(s.cmd.Process.Pid)
		}
		s.stop()
	}
	rows, err := records("examples/bike-demand/bikes.csv")
	if err != nil {
		return err
	}
	s, _, err := start(ctx, o.bin, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer s.stop()
	model := filepath.Join(dir, "model.onnx")
	train := exec.CommandContext(ctx, o.python, "bench/train.py", "examples/bike-demand/bikes.csv", model)
	train.Env = append(os.Environ(), "MLFLOW_TRACKING_URI="+s.url)
	if out, err := train.CombinedOutput(); err != nil {
		return fmt.Errorf("train: %w\n%s", err, out)
	}
	if r.deploy, r.runtime, err = deploy(ctx, s.url, rows[0]); err != nil {
		return err
	}
	p, err := peer(ctx, o.python, model)
	if err != nil {
		return err
	}
	defer p.stop()
	ours, theirs := s.url+"/endpoints/bench/predict", p.url+"/predict"
	if r.difference, err = agree(ctx, ours, theirs, rows[:200]); err != nil {
		return err
	}
	for _, c := range []int{1, 16} {
		for _, url := range []string{ours, theirs} { // warm
			load(ctx, url, rows, c, time.Second)
		}
		for range o.rounds {
			r.add("Modelyard", c, load(ctx, ours, rows, c, time.Duration(o.seconds)*time.Second))
			r.add("FastAPI + ONNX Runtime", c, load(ctx, theirs, rows, c, time.Duration(o.seconds)*time.Second))
		}
	}
	r.busyOurs, r.busyTheirs = rss(s.cmd.Process.Pid), rss(p.cmd.Process.Pid)
	if r.logged, err = logged(ctx, s.url); err != nil {
		return err
	}
	text := r.markdown(o)
	fmt.Print(text)
	return os.WriteFile(o.out, []byte(text), 0o644)
}

func size(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

type server struct {
	cmd *exec.Cmd
	url string
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// start runs a server on a folder and gives the time from exec to the first ready answer.
func start(ctx context.Context, bin, dir string) (*server, time.Duration, error) {
	addr, err := host.Free(ctx)
	if err != nil {
		return nil, 0, err
	}
	s := &server{cmd: exec.CommandContext(ctx, bin, "up", "--data-dir", dir, "--listen", addr, "-q"), url: "http://" + addr}
	s.cmd.Env = append(os.Environ(), "MODELYARD_LOG_LEVEL=warn")
	s.cmd.Stderr = os.Stderr
	at := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	err = ready(ctx, s.url+"/readyz", 20*time.Second)
	return s, time.Since(at), err
}

func peer(ctx context.Context, python, model string) (*server, error) {
	addr, err := host.Free(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	s := &server{cmd: exec.CommandContext(ctx, python, "-m", "uvicorn", "peer:app", "--app-dir", "bench", "--port", port, "--log-level", "warning", "--no-access-log"), url: "http://" + addr}
	s.cmd.Env = append(os.Environ(), "BENCH_MODEL="+model)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, ready(ctx, s.url+"/openapi.json", time.Minute)
}

func ready(ctx context.Context, url string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if status, _, err := call(ctx, http.DefaultClient, http.MethodGet, url, nil); err == nil && status == http.StatusOK {
			return nil
		}
	}
	return errors.New(url + " did not become ready")
}

// rss is the resident memory of a process in bytes; 0 where the system does not tell.
func rss(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

var features = []string{"hour", "weekday", "workingday", "holiday", "temperature", "feels_like", "humidity", "windspeed"} //nolint:gochecknoglobals // a list

// records are the rows of the example as request bodies: rows vary, since the same row again flatters every engine.
func records(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, row := range all[1:] {
		m := map[string]json.Number{}
		for _, name := range features {
			m[name] = json.Number(row[slices.Index(all[0], name)])
		}
		b, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// deploy makes the endpoint and gives the time from the command to its first answer.
func deploy(ctx context.Context, url string, row []byte) (time.Duration, string, error) {
	at := time.Now()
	status, body, err := call(ctx, http.DefaultClient, http.MethodPost, url+"/api/v1/endpoints", []byte(`{"name":"bench","model_uri":"models:/bench/1"}`))
	if err != nil || status >= 300 {
		return 0, "", fmt.Errorf("deploy: %d %s %w", status, body, err)
	}
	for deadline := at.Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if status, body, err = call(ctx, http.DefaultClient, http.MethodPost, url+"/endpoints/bench/predict", row); err == nil && status == http.StatusOK {
			took := time.Since(at)
			var e struct {
				Status struct {
					Versions []struct{ Runtime, Engine string }
				}
			}
			_, b, err := call(ctx, http.DefaultClient, http.MethodGet, url+"/api/v1/endpoints/bench", nil)
			if err != nil || json.Unmarshal(b, &e) != nil || len(e.Status.Versions) == 0 {
				return took, "unknown", err
			}
			return took, cmp.Or(e.Status.Versions[0].Engine, e.Status.Versions[0].Runtime), nil
		}
	}
	return 0, "", fmt.Errorf("the endpoint does not answer: %d %s", status, body)
}

// agree asks both servers the same rows and gives the largest difference of their answers.
func agree(ctx context.Context, ours, theirs string, rows [][]byte) (float64, error) {
	worst := 0.0
	for _, row := range rows {
		var v [2]float64
		for i, url := range []string{ours, theirs} {
			status, body, err := call(ctx, http.DefaultClient, http.MethodPost, url, row)
			var a struct {
				Prediction json.RawMessage `json:"prediction"`
			}
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%d %s", status, body)
			}
			if err == nil {
				err = json.Unmarshal(body, &a)
			}
			if err == nil {
				v[i], err = strconv.ParseFloat(strings.Trim(string(a.Prediction), "[]"), 64)
			}
			if err != nil {
				return 0, fmt.Errorf("%s: %w", url, err)
			}
		}
		worst = max(worst, math.Abs(v[0]-v[1]))
	}
	if worst > 1e-2 {
		return worst, fmt.Errorf("the two servers differ by %g: this is no comparison", worst)
	}
	return worst, nil
}

// logged is how many predictions the server's own counter says were logged.
func logged(ctx context.Context, url string) (string, error) {
	_, b, err := call(ctx, http.DefaultClient, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return "", err
	}
	out := "unknown"
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "modelyard_predlog_appended_total "); ok {
			f, _ := strconv.ParseFloat(rest, 64)
			out = strconv.FormatFloat(f, 'f', 0, 64)
		}
	}
	return out, nil
}

func call(ctx context.Context, c *http.Client, method, url string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(string(body)))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func middle[T int64 | float64 | time.Duration](vs []T) T {
	if len(vs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(vs))
	return s[len(s)/2]
}
