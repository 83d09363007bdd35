package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Defaults and bounds of a [Spec].
const (
	DefaultGrace  = 30 * time.Second
	DefaultLogCap = 64 << 20
	MinLogCap     = 4 << 10
	startTimeout  = 20 * time.Second
)

// Spec says what to run.
type Spec struct {
	// Args is the command and its arguments. Nothing is given to a shell; for a user's shell string say [ShellArgs].
	Args []string
	// Dir is the folder to run in.
	Dir string
	// Env is the whole environment, "NAME=value" each; nothing is inherited. See [CleanEnv].
	Env []string
	// StateDir is a folder for this one command: spec, state, log. It is made when absent, and must not have been used.
	StateDir string
	// Timeout is the wall-clock limit; 0 means none. Then SIGTERM, Grace (0: 30 s), SIGKILL to the whole group.
	Timeout time.Duration
	Grace   time.Duration
	// MemoryLimit bounds the resident memory of the whole process tree in bytes; 0 means none. It is measured ten times
	// a second, so a tree can be over it for about that long before it is killed.
	MemoryLimit int64
	// LogCap bounds the disk space of the log in bytes; 0 means 64 MiB, the least is 4 KiB.
	LogCap int64
	// DieWithParent ends the command, and all it started, as soon as this process is gone. Without it the command
	// survives and can be taken over with [Adopt].
	DieWithParent bool
	// Files are given to the command as descriptors 3, 4...
	Files []*os.File
	// Shim starts the shim; empty means this very program with "internal shim".
	Shim []string
}

func (s *Spec) validate() error {
	switch {
	case len(s.Args) == 0 || s.Args[0] == "":
		return errors.New("no command was given: args needs at least the program")
	case s.StateDir == "":
		return errors.New("no state folder was given")
	case s.Timeout < 0 || s.Grace < 0 || s.MemoryLimit < 0 || s.LogCap < 0:
		return errors.New("timeout, grace, memory limit and log cap can't be negative")
	}
	for _, a := range append(append([]string{s.Dir}, s.Args...), s.Env...) {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("a NUL byte in %.40q: commands and environments can't hold one", a)
		}
	}
	if s.Dir != "" {
		if info, err := os.Stat(s.Dir); err != nil {
			return fmt.Errorf("the folder to run in: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("the folder to run in: %s is not a folder", s.Dir)
		}
	}
	return nil
}

// ErrInUse: the state folder belongs to another command.
var ErrInUse = errors.New("the state folder was used for another command")

// Handle is a command that was started or adopted. Its methods may be called from many goroutines.
type Handle struct {
	dir   string
	pid   int
	grace time.Duration
	done  chan struct{} // closed when the shim has ended
	alive *os.File      // the write end whose closing ends a child with DieWithParent
}

