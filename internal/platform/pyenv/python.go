package pyenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Interpreter is a Python that was started and answered.
type Interpreter struct {
	Path     string
	Version  string // 3.11.7
	Major    int
	Minor    int
	Platform string // linux-x86_64
	Impl     string // cpython
}

// MinMinor is the oldest Python 3 that environments are made for.
const MinMinor = 9

const inspectProgram = `import sys, json, sysconfig
print(json.dumps({"Path": sys.executable, "Version": "%d.%d.%d" % sys.version_info[:3], "Major": sys.version_info[0],
  "Minor": sys.version_info[1], "Platform": sysconfig.get_platform(), "Impl": sys.implementation.name}))`

// Inspect starts an interpreter and asks it who it is.
func Inspect(ctx context.Context, path string) (Interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-c", inspectProgram)
	cmd.Env = toolEnv()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Interpreter{}, fmt.Errorf("%s does not run as a Python 3: %w", path, err)
	}
	var py Interpreter
	if err := json.Unmarshal(out, &py); err != nil {
		return Interpreter{}, fmt.Errorf("%s does not answer as a Python 3", path)
	}
	return py, nil
}

var versionText = regexp.MustCompile(`^(?:==|=|~=)?\s*(\d+)\.(\d+)(?:\.(\d+|\*))?$`)

// parseVersion reads "3.11", "3.11.7", "==3.11.*"; "" means any.
func parseVersion(text string) (major, minor int, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, 0, nil
	}
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, &InputError{Reason: fmt.Sprintf("the Python version %q is not understood", text), Hint: "write it as 3.11 or 3.11.7"}
	}
	major, _ = strconv.Atoi(m[1])
	minor, _ = strconv.Atoi(m[2])
	if major != 3 {
		return 0, 0, &InputError{Reason: fmt.Sprintf("Python %s can't be run", text), Hint: "Python 3 is needed"}
	}
	return major, minor, nil
}

// findPython picks an interpreter: the wanted minor version wherever it is installed, then one that uv can fetch, then
// the nearest that is there, with a warning.
func (m *Manager) findPython(ctx context.Context, wanted string, progress func(string)) (Interpreter, string, error) {
	_, minor, err := parseVersion(wanted)
	if err != nil {
		return Interpreter{}, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if py, ok := m.pythons[minor]; ok {
		if _, err := os.Stat(py.Path); err == nil {
			return py, m.warning(minor, py), nil
		}
		delete(m.pythons, minor)
	}
	py, err := m.search(ctx, minor, progress)
	if err != nil {
		return Interpreter{}, "", err
	}
	m.pythons[minor] = py
	return py, m.warning(minor, py), nil
}

func (m *Manager) warning(minor int, py Interpreter) string {
	if minor == 0 || py.Minor == minor {
		return ""
	}
	return fmt.Sprintf("Python 3.%d was asked for and is not on this machine: %s is used instead", minor, py.Version)
}

func (m *Manager) search(ctx context.Context, minor int, progress func(string)) (Interpreter, error) {
	candidates := candidatePaths()
	try := func(want int) (Interpreter, bool) {
		for _, path := range candidates[want] {
			if py, err := Inspect(ctx, path); err == nil && py.Major == 3 && py.Minor >= MinMinor && (want == 0 || py.Minor == want) {
				return py, true
			}
		}
		return Interpreter{}, false
	}
	if py, ok := try(minor); ok {
		return py, nil
	}
	if minor > 0 {
		if py, ok := try(0); ok && py.Minor == minor {
			return py, nil
		}
		if py, ok := m.uvFetch(ctx, minor, progress); ok {
			return py, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Interpreter{}, err
	}
	wanted := minor
	if wanted == 0 {
		wanted = 11
	}
	for _, near := range nearest(wanted) {
		if py, ok := try(near); ok {
			return py, nil
		}
	}
	if py, ok := try(0); ok {
		return py, nil
	}
	return Interpreter{}, &BuildError{
		Reason: fmt.Sprintf("no Python 3.%d or newer was found on this machine", MinMinor),
		Hint:   "install Python, or uv (which fetches one), or name an interpreter in MODELYARD_PYTHON",
	}
}

// uvFetch lets uv find or download an interpreter where its own settings allow that.
func (m *Manager) uvFetch(ctx context.Context, minor int, progress func(string)) (Interpreter, bool) {
	uv := m.uvPath()
	if uv == "" {
		return Interpreter{}, false
	}
	version := fmt.Sprintf("3.%d", minor)
	find := func(args ...string) (Interpreter, bool) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, uv, append([]string{"python", "find", "--no-project"}, args...)...)
		cmd.Env = toolEnv()
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			return Interpreter{}, false
		}
		py, err := Inspect(ctx, strings.TrimSpace(string(out)))
		return py, err == nil && py.Minor == minor
	}
	if py, ok := find("--no-python-downloads", version); ok {
		return py, true
	}
	progress("Python " + version + " is not installed; asking uv to fetch it")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if _, err := runTool(ctx, nil, progress, uv, "python", "install", version); err != nil {
		progress("uv could not fetch Python " + version)
		return Interpreter{}, false
	}
	return find("--no-python-downloads", version)
}

