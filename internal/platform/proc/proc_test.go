package proc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/proc"
)

func TestMain(m *testing.M) {
	args := os.Args
	switch {
	case len(args) > 2 && args[1] == "internal" && args[2] == "shim":
		os.Exit(proc.ShimMain(args[3:]))
	case len(args) > 1 && args[1] == "test-parent": // a parent that the crash tests kill
		testParent(args[2], args[3] == "die", args[4:])
	case len(args) > 1 && args[1] == "test-hog":
		testHog()
	}
	os.Exit(m.Run())
}

func testParent(dir string, die bool, command []string) {
	h, err := proc.Start(context.Background(), proc.Spec{
		Args: command, Env: os.Environ(), StateDir: dir, DieWithParent: die,
	})
	fmt.Println(h.PID(), err)
	select {}
}

func testHog() {
	var hold [][]byte
	for range 400 {
		hold = append(hold, bytes.Repeat([]byte{1}, 1<<20))
	}
	fmt.Println("held", len(hold))
	select {}
}

func start(t *testing.T, spec proc.Spec) *proc.Handle {
	t.Helper()
	if spec.StateDir == "" {
		spec.StateDir = filepath.Join(t.TempDir(), "state")
	}
	if spec.Env == nil {
		spec.Env = proc.CleanEnv(nil)
	}
	h, err := proc.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Kill(); <-h.Done() })
	return h
}

