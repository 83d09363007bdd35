package pyenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Deps are what a [Manager] needs.
type Deps struct {
	// Dir is the folder the environments are kept in. It must not be moved: environments hold absolute paths.
	Dir string
	// UV is the path of uv; empty looks for it, "off" uses venv and pip.
	UV string
	// Interpreter, when set, is used as it is for everything and nothing is installed (MODELYARD_PYTHON).
	Interpreter string
	// Timeout bounds one build; 0 means 30 minutes.
	Timeout time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Manager makes and keeps environments. It may be used by many goroutines.
type Manager struct {
	deps    Deps
	mu      sync.Mutex
	pythons map[int]Interpreter // by wanted minor version
}

// New returns a manager; it touches no file before the first use.
func New(deps Deps) *Manager {
	if deps.Timeout <= 0 {
		deps.Timeout = 30 * time.Minute
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Manager{deps: deps, pythons: map[int]Interpreter{}}
}

// Spec is the environment that is wanted.
type Spec struct {
	// Python is the wanted version, "3.11" or "3.11.7" (only the minor version counts); empty takes what is there.
	Python string
	// Requirements are the lines of a requirements file, as the Read functions of this package give them.
	Requirements []string
	// Interpreter, when set, is used as it is and nothing is installed.
	Interpreter string
}

// Add appends a requirement unless one for the same package is there.
func (s *Spec) Add(requirement string) {
	name := PackageName(requirement)
	if !slices.ContainsFunc(s.Requirements, func(r string) bool { return PackageName(r) == name }) {
		s.Requirements = append(s.Requirements, requirement)
	}
}

// Env is an environment that is ready for use.
type Env struct {
	Key      string        `json:"key"`
	Python   string        `json:"python"`   // the path of its interpreter
	Version  string        `json:"version"`  // 3.11.7
	Dir      string        `json:"dir"`      // empty when an interpreter is used as it is
	Lock     []string      `json:"lock"`     // what is installed, name==version, sorted
	Tool     string        `json:"tool"`     // uv, pip or none
	Warnings []string      `json:"warnings"` // for people: what differs from what was asked for
	BuiltAt  time.Time     `json:"built_at"`
	Took     time.Duration `json:"took_ns"` // of the build
	Asked    []string      `json:"asked"`   // the requirements
	Reused   bool          `json:"-"`       // true when it was there already
}

// Bin is the folder of the environment's programs, for PATH.
func (e Env) Bin() string { return filepath.Dir(e.Python) }

const readyFile = "modelyard-ready.json"

// formatVersion changes the keys when environments are built differently.
const formatVersion = "1"

// plan is a Spec with everything decided that the key depends on.
type plan struct {
	spec    Spec
	py      Interpreter
	warning string
	tool    string
	key     string
	dir     string
	lines   []string
}

func (m *Manager) plan(ctx context.Context, spec Spec, progress func(string)) (plan, error) {
	p := plan{spec: spec, tool: "pip"}
	for _, r := range spec.Requirements {
		line := strings.TrimSpace(r)
		if strings.ContainsAny(line, "\n\r\x00") {
			return p, &InputError{Reason: fmt.Sprintf("the requirement %.60q holds a line break", r), Hint: "give one requirement a line"}
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			p.lines = append(p.lines, line)
		}
	}
	if len(p.lines) > maxRequirements {
		return p, &InputError{Reason: fmt.Sprintf("%d requirements, at most %d are allowed", len(p.lines), maxRequirements)}
	}
	var err error
	if p.py, p.warning, err = m.findPython(ctx, spec.Python, progress); err != nil {
		return p, err
	}
	if m.uvPath() != "" {
		p.tool = "uv"
	}
	sorted := slices.Clone(p.lines)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	p.key = digest([]byte(strings.Join(append([]string{
		formatVersion, p.py.Impl, p.py.Version, p.py.Platform, runtime.GOOS, runtime.GOARCH, p.tool,
	}, sorted...), "\n")))
	root, err := filepath.Abs(m.deps.Dir)
	p.dir = filepath.Join(root, p.key)
	return p, err
}

// Ensure returns the environment for spec, building it when it is not there yet. Lines of what happens go to progress,
// which may be nil. Errors: *InputError (the description is at fault), *BuildError (it can't be built here), ctx's.
func (m *Manager) Ensure(ctx context.Context, spec Spec, progress func(string)) (Env, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if path := m.interpreter(spec); path != "" {
		return m.external(ctx, path, spec)
	}
	p, err := m.plan(ctx, spec, progress)
	if err != nil {
		return Env{}, err
	}
	if env, ok := m.ready(p.dir); ok {
		return env, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.deps.Timeout, fmt.Errorf("building the environment took longer than %v", m.deps.Timeout))
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(p.dir), 0o700); err != nil {
		return Env{}, &BuildError{Reason: "the folder of the environments can't be made", Err: err}
	}
	lock, err := m.lock(ctx, p.dir, progress)
	if err != nil {
		return Env{}, err
	}
	defer func() { _ = lock.Close() }()
	if env, ok := m.ready(p.dir); ok { // somebody else built it while we waited
		return env, nil
	}
	env, err := m.build(ctx, p, lock, progress)
	if err != nil {
		_ = os.RemoveAll(p.dir)
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("build a Python environment: %w", cause)
		}
		return Env{}, err
	}
	return env, nil
}

