package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The files that a shim inherits beyond the standard three.
const (
	fdReport = 3 + iota // to the parent: one line of JSON when the command runs or can't
	fdLock              // the held lock of the state folder
	fdParent            // closed when the parent ends; /dev/null when that does not matter
	fdExtra             // the first of Spec.Files
)

const (
	memoryPoll   = 100 * time.Millisecond
	drainTimeout = 5 * time.Second
)

// shimSpec is what the parent leaves for the shim in spec.json. The environment is passed as the shim's own, so that
// secrets in it are never written to disk.
type shimSpec struct {
	Args          []string      `json:"args"`
	Dir           string        `json:"dir"`
	Timeout       time.Duration `json:"timeout_ns"`
	Grace         time.Duration `json:"grace_ns"`
	MemoryLimit   int64         `json:"memory_limit"`
	LogCap        int64         `json:"log_cap"`
	DieWithParent bool          `json:"die_with_parent"`
	Files         int           `json:"files"`
}

type shimReport struct {
	PID   int    `json:"pid"`
	Error string `json:"error,omitempty"`
}

// ShimMain is the program of the shim: `modelyard internal shim STATEDIR` calls it with [STATEDIR] and exits with what
// it returns. It must run in the main goroutine. It is for this package's own use: [Start] starts it.
func ShimMain(args []string) int {
	runtime.LockOSThread() // the command dies with this thread, so the thread must live as long as the shim
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: internal shim STATEDIR (started by the server, not by hand)")
		return 2
	}
	s := &shim{dir: args[0], report: os.NewFile(fdReport, "report")}
	keepOpenFilesHere()
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, "shim:", err)
		return 1
	}
	return 0
}

// keepOpenFilesHere marks every descriptor that we were given, also by accident, so that the command does not get it.
func keepOpenFilesHere() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		for fd := fdReport; fd < 256; fd++ {
			unix.CloseOnExec(fd)
		}
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= fdReport {
			unix.CloseOnExec(fd)
		}
	}
}

type shim struct {
	dir     string
	spec    shimSpec
	state   State
	report  *os.File
	reserve *os.File
	log     *logWriter
	reason  Reason
	peak    int64
}

type ending struct {
	status syscall.WaitStatus
	usage  syscall.Rusage
}

func (s *shim) run() error {
	data, err := os.ReadFile(filepath.Join(s.dir, specFile))
	if err == nil {
		err = json.Unmarshal(data, &s.spec)
	}
	if err != nil {
		s.tell(0, err)
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	adoptOrphans()

	s.state = State{
		Phase: Starting, ShimPID: os.Getpid(), ShimBirth: birth(os.Getpid()), StartedAt: time.Now().UTC(),
		MemoryLimit: s.spec.MemoryLimit, MemoryControl: "none",
	}
	if s.spec.MemoryLimit > 0 {
		s.state.MemoryControl = "poll"
	}
	output, err := s.start()
	if err != nil {
		s.state.Phase, s.state.Reason, s.state.Error, s.state.ExitCode = Exited, NotStarted, err.Error(), 127
		s.state.EndedAt = time.Now().UTC()
		werr := writeJSON(filepath.Join(s.dir, stateFile), s.state, true)
		s.tell(0, err)
		return werr
	}
	ended := make(chan ending, 1)
	go reap(s.state.PID, ended)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.CopyBuffer(struct{ io.Writer }{s.log}, struct{ io.Reader }{output}, make([]byte, 64<<10))
	}()
	s.tell(s.state.PID, nil)

	end := s.supervise(signals, ended)
	s.sweep()
	select {
	case <-drained:
	case <-time.After(drainTimeout): // somebody outside our reach holds the pipe
		_ = output.Close()
		<-drained
	}
	_ = s.log.Close()
	return s.finish(end)
}

// start opens everything that the end will need, starts the command and records it.
func (s *shim) start() (output *os.File, err error) {
	if s.log, err = newLogWriter(s.dir, s.spec.LogCap); err != nil {
		return nil, err
	}
	s.reserve, err = os.OpenFile(filepath.Join(s.dir, reserveFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = s.reserve.WriteString(strings.Repeat(" ", reserveBytes)); err != nil {
		return nil, err
	}
	path, err := lookup(s.spec.Args[0], s.spec.Dir)
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = write.Close() }()
	files := []uintptr{null.Fd(), write.Fd(), write.Fd()}
	for i := range s.spec.Files {
		files = append(files, uintptr(fdExtra+i))
	}
	pid, err := syscall.ForkExec(path, s.spec.Args, &syscall.ProcAttr{
		Dir: s.spec.Dir, Env: os.Environ(), Files: files, Sys: childAttr(),
	})
	if err != nil {
		_ = read.Close()
		return nil, fmt.Errorf("start %s: %w", s.spec.Args[0], err)
	}
	for i := range s.spec.Files {
		_ = unix.Close(fdExtra + i)
	}
	preferAsVictim(pid)
	s.state.Phase, s.state.PID, s.state.Birth = Running, pid, birth(pid)
	if err := writeJSON(filepath.Join(s.dir, stateFile), s.state, false); err != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		_ = read.Close()
		return nil, fmt.Errorf("record the start: %w", err)
	}
	return read, nil
}