func wait(t *testing.T, h *proc.Handle) proc.State {
	t.Helper()
	st, err := h.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func sh(line string) []string { return proc.ShellArgs(line) }

func readAll(t *testing.T, dir string) (text string, dropped int64) {
	t.Helper()
	var b strings.Builder
	var at int64
	for {
		c, err := proc.ReadLog(dir, at, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Data) == 0 {
			return b.String(), dropped
		}
		b.Write(c.Data)
		dropped += c.Dropped
		at = c.Next
	}
}

func TestExitLogAndUsage(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{Args: sh(`echo "hello $NAME"; echo oops >&2; exit 3`), Env: proc.CleanEnv(nil, "NAME=you")})
	st := wait(t, h)
	if st.Phase != proc.Exited || st.ExitCode != 3 || st.Reason != "" || st.Success() {
		t.Errorf("state %+v", st)
	}
	if st.MaxRSS < 100<<10 || st.EndedAt.Before(st.StartedAt) || st.LogBytes != 15 {
		t.Errorf("usage %+v", st)
	}
	if text, _ := readAll(t, h.StateDir()); text != "hello you\noops\n" {
		t.Errorf("log %q", text)
	}
	if got := st.Describe(); got != "exited with status 3" {
		t.Error(got)
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := proc.Start(t.Context(), proc.Spec{Args: []string{"no-such-thing"}, Env: proc.CleanEnv(nil), StateDir: dir})
	if err == nil || !strings.Contains(err.Error(), `command "no-such-thing" was not found in PATH`) {
		t.Errorf("got %v", err)
	}
	st, err := proc.ReadState(dir)
	if err != nil || st.Reason != proc.NotStarted || st.ExitCode != 127 {
		t.Errorf("recorded %+v, %v", st, err)
	}
	if _, err := proc.Start(t.Context(), proc.Spec{Args: []string{"true"}, StateDir: dir}); !errors.Is(err, proc.ErrInUse) {
		t.Errorf("second command in one folder: %v", err)
	}
	for name, spec := range map[string]proc.Spec{
		"no args":   {StateDir: t.TempDir()},
		"no state":  {Args: []string{"true"}},
		"no folder": {Args: []string{"true"}, StateDir: t.TempDir(), Dir: "/does/not/exist"},
		"nul":       {Args: []string{"a\x00b"}, StateDir: t.TempDir()},
	} {
		if _, err := proc.Start(t.Context(), spec); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTimeoutThenKill(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{
		Args: sh(`trap "echo asked" TERM; while true; do sleep 0.05 || true; done`), Timeout: 200 * time.Millisecond, Grace: 300 * time.Millisecond,
	})
	st := wait(t, h)
	if st.Reason != proc.TimedOut || st.Signal != "SIGKILL" || st.ExitCode != 137 {
		t.Errorf("state %+v", st)
	}
	if text, _ := readAll(t, h.StateDir()); !strings.Contains(text, "asked") {
		t.Errorf("SIGTERM was not sent first: %q", text)
	}
	if took := st.EndedAt.Sub(st.StartedAt); took < 500*time.Millisecond {
		t.Errorf("ended after %v, before timeout and grace", took)
	}
}

func TestStopLetsTheCommandFinish(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{Args: sh(`trap "echo saved; exit 0" TERM; echo ready; while true; do sleep 0.02 || true; done`)})
	await(t, h, "ready")
	st, err := h.Stop(t.Context())
	if err != nil || st.Reason != proc.Stopped || st.ExitCode != 0 || st.Success() {
		t.Errorf("state %+v, %v", st, err)
	}
	if text, _ := readAll(t, h.StateDir()); !strings.HasSuffix(text, "saved\n") {
		t.Errorf("log %q", text)
	}
}

// await returns when the command has printed something.
func await(t *testing.T, h *proc.Handle, what string) string {
	t.Helper()
	found := errors.New("found")
	var text strings.Builder
	_, err := h.Follow(t.Context(), 0, func(c proc.LogChunk) error {
		text.Write(c.Data)
		if strings.Contains(text.String(), what) {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		t.Fatalf("%q never came: %v, log %q", what, err, text.String())
	}
	return text.String()
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{Args: sh(`sleep 1000 & echo pid $!; setsid sleep 1000 & echo pid $!; sleep 0.1; exit 0`)})
	if st := wait(t, h); !st.Success() {
		t.Fatalf("state %+v", st)
	}
	text, _ := readAll(t, h.StateDir())
	for line := range strings.Lines(text) {
		pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
		if err != nil {
			t.Fatal(err)
		}
		gone(t, pid)
	}
}

// gone waits until a process has ended (or is a zombie that init has not collected yet).
func gone(t *testing.T, pid int) {
	t.Helper()
	for t.Context().Err() == nil {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Errorf("process %d goes on", pid)
}

func TestLogCapKeepsHeadAndTail(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	h := start(t, proc.Spec{Args: sh(`seq 1 1000000`), LogCap: limit})
	st := wait(t, h)
	text, dropped := readAll(t, h.StateDir())
	if !strings.HasPrefix(text, "1\n2\n3\n") || !strings.HasSuffix(text, "999999\n1000000\n") {
		t.Errorf("head %.20q tail %q", text, text[len(text)-20:])
	}
	if st.LogBytes != 6888896 || dropped != st.LogDropped || int64(len(text))+dropped != st.LogBytes {
		t.Errorf("printed %d, kept %d, dropped %d and %d", st.LogBytes, len(text), dropped, st.LogDropped)
	}
	if len(text) > limit || len(text) < limit/2 {
		t.Errorf("kept %d of at most %d", len(text), limit)
	}
	if tail := proc.Tail(h.StateDir(), 30); tail != "999997\n999998\n999999\n1000000" {
		t.Errorf("tail %q", tail)
	}
}

func TestGigabyteOfOutput(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("prints a gigabyte")
	}
	h := start(t, proc.Spec{Args: []string{"head", "-c", "1000000000", "/dev/zero"}, LogCap: 1 << 20})
	st := wait(t, h)
	if st.LogBytes != 1000000000 || !st.Success() {
		t.Errorf("state %+v", st)
	}
	var disk int64
	entries, _ := os.ReadDir(h.StateDir())
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		disk += info.Size()
	}
	if disk > 1<<20+16<<10 {
		t.Errorf("%d bytes on disk", disk)
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{Args: []string{os.Args[0], "test-hog"}, MemoryLimit: 100 << 20})
	st := wait(t, h)
	if st.Reason != proc.OutOfMemory || st.Signal != "SIGKILL" || st.MaxRSS < 100<<20 || st.MemoryControl != "poll" {
		t.Errorf("state %+v", st)
	}
	if got := st.Describe(); !strings.Contains(got, "limit of 100 MiB") {
		t.Error(got)
	}
}

func TestFilesReachTheCommand(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, proc.Spec{Args: sh(`echo through >&3; ls /proc/self/fd | wc -l`), Files: []*os.File{w}})
	_ = w.Close()
	data, err := io.ReadAll(r)
	if err != nil || string(data) != "through\n" {
		t.Errorf("got %q, %v", data, err)
	}
	wait(t, h)
	// 0, 1, 2, 3 and the one that ls opens: no descriptor of the shim leaks.
	if text, _ := readAll(t, h.StateDir()); strings.TrimSpace(text) != "5" {
		t.Errorf("descriptors in the command: %s", text)
	}
}

