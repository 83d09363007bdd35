package pyenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/proc"
)

// BuildError says why an environment could not be made.
type BuildError struct {
	Reason  string
	Command string // the tool's command line, empty when none ran
	Tail    string // the end of what the tool said
	Hint    string // the next step
	Err     error
}

func (e *BuildError) Error() string {
	text := e.Reason
	if e.Tail != "" {
		text += ":\n" + e.Tail
	} else if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += "\n" + e.Hint
	}
	return text
}

// Unwrap gives the edges a kind to map: the state of this machine does not allow it.
func (e *BuildError) Unwrap() error {
	return errs.E(errs.Precondition, "pyenv.ensure", e.summary(), e.Err).WithHint("%s", e.Hint)
}

func (e *BuildError) summary() string {
	if e.Tail == "" {
		return e.Reason
	}
	return e.Reason + ":\n" + e.Tail
}

const tailBytes = 4 << 10

// toolEnv is what pip, uv and set-up code see of our environment.
func toolEnv() []string {
	return proc.CleanEnv([]string{"PIP_", "UV_", "PYENV_"}, "PIP_NO_INPUT=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "NO_COLOR=1", "PYTHONUTF8=1")
}

// runTool runs a tool to its end, or until ctx is done, and returns the end of its output. Its lines go to progress.
// The tool inherits lock, so that the lock outlives us when we are killed.
func runTool(ctx context.Context, lock *os.File, progress func(string), args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = toolEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 3 * time.Second
	if lock != nil {
		cmd.ExtraFiles = []*os.File{lock}
	}
	out := &lineWriter{progress: progress}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.flush()
	if err == nil {
		return out.tail(), nil
	}
	if ctx.Err() != nil {
		return out.tail(), ctx.Err()
	}
	tail := out.tail()
	return tail, &BuildError{
		Reason:  fmt.Sprintf("%s failed", describe(args)),
		Command: strings.Join(args, " "), Tail: tail, Hint: hint(tail), Err: err,
	}
}

func describe(args []string) string {
	name := filepath.Base(args[0])
	if strings.HasPrefix(name, "python") && len(args) > 2 && args[1] == "-m" {
		name, args = args[2], args[2:]
	}
	for _, a := range args[1:] {
		if strings.HasPrefix(a, "-") || strings.HasPrefix(a, "/") {
			break
		}
		name += " " + a
	}
	return name
}

// hint names the next step for the common causes.
func hint(output string) string {
	text := strings.ToLower(output)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("no space left", "disk quota"):
		return "Free some disk space and try again."
	case has("dns error", "could not connect", "connection refused", "name resolution", "failed to establish a new connection", "timed out", "network is unreachable"):
		return "The package index could not be reached: check the network, or name your own index in UV_INDEX_URL and PIP_INDEX_URL."
	case has("401", "403 forbidden", "unauthorized"):
		return "The package index refused access: check the credentials in UV_INDEX_URL, PIP_INDEX_URL or ~/.netrc."
	case has("no matching distribution", "not found in the package registry", "no version of", "there is no version", "there are no versions", "no solution found"):
		return "Check the names and versions in the requirements; a package may lack a version for this Python or platform."
	case has("failed to build", "build backend", "error: command", "metadata-generation-failed", "failed building wheel"):
		return "A package has no wheel for this Python and platform and could not be compiled: choose a version with a wheel, another Python, or install the compiler it names."
	case has("no module named venv", "ensurepip is not available"):
		return "Install Python's venv module (on Debian: apt install python3-venv), or uv."
	}
	return "Read the tool's output above; the requirements can be tried by hand with the same command."
}

// lineWriter hands over whole lines and keeps the end of what passed.
type lineWriter struct {
	mu       sync.Mutex
	progress func(string)
	part     []byte
	kept     []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...)
	if len(w.kept) > 2*tailBytes {
		w.kept = append(w.kept[:0], w.kept[len(w.kept)-tailBytes:]...)
	}
	w.part = append(w.part, p...)
	for {
		i := bytes.IndexAny(w.part, "\r\n")
		if i < 0 {
			break
		}
		w.emit(w.part[:i])
		w.part = w.part[i+1:]
	}
	if len(w.part) > tailBytes {
		w.emit(w.part)
		w.part = nil
	}
	return len(p), nil
}

func (w *lineWriter) emit(line []byte) {
	if text := strings.TrimRight(strings.ToValidUTF8(string(line), "\ufffd"), " \t"); text != "" && w.progress != nil {
		w.progress(text)
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit(w.part)
	w.part = nil
}

func (w *lineWriter) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.kept[max(0, len(w.kept)-tailBytes):]
	return strings.TrimSpace(strings.ToValidUTF8(string(kept), "\ufffd"))
}