// Find returns the environment for spec when it is there already; it installs nothing.
func (m *Manager) Find(ctx context.Context, spec Spec) (Env, bool) {
	if path := m.interpreter(spec); path != "" {
		env, err := m.external(ctx, path, spec)
		return env, err == nil
	}
	p, err := m.plan(ctx, spec, func(string) {})
	if err != nil {
		return Env{}, false
	}
	return m.ready(p.dir)
}

func (m *Manager) interpreter(spec Spec) string {
	if spec.Interpreter != "" {
		return spec.Interpreter
	}
	return m.deps.Interpreter
}

// ready reads the marker of a finished environment and notes its use.
func (m *Manager) ready(dir string) (Env, bool) {
	path := filepath.Join(dir, readyFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Env{}, false
	}
	var env Env
	if err := json.Unmarshal(data, &env); err != nil || env.Dir != dir {
		return Env{}, false
	}
	if _, err := os.Stat(env.Python); err != nil { // its base interpreter was removed
		return Env{}, false
	}
	now := m.deps.Now()
	_ = os.Chtimes(path, now, now)
	env.Reused = true
	return env, true
}

// lock waits until nobody else builds or removes the environment.
func (m *Manager) lock(ctx context.Context, dir string, progress func(string)) (*os.File, error) {
	f, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &BuildError{Reason: "the environment can't be locked", Err: err}
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, &BuildError{Reason: "the environment can't be locked", Err: err}
		}
		if first {
			progress("waiting for another build of the same environment")
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("wait for another build of the same environment: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func (m *Manager) build(ctx context.Context, p plan, lock *os.File, progress func(string)) (Env, error) {
	begin := m.deps.Now()
	if err := os.RemoveAll(p.dir); err != nil {
		return Env{}, &BuildError{Reason: "what is left of an earlier build can't be removed", Err: err}
	}
	env := Env{
		Key: p.key, Python: filepath.Join(p.dir, "bin", "python"), Version: p.py.Version, Dir: p.dir, Tool: p.tool,
		Asked: p.lines, Lock: []string{}, Warnings: []string{},
	}
	if p.warning != "" {
		env.Warnings = append(env.Warnings, p.warning)
		progress("warning: " + p.warning)
	}
	progress(fmt.Sprintf("making a Python %s environment with %s", p.py.Version, p.tool))
	requirements := filepath.Join(p.dir, "modelyard-requirements.txt")
	run := func(args ...string) (string, error) { return runTool(ctx, lock, progress, args...) }
	create, install := pipCommands(p, env.Python, requirements)
	if p.tool == "uv" {
		create, install = uvCommands(m.uvPath(), p, env.Python, requirements)
	}
	if _, err := run(create...); err != nil {
		return Env{}, err
	}
	if err := os.WriteFile(requirements, []byte(requirementsText(p.lines)), 0o600); err != nil {
		return Env{}, &BuildError{Reason: "the requirements can't be written", Err: err}
	}
	if len(p.lines) > 0 {
		if _, err := run(install...); err != nil {
			return Env{}, err
		}
	}
	var err error
	if env.Lock, err = installed(ctx, env.Python); err != nil {
		return Env{}, err
	}
	env.BuiltAt = m.deps.Now().UTC()
	env.Took = m.deps.Now().Sub(begin)
	return env, writeReady(env)
}

func uvCommands(uv string, p plan, python, requirements string) (create, install []string) {
	create = []string{uv, "venv", "--no-project", "--no-config", "--python", p.py.Path, p.dir}
	install = []string{uv, "pip", "install", "--no-progress", "--compile-bytecode", "--python", python, "-r", requirements}
	return create, install
}

func pipCommands(p plan, python, requirements string) (create, install []string) {
	create = []string{p.py.Path, "-m", "venv", p.dir}
	install = []string{python, "-m", "pip", "install", "--no-input", "--progress-bar", "off", "-r", requirements}
	return create, install
}

const listProgram = `import importlib.metadata as m
print("\n".join(sorted({d.metadata["Name"] + "==" + d.version for d in m.distributions() if d.metadata["Name"]}, key=str.lower)))`

// installed lists what an interpreter can import, name==version.
func installed(ctx context.Context, python string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-I", "-c", listProgram)
	cmd.Env = toolEnv()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, &BuildError{Reason: "the packages of " + python + " can't be listed", Err: err}
	}
	return freezeLines(string(out)), nil
}