// Start starts a command and returns once it runs. ctx bounds the starting only: the command goes on when ctx ends.
// A command that can't be started (not found, not executable) is an error, recorded in the state folder as well.
func Start(ctx context.Context, spec Spec) (*Handle, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	stateDir, err := filepath.Abs(spec.StateDir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	lock, err := acquireLock(stateDir)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: it is still running in %s", ErrInUse, stateDir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the state folder: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if _, err := os.Stat(filepath.Join(stateDir, specFile)); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrInUse, stateDir)
	}
	wire := shimSpec{
		Args: spec.Args, Dir: spec.Dir, Timeout: spec.Timeout, Grace: spec.Grace, MemoryLimit: spec.MemoryLimit,
		LogCap: max(spec.LogCap, MinLogCap), DieWithParent: spec.DieWithParent, Files: len(spec.Files),
	}
	if wire.Grace == 0 {
		wire.Grace = DefaultGrace
	}
	if spec.LogCap == 0 {
		wire.LogCap = DefaultLogCap
	}
	if err := writeJSON(filepath.Join(stateDir, specFile), wire, false); err != nil {
		return nil, fmt.Errorf("write the command's spec: %w", err)
	}
	h := &Handle{dir: stateDir, grace: wire.Grace, done: make(chan struct{})}
	if err := h.launch(ctx, spec, lock); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Handle) launch(ctx context.Context, spec Spec, lock *os.File) error {
	path, err := self()
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	args := []string{"modelyard", "internal", "shim"}
	if len(spec.Shim) > 0 {
		path, args = spec.Shim[0], spec.Shim
	}
	log, err := os.OpenFile(filepath.Join(h.dir, shimLogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	report, reportW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = report.Close() }()
	parent, parentW, err := os.Pipe()
	if err != nil {
		_ = reportW.Close()
		return err
	}
	cmd := exec.Command(path)
	cmd.Args = append(args[:len(args):len(args)], h.dir)
	cmd.Env = spec.Env
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = append([]*os.File{reportW, lock, parent}, spec.Files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_, _ = reportW.Close(), parent.Close()
	if err != nil {
		_ = parentW.Close()
		return fmt.Errorf("start the supervisor of %s: %w", spec.Args[0], err)
	}
	if spec.DieWithParent {
		h.alive = parentW
	} else {
		_ = parentW.Close()
	}
	go func() { // ends with the shim
		_ = cmd.Wait()
		if h.alive != nil {
			_ = h.alive.Close()
		}
		h.watch() // a process that we start at this moment has a copy of the lock until it runs its own program
	}()
	msg, err := readReport(ctx, report)
	if err != nil {
		_ = cmd.Process.Signal(syscall.SIGUSR1)
		return fmt.Errorf("start %s: %w%s", spec.Args[0], err, shimComplaint(h.dir))
	}
	if msg.Error != "" {
		<-h.done
		return errors.New(msg.Error)
	}
	h.pid = msg.PID
	return nil
}

func readReport(ctx context.Context, r *os.File) (shimReport, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var msg shimReport
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		if ctx.Err() != nil {
			return msg, fmt.Errorf("its supervisor did not answer: %w", ctx.Err())
		}
		return msg, fmt.Errorf("its supervisor ended early: %w", err)
	}
	return msg, json.Unmarshal(line, &msg)
}

func shimComplaint(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, shimLogFile))
	if err != nil || len(data) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(data[max(0, len(data)-400):]))
}

// Adopt takes over a command that another process started, running or not. fs.ErrNotExist: there was none.
// Wait and State tell how it stands: Lost when it is not running and left no exit. What a lost shim left running
// is ended here, so that it can be started again safely.
func Adopt(stateDir string) (*Handle, error) {
	stateDir, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, err
	}
	st, err := ReadState(stateDir)
	if err != nil {
		return nil, err
	}
	h := &Handle{dir: stateDir, pid: st.PID, grace: DefaultGrace, done: make(chan struct{})}
	var spec shimSpec
	if data, err := os.ReadFile(filepath.Join(stateDir, specFile)); err == nil && json.Unmarshal(data, &spec) == nil {
		h.grace = spec.Grace
	}
	if st.Phase == Lost && st.PID > 0 && st.Birth != "" && birth(st.PID) == st.Birth {
		_ = syscall.Kill(-st.PID, syscall.SIGKILL)
	}
	if st.Ended() {
		close(h.done)
		return h, nil
	}
	go h.watch() // ends with the shim
	return h, nil
}

// watch closes done when the lock of the state folder is free.
func (h *Handle) watch() {
	defer close(h.done)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		st, err := ReadState(h.dir)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && st.Ended()) {
			return
		}
		if err == nil && st.ShimPID > 0 && birth(st.ShimPID) == st.ShimBirth {
			awaitExit(context.Background(), st.ShimPID)
		}
		<-ticker.C
	}
}

// PID is the process id of the command, 0 when it is not known.
func (h *Handle) PID() int { return h.pid }

