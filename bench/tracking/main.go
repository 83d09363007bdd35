// Command tracking takes the figures of bench/tracking/RESULTS.md: our server on SQLite and on PostgreSQL, and `mlflow server`, under the
// same load on the same machine in one run. bench/tracking/run.sh prepares what it needs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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
	bin, mlflow, postgres, out, memory string
	runs, peerRuns, seconds            int
	only                               string
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/modelyard", "the program")
	flag.StringVar(&o.mlflow, "mlflow", "", "the mlflow command; empty: no peer")
	flag.StringVar(&o.postgres, "postgres", "", "URL of an empty PostgreSQL database; empty: without")
	flag.StringVar(&o.out, "out", "bench/tracking/RESULTS.md", "where the results go")
	flag.IntVar(&o.runs, "runs", 100_000, "runs of the large experiment")
	flag.IntVar(&o.peerRuns, "peer-runs", 10_000, "the same for MLflow, whose search takes most of a minute at 100,000")
	flag.IntVar(&o.seconds, "seconds", 3, "seconds of load a figure")
	flag.StringVar(&o.memory, "memory", "", "a folder in memory, such as /dev/shm, for the writes once more without a disk's flushes; empty: without")
	flag.StringVar(&o.only, "only", "", "one part alone: writes, history, artifacts or huge; empty: everything but huge")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// report collects figures by name; each server is a column.
type report struct {
	servers []string
	names   []string
	cells   map[string]string
}