// TestAdoptAfterCrash kills the parent while its command runs; a new parent gets the exit status and the whole log.
func TestAdoptAfterCrash(t *testing.T) {
	t.Parallel()
	dir, fifo := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "go-on")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	killParent(t, dir, "survive", "/bin/sh", "-c", "echo before; cat "+fifo+"; echo after; exit 7")
	h, err := proc.Adopt(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := h.State(); err != nil || st.Phase != proc.Running {
		t.Fatalf("adopted %+v, %v", st, err)
	}
	if err := os.WriteFile(fifo, []byte("now\n"), 0); err != nil {
		t.Fatal(err)
	}
	st := wait(t, h)
	if st.Phase != proc.Exited || st.ExitCode != 7 {
		t.Errorf("state %+v", st)
	}
	if text, _ := readAll(t, dir); text != "before\nnow\nafter\n" {
		t.Errorf("log %q", text)
	}
	again, err := proc.Adopt(dir) // also when it is over
	if err != nil {
		t.Fatal(err)
	}
	if st := wait(t, again); st.ExitCode != 7 {
		t.Errorf("state %+v", st)
	}
}

// killParent starts a command from a process of its own and kills that one with SIGKILL. It returns the command's pid.
func killParent(t *testing.T, dir, how string, command ...string) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"test-parent", dir, how}, command...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, " <nil>\n") {
		t.Fatalf("parent said %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	pid, _ := strconv.Atoi(strings.Fields(line)[0])
	return pid
}

func TestDieWithParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	pid := killParent(t, dir, "die", "/bin/sh", "-c", "sleep 1000 & sleep 1000")
	h, err := proc.Adopt(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st := wait(t, h); st.Reason != proc.ParentGone {
		t.Errorf("state %+v", st)
	}
	gone(t, pid)
}

func TestLostWhenTheShimDies(t *testing.T) {
	t.Parallel()
	h := start(t, proc.Spec{Args: []string{"sleep", "1000"}})
	st, err := h.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.ShimPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := wait(t, h); st.Phase != proc.Lost || st.Reason != proc.ShimVanished {
		t.Errorf("state %+v", st)
	}
	if _, err := proc.Adopt(h.StateDir()); err != nil {
		t.Fatal(err)
	}
	gone(t, st.PID)
}

func TestAdoptNothing(t *testing.T) {
	t.Parallel()
	if _, err := proc.Adopt(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := proc.CleanEnv(nil, "PATH=/x", "A=1", "A=2")
	joined := strings.Join(got, "\n")
	if !strings.Contains(joined, "PATH=/x") || !strings.Contains(joined, "A=2") || strings.Contains(joined, "A=1") {
		t.Errorf("got %v", got)
	}
	for _, e := range got {
		if strings.HasPrefix(e, "MODELYARD_") || strings.HasPrefix(e, "AWS_") {
			t.Errorf("%s leaks", e)
		}
	}
}

func BenchmarkStartToExit(b *testing.B) {
	for b.Loop() {
		h, err := proc.Start(b.Context(), proc.Spec{Args: []string{"/bin/true"}, Env: proc.CleanEnv(nil), StateDir: filepath.Join(b.TempDir(), "s")})
		if err != nil {
			b.Fatal(err)
		}
		if st, err := h.Wait(b.Context()); err != nil || !st.Success() {
			b.Fatal(st, err)
		}
	}
}