// lookup finds the program: by PATH, or relative to the folder that it will run in.
func lookup(name, dir string) (string, error) {
	if strings.ContainsRune(name, '/') && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("command %q was not found in PATH (%s)", name, os.Getenv("PATH"))
	}
	return path, err
}

// reap waits for the command, and for orphans that were given to us, until there is nobody left to wait for.
func reap(pid int, ended chan<- ending) {
	for {
		var e ending
		got, err := syscall.Wait4(reapTarget(pid), &e.status, 0, &e.usage)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return
		case got == pid:
			ended <- e
			if reapTarget(pid) == pid {
				return
			}
		}
	}
}

// supervise enforces the limits until the command has ended.
func (s *shim) supervise(signals <-chan os.Signal, ended <-chan ending) ending {
	var timeout, grace, poll <-chan time.Time
	if s.spec.Timeout > 0 {
		timeout = time.After(s.spec.Timeout)
	}
	if s.spec.MemoryLimit > 0 {
		ticker := time.NewTicker(memoryPoll)
		defer ticker.Stop()
		poll = ticker.C
	}
	stop := func(why Reason) {
		if s.reason == "" {
			s.reason = why
		}
		if grace == nil {
			grace = time.After(s.spec.Grace)
			s.signal(syscall.SIGTERM)
		}
	}
	kill := func(why Reason) {
		if s.reason == "" {
			s.reason = why
		}
		s.signal(syscall.SIGKILL)
	}
	gone := s.parentGone()
	for {
		select {
		case end := <-ended:
			return end
		case <-timeout:
			stop(TimedOut)
		case <-grace:
			kill(Stopped)
		case <-gone:
			gone = nil
			kill(ParentGone)
		case sig := <-signals:
			if sig == syscall.SIGUSR1 {
				kill(Killed)
			} else {
				stop(Stopped)
			}
		case <-poll:
			rss := treeRSS(os.Getpid(), s.state.PID)
			s.peak = max(s.peak, rss)
			if rss > s.spec.MemoryLimit {
				kill(OutOfMemory)
			}
		}
	}
}

func (s *shim) parentGone() <-chan struct{} {
	if !s.spec.DieWithParent {
		return nil
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, os.NewFile(fdParent, "parent"))
	}()
	return gone
}

func (s *shim) signal(sig syscall.Signal) { _ = syscall.Kill(-s.state.PID, sig) }

// sweep ends what the command left running, also in sessions of its own.
func (s *shim) sweep() {
	s.signal(syscall.SIGKILL)
	for range 20 { // a process may fork while we look
		left := descendants(os.Getpid())
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *shim) finish(end ending) error {
	st := &s.state
	st.Phase, st.EndedAt, st.Reason = Exited, time.Now().UTC(), s.reason
	if end.status.Signaled() {
		st.Signal = unix.SignalName(end.status.Signal())
		st.ExitCode = 128 + int(end.status.Signal())
	} else {
		st.ExitCode = end.status.ExitStatus()
	}
	st.MaxRSS = max(s.peak, int64(end.usage.Maxrss)*rssUnit)
	st.CPUUser = time.Duration(end.usage.Utime.Nano())
	st.CPUSystem = time.Duration(end.usage.Stime.Nano())
	st.LogBytes, st.LogDropped = s.log.total, s.log.dropped
	err := writeJSON(filepath.Join(s.dir, stateFile), st, true)
	if err == nil {
		_ = os.Remove(filepath.Join(s.dir, reserveFile))
		return nil
	}
	data, merr := json.Marshal(st)
	if merr != nil {
		return merr
	}
	if _, werr := s.reserve.WriteAt(data, 0); werr != nil {
		return errors.Join(err, werr)
	}
	return s.reserve.Sync()
}

// tell answers the parent, if it is still there.
func (s *shim) tell(pid int, err error) {
	msg := shimReport{PID: pid}
	if err != nil {
		msg.Error = err.Error()
	}
	_ = json.NewEncoder(s.report).Encode(msg)
	_ = s.report.Close()
}