func freezeLines(text string) []string {
	lines := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.Contains(line, "==") {
			lines = append(lines, line)
		}
	}
	return lines
}

// requirementsText leaves out our digests of local files.
func requirementsText(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " #sha256=")
		b.WriteString(line + "\n")
	}
	return b.String()
}

func writeReady(env Env) error {
	data, err := json.MarshalIndent(env, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(env.Dir, readyFile)
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return &BuildError{Reason: "the environment can't be marked ready", Err: err}
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return &BuildError{Reason: "the environment can't be marked ready", Err: err}
	}
	return nil
}

// external uses an interpreter as it is, after a look whether it has what is asked for.
func (m *Manager) external(ctx context.Context, path string, spec Spec) (Env, error) {
	py, err := Inspect(ctx, path)
	if err != nil {
		return Env{}, &BuildError{Reason: "the interpreter that was named can't be used", Err: err, Hint: "Check MODELYARD_PYTHON or the interpreter in the step."}
	}
	packages, err := installed(ctx, path)
	if err != nil {
		return Env{}, err
	}
	env := Env{
		Key: "external-" + digest([]byte(path+"\n"+py.Version+"\n"+strings.Join(packages, "\n"))), Python: path, Version: py.Version, Tool: "none",
		Lock: packages, Warnings: []string{}, Asked: spec.Requirements, Reused: true,
	}
	have := map[string]string{}
	for _, line := range env.Lock {
		name, version, _ := strings.Cut(line, "==")
		have[PackageName(name)] = version
	}
	for _, r := range spec.Requirements {
		name := PackageName(r)
		version, ok := have[name]
		switch {
		case name == "":
		case !ok:
			env.Warnings = append(env.Warnings, fmt.Sprintf("%s is asked for and %s does not have it", r, path))
		case pinned(r) != "" && pinned(r) != version:
			env.Warnings = append(env.Warnings, fmt.Sprintf("%s is asked for and %s has %s", r, path, version))
		}
	}
	if _, minor, err := parseVersion(spec.Python); err == nil && minor > 0 && minor != py.Minor {
		env.Warnings = append(env.Warnings, fmt.Sprintf("Python 3.%d is asked for and %s is %s", minor, path, py.Version))
	}
	return env, nil
}

func pinned(requirement string) string {
	_, version, ok := strings.Cut(requirement, "==")
	if !ok || strings.ContainsAny(version, "*,;") {
		return ""
	}
	return strings.TrimSpace(version)
}

// Prune removes environments that were not used for olderThan, and what killed builds left. It returns how many.
func (m *Manager) Prune(ctx context.Context, olderThan time.Duration) (int, error) {
	entries, err := os.ReadDir(m.deps.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	before := m.deps.Now().Add(-olderThan)
	removed := 0
	var failed []error
	for _, e := range entries {
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
		if !e.IsDir() {
			continue
		}
		ok, err := m.pruneOne(filepath.Join(m.deps.Dir, e.Name()), before)
		if err != nil {
			failed = append(failed, err)
		} else if ok {
			removed++
		}
	}
	return removed, errors.Join(failed...)
}

func (m *Manager) pruneOne(dir string, before time.Time) (bool, error) {
	f, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, nil // it is being built
	}
	info, err := os.Stat(filepath.Join(dir, readyFile))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(dir)
	}
	if err != nil || info.ModTime().After(before) {
		return false, nil
	}
	// The marker goes first: a half removed environment must not look ready.
	if err := os.Remove(filepath.Join(dir, readyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.RemoveAll(dir)
}