// StateDir is the folder of the command's state and log.
func (h *Handle) StateDir() string { return h.dir }

// Done is closed when the command and its shim have ended.
func (h *Handle) Done() <-chan struct{} { return h.done }

// State returns what is known now.
func (h *Handle) State() (State, error) { return ReadState(h.dir) }

// Wait returns the final state, or ctx's error when that comes first; the command goes on then.
func (h *Handle) Wait(ctx context.Context) (State, error) {
	select {
	case <-h.done:
		return h.State()
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
}

// Stop asks the command to end (SIGTERM to its group, SIGKILL after the grace) and waits until it has.
func (h *Handle) Stop(ctx context.Context) (State, error) {
	if err := h.signal(syscall.SIGTERM); err != nil {
		return State{}, err
	}
	return h.Wait(ctx)
}

// Kill ends the command and all it started at once, and does not wait.
func (h *Handle) Kill() error { return h.signal(syscall.SIGUSR1) }

// signal tells the shim, which alone can signal the command without the risk of a reused process id.
func (h *Handle) signal(sig syscall.Signal) error {
	st, err := h.State()
	if err != nil || st.Ended() {
		return err
	}
	if st.ShimPID == 0 {
		return errors.New("the command is still starting: try again in a moment")
	}
	if birth(st.ShimPID) != st.ShimBirth {
		return nil // it ended just now
	}
	if err := syscall.Kill(st.ShimPID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal the supervisor of the command: %w", err)
	}
	return nil
}

// TailLog reads at most 256 KiB of the output from an offset; see [ReadLog].
func (h *Handle) TailLog(from int64) (LogChunk, error) { return ReadLog(h.dir, from, 0) }

// Follow calls fn with the output from an offset on as it comes, until the command has ended and all was read, fn
// fails, or ctx is done. It returns the offset behind the last byte that fn took.
func (h *Handle) Follow(ctx context.Context, from int64, fn func(LogChunk) error) (int64, error) {
	ticker := time.NewTicker(150 * time.Millisecond)
	defer ticker.Stop()
	ended := false
	for {
		chunk, err := h.TailLog(from)
		if err != nil {
			return from, err
		}
		if len(chunk.Data) > 0 {
			if err := fn(chunk); err != nil {
				return from, err
			}
			from = chunk.Next
			continue
		}
		if ended {
			return from, nil
		}
		select {
		case <-ctx.Done():
			return from, ctx.Err()
		case <-h.done:
			ended = true
		case <-ticker.C:
		}
	}
}

// ShellArgs wraps a shell string that a user wrote, with errors in it ending it.
func ShellArgs(line string) []string { return []string{"/bin/sh", "-e", "-c", line} }

// envNames are what a command may see of our own environment: where things are and how to reach the network, no secrets.
var envNames = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY",
	"NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
	"CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
}

// CleanEnv is the part of this process's environment that commands may see (paths, locale, certificates, proxies,
// devices, variables that start with one of prefixes), followed by extra "NAME=value" entries, which win.
func CleanEnv(prefixes []string, extra ...string) []string {
	return filterEnv(os.Environ(), prefixes, extra)
}

func filterEnv(all, prefixes, extra []string) []string {
	values := map[string]string{}
	var order []string
	set := func(entry string) {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			return
		}
		if _, seen := values[name]; !seen {
			order = append(order, name)
		}
		values[name] = value
	}
	for _, entry := range all {
		name, _, _ := strings.Cut(entry, "=")
		if allowed(name, prefixes) {
			set(entry)
		}
	}
	for _, entry := range extra {
		set(entry)
	}
	env := make([]string, 0, len(order))
	for _, name := range order {
		env = append(env, name+"="+values[name])
	}
	return env
}

func allowed(name string, prefixes []string) bool {
	for _, known := range envNames {
		if name == known {
			return true
		}
	}
	for _, p := range append([]string{"LC_"}, prefixes...) {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
