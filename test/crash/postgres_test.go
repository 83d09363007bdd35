package crash

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// postgres is a PostgreSQL server of the test's own, which may die.
type postgres struct {
	bin, dir, port string
}

// newPostgres starts a server in a folder of its own; it goes away with the test. MODELYARD_TEST_POSTGRES_BIN names the folder of its
// programs; without it the test is skipped.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	bin := os.Getenv("MODELYARD_TEST_POSTGRES_BIN")
	if bin == "" {
		t.Skip("MODELYARD_TEST_POSTGRES_BIN is not set: scripts/with-postgres.sh sets it")
	}
	dir, err := os.MkdirTemp("", "modelyard-pg-") // not t.TempDir: the server's user must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{bin: bin, dir: dir, port: freePort(t)}
	t.Cleanup(func() {
		_, _ = p.run(context.WithoutCancel(t.Context()), "pg_ctl", "-D", p.data(), "-m", "immediate", "-s", "stop")
		_ = os.RemoveAll(dir)
	})
	if os.Getuid() == 0 { // the server refuses to run as root
		if out, err := exec.CommandContext(t.Context(), "chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	p.must(t, "initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	p.start(t)
	return p
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *postgres) url() string {
	return "postgres://postgres@127.0.0.1:" + p.port + "/postgres?sslmode=disable"
}

// run runs one of PostgreSQL's programs. What it leaves running must not hold a pipe of ours, so it writes to a file.
func (p *postgres) run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := os.CreateTemp("", "modelyard-pg-out-")
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Close(); _ = os.Remove(out.Name()) }()
	line := append([]string{filepath.Join(p.bin, name)}, args...)
	if os.Getuid() == 0 {
		line = append([]string{"runuser", "-u", "postgres", "--"}, line...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

func (p *postgres) must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := p.run(t.Context(), name, args...); err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		t.Fatalf("%s: %v\n%s%s", name, err, out, log)
	}
}

// start starts the server and waits until it answers, so until it has recovered. Commits are durable as far as a process can die.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	p.must(t, "pg_ctl", "-D", p.data(), "-w", "-t", "120", "-s", "-l", filepath.Join(p.dir, "log"),
		"-o", "-c listen_addresses=127.0.0.1 -p "+p.port+" -k "+p.dir+" -c fsync=off", "start")
}

// crash ends the server at once, as a power cut would.
func (p *postgres) crash(t *testing.T) {
	t.Helper()
	p.must(t, "pg_ctl", "-D", p.data(), "-m", "immediate", "-s", "stop")
}

// killBackend ends one connection's process with SIGKILL, upon which PostgreSQL ends all others and recovers.
func (p *postgres) killBackend(t *testing.T) {
	t.Helper()
	pids, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	parent, _, _ := strings.Cut(string(pids), "\n")
	children, err := os.ReadFile("/proc/" + parent + "/task/" + parent + "/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		line, err := os.ReadFile("/proc/" + child + "/cmdline")
		if err != nil || !strings.HasPrefix(string(line), "postgres: postgres ") { // postgres: <user> <database> <address> <what it does>
			continue
		}
		pid, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		victim, err := os.FindProcess(pid)
		if err == nil {
			err = victim.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("PostgreSQL has no connection to kill: %s", children)
}

// TestDatabaseDiesUnderLoad: PostgreSQL crashes under a server that goes on. What was acknowledged is there, what the server keeps in
// memory is what the database has, and the server comes back by itself.
func TestDatabaseDiesUnderLoad(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	s := newServer(t, p.url())
	s.mayBeAway = true
	deaths := killCount(t)
	l, bad := underLoad(t, s, deaths, func(generation int) {
		if generation%2 == 0 {
			p.crash(t)
			p.start(t)
		} else {
			p.killBackend(t)
		}
	}, func() {
		s.until(t, "the server has its database again", func() bool {
			status, _, err := s.do(t.Context(), "POST", mlflow+"runs/create", `{"experiment_id":"0"}`)
			return err == nil && status == http.StatusOK
		})
	})
	report(t, bad)
	if t.Failed() {
		t.Logf("the server's log:\n%s", s.said())
	}
	t.Logf("PostgreSQL died %d times under %d writers; acknowledged and found: %s", deaths, writers, l)
}
