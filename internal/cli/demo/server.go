package demo

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// server is the demo's own `modelyard up`, a process of its own so that it outlives the story. It is started again when it dies.
type server struct {
	dir, listen, log string
	say              func(format string, args ...any)
	mu               sync.Mutex
	exited           chan struct{} // closed when the process that we started has ended
	restarts         int
}

func (s *server) url() string { return "http://" + s.listen }

// pid is the process that holds the data folder, or 0.
func (s *server) pid() int {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "server.lock"))
	if err != nil {
		return 0
	}
	var pid int
	if _, err := fmt.Sscanf(string(b), "process %d", &pid); err != nil || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

func (s *server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// start makes sure that the server runs: the one of an earlier demo is taken over, a dead one started again.
func (s *server) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gone() && s.answers(ctx) {
		return nil
	}
	spawned := false
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		if s.gone() {
			if spawned {
				return s.notStarted()
			}
			if s.exited != nil {
				s.restarts++
				s.say("the server is gone; starting it again")
			}
			if err := s.spawn(); err != nil {
				return err
			}
			spawned = true
		}
		if s.answers(ctx) && s.pid() != 0 {
			s.say("server ready at %s after %d ms", s.url(), time.Since(began).Milliseconds())
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errs.E(errs.Unavailable, "demo.start", "the demo's server does not answer at "+s.url(), nil).WithHint("read %s", s.log)
}

// notStarted tells why the server that was started ended, in the words of its log.
func (s *server) notStarted() error {
	b, _ := os.ReadFile(s.log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return errs.E(errs.Unavailable, "demo.start", "the demo's server did not start: "+strings.Join(lines[max(0, len(lines)-3):], " / "), nil).
		WithHint("mend that, or choose another address with --listen 127.0.0.1:5001")
}

// gone reports whether the server has died: the process that we started, or that of an earlier demo.
func (s *server) gone() bool {
	if s.exited == nil {
		return s.pid() == 0
	}
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

func (s *server) spawn() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(self, "up", "--data-dir", filepath.Join(s.dir, "data"), "--listen", s.listen) //nolint:noctx // it outlives us
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C ends the story, not the server
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() { _ = cmd.Wait(); close(exited) }()
	return nil
}

func (s *server) stop() {
	pid := s.pid()
	if pid == 0 {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	for range 1500 {
		if s.gone() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wipe stops the demo's server and deletes the demo's folder; any other folder is left alone.
func (s *server) wipe() error {
	s.stop()
	if _, err := os.Stat(s.dir); os.IsNotExist(err) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(s.dir, "story.json")); err != nil {
		if entries, _ := os.ReadDir(s.dir); len(entries) > 0 {
			return errs.E(errs.Precondition, "demo.fresh", s.dir+" does not look like a demo's folder", nil).WithHint("delete it yourself, or choose another with --data-dir")
		}
	}
	return os.RemoveAll(s.dir)
}
