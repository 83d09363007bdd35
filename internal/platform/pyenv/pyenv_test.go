package pyenv_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadRequirements(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "more.txt", "scipy>=1 # for the maths\n")
	path := write(t, dir, "requirements.txt", "\ufeff# comment\n--index-url https://example.org/simple\npandas==2.3.3 \\\n  ; python_version > '3.8'\n-r more.txt\n\nnumpy\n")
	got, err := pyenv.ReadRequirements(path)
	want := []string{"--index-url https://example.org/simple", "pandas==2.3.3   ; python_version > '3.8'", "scipy>=1", "numpy"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestRequirementFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "loop.txt", "-r loop.txt\n")
	for text, want := range map[string]string{
		"-e .":             "requirements.txt, line 1: an editable install",
		"a\n./missing.whl": "requirements.txt, line 2: there is no file",
		".":                "is a folder",
		"-r loop.txt":      "too deep",
		"-r none.txt":      "no such file",
		"a \\":             "ends with a backslash",
		"\x00\x01":         "not a text file",
	} {
		_, err := pyenv.ReadRequirements(write(t, t.TempDir(), "requirements.txt", strings.ReplaceAll(text, "loop.txt", filepath.Join(dir, "loop.txt"))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestReadModelDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conda := "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip<=23.2.1\n- pip:\n  - mlflow==3.17.2\n  - numpy==2.4.6\nname: mlflow-env\n"
	write(t, dir, "conda.yaml", conda)
	got, err := pyenv.ReadModelDir(dir)
	if d := cmp.Diff(pyenv.Spec{Python: "3.11.7", Requirements: []string{"mlflow==3.17.2", "numpy==2.4.6"}}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	write(t, dir, "requirements.txt", "mlflow==3.17.2\nSetupTools==70\n")
	write(t, dir, "python_env.yaml", "python: 3.10.13\nbuild_dependencies:\n- pip==23.2.1\n- setuptools==65.5.0\n- wheel==0.38.4\ndependencies:\n- -r requirements.txt\n")
	got, err = pyenv.ReadModelDir(dir)
	want := pyenv.Spec{Python: "3.10.13", Requirements: []string{"wheel==0.38.4", "mlflow==3.17.2", "SetupTools==70"}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	_, err = pyenv.ReadConda(write(t, t.TempDir(), "conda.yaml", "dependencies:\n- python=3.11\n- cudatoolkit=11\n"))
	if err == nil || !strings.Contains(err.Error(), `conda package "cudatoolkit=11" can't be installed without conda`) {
		t.Error(err)
	}
	if _, err = pyenv.ReadPythonEnv(write(t, t.TempDir(), "python_env.yaml", "dependencies: {a: [")); err == nil {
		t.Error("broken YAML was read")
	}
}

func TestPackageName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Scikit_Learn[alldeps]>=1.2": "scikit-learn", "mlflow==3": "mlflow", "-r x": "", "--pre": "", "https://h/x.whl": "",
		"pkg @ https://h/x.whl": "pkg", "a.b-c": "a-b-c", "/x/y.whl": "",
	} {
		if got := pyenv.PackageName(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWrongInput(t *testing.T) {
	t.Parallel()
	m := pyenv.New(pyenv.Deps{Dir: t.TempDir()})
	for _, spec := range []pyenv.Spec{{Python: "2.7"}, {Python: "three"}, {Requirements: []string{"a\nb"}}} {
		var bad *pyenv.InputError
		if _, err := m.Ensure(t.Context(), spec, nil); !errors.As(err, &bad) || !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: got %v", spec, err)
		}
	}
}

// needPython skips tests that start Python and reach the package index, unless they are asked for.
func needPython(t *testing.T) {
	t.Helper()
	if os.Getenv("MODELYARD_TEST_PYTHON") == "" {
		t.Skip("builds Python environments from the package index: set MODELYARD_TEST_PYTHON=1 to run it")
	}
}

func TestBuildReuseAndPrune(t *testing.T) {
	t.Parallel()
	needPython(t)
	for _, tool := range []string{"uv", "pip"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			uv := ""
			if tool == "pip" {
				uv = "off"
			} else if _, err := exec.LookPath("uv"); err != nil {
				t.Skip("uv is not installed")
			}
			now := time.Now()
			m := pyenv.New(pyenv.Deps{Dir: t.TempDir(), UV: uv, Now: func() time.Time { return now }})
			spec := pyenv.Spec{Requirements: []string{"six==1.16.0"}}
			if _, ok := m.Find(t.Context(), spec); ok {
				t.Fatal("found before it was built")
			}
			var lines []string
			env, err := m.Ensure(t.Context(), spec, func(line string) { lines = append(lines, line) })
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(env.Python, "-c", "import six; print(six.__version__)").Output()
			if err != nil || string(out) != "1.16.0\n" {
				t.Errorf("in the environment: %q, %v", out, err)
			}
			if !slices.Contains(env.Lock, "six==1.16.0") || env.Tool != tool || env.Reused || len(lines) < 2 {
				t.Errorf("%+v, lines %q", env, lines)
			}
			again, err := m.Ensure(t.Context(), spec, nil)
			if err != nil || !again.Reused || again.Key != env.Key {
				t.Errorf("%+v, %v", again, err)
			}
			if n, err := m.Prune(t.Context(), time.Hour); n != 0 || err != nil {
				t.Errorf("pruned %d, %v", n, err)
			}
			now = now.Add(2 * time.Hour)
			if n, err := m.Prune(t.Context(), time.Hour); n != 1 || err != nil {
				t.Errorf("pruned %d, %v", n, err)
			}
			if _, err := os.Stat(env.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Error("the folder is still there")
			}
		})
	}
}

func TestTwoBuildersShareOneBuild(t *testing.T) {
	t.Parallel()
	needPython(t)
	dir := t.TempDir()
	var wg sync.WaitGroup
	envs := make([]pyenv.Env, 4)
	for i := range envs {
		wg.Go(func() {
			var err error
			if envs[i], err = pyenv.New(pyenv.Deps{Dir: dir}).Ensure(t.Context(), pyenv.Spec{}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	built := 0
	for _, e := range envs {
		if !e.Reused {
			built++
		}
	}
	if built != 1 {
		t.Errorf("built %d times", built)
	}
}

func TestCutOffBuildIsStartedOver(t *testing.T) {
	t.Parallel()
	needPython(t)
	dir := t.TempDir()
	m := pyenv.New(pyenv.Deps{Dir: dir})
	env, err := m.Ensure(t.Context(), pyenv.Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// As a killed build leaves it: files, no marker.
	if err := os.Remove(filepath.Join(env.Dir, "modelyard-ready.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(env.Python); err != nil {
		t.Fatal(err)
	}
	env, err = m.Ensure(t.Context(), pyenv.Spec{}, nil)
	if err != nil || env.Reused {
		t.Fatalf("%+v, %v", env, err)
	}
	if err := exec.Command(env.Python, "-c", "pass").Run(); err != nil {
		t.Error(err)
	}
}

func TestBuildFailureSaysWhy(t *testing.T) {
	t.Parallel()
	needPython(t)
	for _, uv := range []string{"", "off"} {
		m := pyenv.New(pyenv.Deps{Dir: t.TempDir(), UV: uv})
		_, err := m.Ensure(t.Context(), pyenv.Spec{Requirements: []string{"six==99.1"}}, nil)
		var failed *pyenv.BuildError
		if !errors.As(err, &failed) || !strings.Contains(failed.Tail, "99.1") || !strings.Contains(failed.Hint, "names and versions") || !errs.Is(err, errs.Precondition) {
			t.Errorf("got %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := pyenv.New(pyenv.Deps{Dir: t.TempDir()}).Ensure(ctx, pyenv.Spec{Requirements: []string{"six==1.16.0"}}, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled build: %v", err)
	}
}

func TestExistingInterpreter(t *testing.T) {
	t.Parallel()
	needPython(t)
	built, err := pyenv.New(pyenv.Deps{Dir: t.TempDir()}).Ensure(t.Context(), pyenv.Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := pyenv.New(pyenv.Deps{Interpreter: built.Python})
	env, err := m.Ensure(t.Context(), pyenv.Spec{Python: "3.4", Requirements: []string{"six==1.16.0"}}, nil)
	if err != nil || env.Tool != "none" || env.Python != built.Python || len(env.Warnings) != 2 {
		t.Errorf("%+v, %v", env, err)
	}
	if _, err := m.Ensure(t.Context(), pyenv.Spec{Interpreter: "/bin/false"}, nil); err == nil {
		t.Error("/bin/false passed as a Python")
	}
}