func (r *report) set(server, name, format string, args ...any) {
	if !slices.Contains(r.servers, server) {
		r.servers = append(r.servers, server)
	}
	if !slices.Contains(r.names, name) {
		r.names = append(r.names, name)
	}
	text := fmt.Sprintf(format, args...)
	r.cells[server+"/"+name] = text
	fmt.Printf("%-28s %-60s %s\n", server, name, text)
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "modelyard-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	flush, err := host.Flush(dir)
	if err != nil {
		return err
	}
	before := host.String()
	fmt.Printf("%s; a 4 KiB append with fdatasync takes %s\n", before, flush)
	r := &report{cells: map[string]string{}}
	defer func() { // what was measured before something broke is kept
		err = errors.Join(err, os.WriteFile(o.out, []byte(r.markdown(o, flush, before)), 0o644))
	}()
	ours := func(o options, dir, name, url string) error {
		return (&bench{o: o, r: r, name: name, runs: o.runs, begin: func(data string) (*server, error) { return startOurs(ctx, o.bin, data, url) }}).all(ctx, filepath.Join(dir, name))
	}
	if o.only == "huge" {
		type store struct{ name, url string }
		stores := []store{{"Modelyard SQLite", ""}}
		if o.postgres != "" {
			stores = append(stores, store{"Modelyard PostgreSQL", o.postgres})
		}
		for _, store := range stores {
			b := &bench{o: o, r: r, name: store.name, runs: 1_000_000, begin: func(data string) (*server, error) { return startOurs(ctx, o.bin, data, store.url) }}
			if err := b.hugeStore(ctx, filepath.Join(dir, store.name), store.url); err != nil {
				return err
			}
		}
		return nil
	}
	if err := ours(o, dir, "Modelyard SQLite", ""); err != nil {
		return err
	}
	if o.memory != "" && (o.only == "" || o.only == "writes") {
		fast, err := os.MkdirTemp(o.memory, "modelyard-bench-*")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(fast) }()
		writes := o
		writes.only = "writes"
		if err := ours(writes, fast, "the same in "+o.memory, ""); err != nil {
			return err
		}
	}
	if o.postgres != "" {
		if err := ours(o, dir, "Modelyard PostgreSQL", o.postgres); err != nil {
			return err
		}
	}
	if o.mlflow != "" {
		b := &bench{o: o, r: r, name: "MLflow SQLite", peer: true, runs: o.peerRuns, begin: func(data string) (*server, error) { return startPeer(ctx, o.mlflow, data) }}
		if err := b.all(ctx, filepath.Join(dir, "mlflow")); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) markdown(o options, flush time.Duration, machine string) string {
	var b strings.Builder
	title, command, peers := "Results", "bench/tracking/run.sh", " MLflow runs SQLite as it sets it up by default. The column of a folder in memory has no disk to wait for: what\nthe program itself takes for the writes."
	size := fmt.Sprintf("The large experiment has %d runs for Modelyard and %d for MLflow.", o.runs, o.peerRuns)
	if o.only == "huge" {
		title, command, peers = "A million runs and a hundred million points", "HUGE=1 "+command, ""
		size = "The large experiment has a million runs; a hundred of them have a million points each, of 10 keys."
	}
	fmt.Fprintf(&b, `# %s

Written by `+"`%s`"+` on %s: %s. A 4 KiB append with fdatasync takes %s on this disk (middle of 200) before
the first figure. The load generator shares the cores with the server; nothing else was started, but other work may have run: compare, don't quote.

What is durable when a write is answered: Modelyard on SQLite runs WAL with synchronous=FULL, so each commit is flushed (requests that wait at
the same time share one); on PostgreSQL fsync and synchronous_commit are on.%s

Seeded runs have 10 metrics, 10 params and 3 tags. Filter `+"`metrics.acc > 0.5 and params.lr = '0.1'`, order `metrics.acc DESC`"+`, page of 100. %d s a figure.
%s

| figure |`, title, command, time.Now().UTC().Format("2006-01-02"), machine, flush.Round(time.Microsecond), peers, o.seconds, size)
	for _, s := range r.servers {
		b.WriteString(" " + s + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.servers)) + "\n")
	for _, n := range r.names {
		b.WriteString("| " + n + " |")
		for _, s := range r.servers {
			cell := r.cells[s+"/"+n]
			if cell == "" {
				cell = "-"
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

type server struct {
	cmd   *exec.Cmd
	addr  string
	ready time.Duration
}

func begin(ctx context.Context, path, addr string, limit time.Duration, cmd *exec.Cmd) (*server, error) {
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	at := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, addr: addr}
	for time.Since(at) < limit {
		if k, err := dial(ctx, addr); err == nil {
			_, err := k.ask(http.MethodGet, path, "")
			_ = k.c.Close()
			if err == nil {
				s.ready = time.Since(at)
				return s, nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	s.stop()
	return nil, errors.New(cmd.Path + " did not become ready")
}

// stop ends the server and the processes it started, which are its group.
func (s *server) stop() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	_ = s.cmd.Wait()
}

func startOurs(ctx context.Context, bin, data, url string) (*server, error) {
	addr, err := host.Free(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "up", "--data-dir", data, "--listen", addr, "-q")
	cmd.Env = append(os.Environ(), "MODELYARD_LOG_LEVEL=error", "MODELYARD_DATABASE_URL="+url)
	return begin(ctx, "/readyz", addr, time.Minute, cmd)
}

func startPeer(ctx context.Context, mlflow, data string) (*server, error) {
	addr, err := host.Free(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, mlflow, "server", "--host", "127.0.0.1", "--port", port, "--backend-store-uri", "sqlite:///"+filepath.Join(data, "mlflow.db"),
		"--artifacts-destination", filepath.Join(data, "artifacts"))
	cmd.Stdout = io.Discard
	return begin(ctx, "/health", addr, 2*time.Minute, cmd)
}

// memory is the proportional set size of a process group in bytes: what its processes share counts once.
func (s *server) memory() (total int64) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		stat, err := os.ReadFile(filepath.Join(d, "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) < 3 || f[2] != strconv.Itoa(s.cmd.Process.Pid) {
			continue
		}
		rollup, err := os.ReadFile(filepath.Join(d, "smaps_rollup"))
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(rollup), "\n") {
			if v, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
				total += kb << 10
			}
		}
	}
	return total
}

// field reads a text deep in a JSON answer.
func field(b []byte, path ...string) string {
	for _, p := range path {
		var m map[string]json.RawMessage
		if json.Unmarshal(b, &m) != nil {
			return ""
		}
		b = m[p]
	}
	return strings.Trim(string(b), `"`)
}
