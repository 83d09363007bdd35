package pyworker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

// Deps are what a [Runtime] needs.
type Deps struct {
	Envs *pyenv.Manager
	// Dir holds the private folders of the workers; it is made when absent.
	Dir string
	Log *slog.Logger // nil drops the log
	Options
}

// Options say how models are run. Zero values mean the defaults.
type Options struct {
	Workers     int           // processes for each loaded model; 1
	Queue       int           // calls that may wait for a worker of a model; 256
	CallTimeout time.Duration // one prediction, from its start in the worker; 30 s
	LoadTimeout time.Duration // importing, loading and warming up; 5 min
	Drain       time.Duration // how long Close lets waiting calls finish; 10 s
	MemoryLimit int64         // bytes for a worker and all it starts; 0 is no limit
	Threads     int           // for numerical libraries in a worker; 1
	MaxAnswer   int64         // bytes of one answer; 1 GiB
	// Backoff is the pause before a dead worker's second restart; it doubles up to 64 times this. 500 ms.
	Backoff time.Duration
	// Env are more "NAME=value" variables for workers (a model may need an address or a token of its own).
	Env []string
	// Progress hears what happens while an environment is built and a model is loaded; it may be nil.
	Progress func(modelDir, line string)
}

func (o *Options) setDefaults() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Workers, 1)
	def(&o.Queue, 256)
	def(&o.Threads, 1)
	span(&o.CallTimeout, 30*time.Second)
	span(&o.LoadTimeout, 5*time.Minute)
	span(&o.Drain, 10*time.Second)
	span(&o.Backoff, 500*time.Millisecond)
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = 1 << 30
	}
	if o.Progress == nil {
		o.Progress = func(string, string) {}
	}
}

// Runtime is the [infer.Runtime] of Python models.
type Runtime struct {
	deps Deps
	tidy sync.Once
}

var _ infer.Runtime = (*Runtime)(nil)

// New returns a runtime; it starts nothing.
func New(deps Deps) *Runtime {
	deps.setDefaults()
	if deps.Log == nil {
		deps.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return &Runtime{deps: deps}
}

// EnvironmentOf is what the model in dir needs: its own requirements, and mlflow where these leave it out.
func EnvironmentOf(src infer.Source) (pyenv.Spec, error) {
	spec, err := pyenv.ReadModelDir(src.Dir)
	if err != nil {
		return spec, err
	}
	d := src.Description
	if d == nil {
		return spec, nil
	}
	if spec.Python == "" {
		spec.Python = d.Environment.PythonVersion
	}
	hasMLflow := slices.ContainsFunc(spec.Requirements, func(r string) bool {
		name := pyenv.PackageName(r)
		return name == "mlflow" || name == "mlflow-skinny"
	})
	if !hasMLflow {
		// The small distribution can load every flavour; it needs these two named.
		requirement := "mlflow-skinny"
		if v := d.MLflowVersion; v != "" && !strings.Contains(v, "dev") {
			requirement += "==" + v
		}
		spec.Add(requirement)
		spec.Add("pandas")
		spec.Add("numpy")
	}
	return spec, nil
}

// Load builds the environment where it is not there yet, starts the workers, and returns when one has loaded the model
// and predicted its input example. Its error is an [infer.LoadError], or ctx's.
func (r *Runtime) Load(ctx context.Context, src infer.Source) (infer.Model, error) {
	spec, err := EnvironmentOf(src)
	if err != nil {
		return nil, &infer.LoadError{Reason: "the model's description of its Python environment can't be used", Err: err}
	}
	progress := func(line string) { r.deps.Progress(src.Dir, line) }
	env, err := r.deps.Envs.Ensure(ctx, spec, progress)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, environmentError(err)
	}
	if err := os.MkdirAll(r.deps.Dir, 0o700); err != nil {
		return nil, &infer.LoadError{Reason: "the folder of the workers can't be made", Err: err}
	}
	r.tidy.Do(r.removeLeftovers)
	modelDir, err := filepath.Abs(src.Dir)
	if err != nil {
		return nil, err
	}
	progress("loading the model in Python " + env.Version)
	m := newModel(r.deps, src, modelDir, env)
	if err := m.start(ctx); err != nil {
		_ = m.Close()
		return nil, err
	}
	progress(fmt.Sprintf("loaded in %.1f s", m.took.Seconds()))
	return m, nil
}

// removeLeftovers removes the private folders of workers whose server was killed.
func (r *Runtime) removeLeftovers() {
	dirs, err := filepath.Glob(filepath.Join(r.deps.Dir, workerPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute { // it may be about to start
			continue
		}
		if st, err := proc.ReadState(filepath.Join(dir, "state")); errors.Is(err, fs.ErrNotExist) || (err == nil && st.Ended()) {
			_ = os.RemoveAll(dir)
		}
	}
}

func environmentError(err error) error {
	out := &infer.LoadError{Reason: "the Python environment of the model can't be made", Err: err, Missing: true}
	var build *pyenv.BuildError
	if errors.As(err, &build) {
		out.Hint = build.Hint
		bare := *build
		bare.Hint = ""
		out.Err = &bare
	}
	return out
}

// workerEnv is everything that a worker sees of the server's environment.
func workerEnv(home string, env pyenv.Env, o Options) []string {
	out := []string{
		"PATH=" + strings.Join([]string{env.Bin(), "/usr/local/bin", "/usr/bin", "/bin"}, string(os.PathListSeparator)),
		"HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp"), "XDG_CACHE_HOME=" + filepath.Join(home, "cache"),
		"PYTHONUNBUFFERED=1", "PYTHONUTF8=1", "MLFLOW_TRACKING_URI=file://" + filepath.Join(home, "mlruns"),
		"MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true", "GIT_PYTHON_REFRESH=quiet", "MPLBACKEND=agg",
	}
	threads := fmt.Sprint(min(o.Threads, runtime.NumCPU()))
	for _, name := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"} {
		out = append(out, name+"="+threads)
	}
	for _, name := range []string{"LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return append(out, o.Env...)
}