// nearest orders the other minor versions by their distance, newer first.
func nearest(minor int) []int {
	var order []int
	for d := 1; d < 12; d++ {
		order = append(order, minor+d)
		if minor-d >= MinMinor {
			order = append(order, minor-d)
		}
	}
	return order
}

var pyenvFolder = regexp.MustCompile(`^3\.(\d+)\.(\d+)$`)

// candidatePaths lists where interpreters may be, by minor version; 0 holds those of unknown version.
func candidatePaths() map[int][]string {
	found := map[int][]string{}
	add := func(minor int, path string) {
		if info, err := os.Stat(path); err == nil && !info.IsDir() && !slices.Contains(found[minor], path) {
			found[minor] = append(found[minor], path)
		}
	}
	home, _ := os.UserHomeDir()
	root := os.Getenv("PYENV_ROOT")
	if root == "" {
		root = filepath.Join(home, ".pyenv")
	}
	if entries, err := os.ReadDir(filepath.Join(root, "versions")); err == nil {
		for i := len(entries) - 1; i >= 0; i-- { // newest patch first, near enough
			if v := pyenvFolder.FindStringSubmatch(entries[i].Name()); v != nil {
				minor, _ := strconv.Atoi(v[1])
				add(minor, filepath.Join(root, "versions", entries[i].Name(), "bin", "python"))
			}
		}
	}
	dirs := filepath.SplitList(os.Getenv("PATH"))
	dirs = append(dirs, "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", filepath.Join(home, ".local", "bin"))
	shims := filepath.Join(root, "shims")
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) || dir == shims {
			continue
		}
		for minor := MinMinor; minor < 20; minor++ {
			add(minor, filepath.Join(dir, fmt.Sprintf("python3.%d", minor)))
		}
		add(0, filepath.Join(dir, "python3"))
		add(0, filepath.Join(dir, "python"))
	}
	add(0, filepath.Join(shims, "python3"))
	return found
}

// uvPath finds uv; empty when there is none or it is switched off.
func (m *Manager) uvPath() string {
	switch m.deps.UV {
	case "off":
		return ""
	case "":
	default:
		return m.deps.UV
	}
	home, _ := os.UserHomeDir()
	if path, err := exec.LookPath("uv"); err == nil || errors.Is(err, exec.ErrDot) {
		if filepath.IsAbs(path) {
			return path
		}
	}
	for _, path := range []string{filepath.Join(home, ".local/bin/uv"), filepath.Join(home, ".cargo/bin/uv"), "/opt/homebrew/bin/uv"} {
		if _, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	return ""
}
