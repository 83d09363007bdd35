package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

// Subscribe registers the job kinds. A run is driven by one job from start to end; a restarted server's job takes over what runs.
func (s *Service) Subscribe() {
	s.d.Jobs.Handle(driveKind, func(ctx context.Context, j jobs.Job) error {
		var runID string
		if err := json.Unmarshal(j.Payload, &runID); err != nil {
			return errs.E(errs.Invalid, "pipeline.drive", "payload", err)
		}
		return s.drive(ctx, runID)
	}, jobs.Options{MaxAttempts: 1 << 20, Timeout: maxTimeout * 2})
	s.d.Jobs.Handle(fireKind, func(ctx context.Context, j jobs.Job) error {
		var name string
		if err := json.Unmarshal(j.Payload, &name); err != nil {
			return errs.E(errs.Invalid, "pipeline.fire", "payload", err)
		}
		return s.fire(ctx, name)
	}, jobs.Options{})
}

func (s *Service) wake(runID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.wakes[runID]; c != nil {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// driver drives one run.
type driver struct {
	s     *Service
	r     Run
	env   *pyenv.Env
	woken chan struct{}
	ended chan string // names of steps whose process has ended
	live  map[string]*proc.Handle
	g     *errgroup.Group
}

func (s *Service) drive(ctx context.Context, runID string) error {
	r, err := s.GetRun(ctx, runID)
	if err != nil || r.State.Ended() {
		return err
	}
	woken := make(chan struct{}, 1)
	s.mu.Lock()
	s.wakes[runID] = woken
	s.mu.Unlock()
	defer func() { s.mu.Lock(); delete(s.wakes, runID); s.mu.Unlock() }()
	ctx, stop := context.WithCancel(ctx)
	g := new(errgroup.Group)
	defer func() { stop(); _ = g.Wait() }()
	d := &driver{s: s, r: r, woken: woken, ended: make(chan string, maxSteps), live: map[string]*proc.Handle{}, g: g}
	if err := d.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return d.finish(ctx, Failed, reason(err))
	}
	return d.loop(ctx)
}

func reason(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Hint != "" {
		return err.Error() + " (" + e.Hint + ")"
	}
	return err.Error()
}

// prepare marks the run as running, writes its files and makes its environment.
func (d *driver) prepare(ctx context.Context) error {
	if d.r.State != Running {
		now := d.s.d.Clock.Now()
		d.r.State = Running
		if d.r.StartedAt == nil {
			d.r.StartedAt = &now
		}
		if err := d.s.d.DB.Write(ctx, func(tx *db.Tx) error { return updateRun(tx, d.r) }); err != nil {
			return err
		}
	}
	work := filepath.Join(d.s.runDir(d.r.ID), "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return errs.E(errs.Unavailable, "pipeline.prepare", "cannot make the working folder", err)
	}
	if err := d.writeFiles(ctx, work); err != nil {
		return err
	}
	e := d.r.spec.Environment
	if e.Requirements == "" && e.Python == "" && !usesPython(d.r.spec) {
		return nil
	}
	spec := pyenv.Spec{Python: e.Python}
	if e.Requirements != "" {
		var err error
		if spec.Requirements, err = pyenv.ReadRequirements(filepath.Join(work, filepath.FromSlash(e.Requirements))); err != nil {
			return err
		}
	}
	if env, ok := d.s.d.Envs.Find(ctx, spec); ok {
		d.env = &env
		return nil
	}
	d.message(ctx, "making the Python environment")
	last := time.Time{}
	env, err := d.s.d.Envs.Ensure(ctx, spec, func(line string) {
		if now := d.s.d.Clock.Now(); now.Sub(last) > time.Second { // a line now and then is enough for people
			last = now
			d.message(ctx, "making the Python environment: "+line)
		}
	})
	if err != nil {
		return err
	}
	d.env = &env
	d.message(ctx, "")
	return nil
}

func usesPython(sp Spec) bool {
	for _, st := range sp.Steps {
		if len(st.Command) > 0 && strings.HasPrefix(st.Command[0], "python") {
			return true
		}
	}
	return false
}

func (d *driver) message(ctx context.Context, m string) {
	const most = 300
	if len(m) > most {
		m = strings.ToValidUTF8(m[:most], "")
	}
	d.r.Message = m
	_ = d.s.d.DB.Write(ctx, func(tx *db.Tx) error { return setMessage(tx, d.r.ID, m) }) // it is for show
}

func (d *driver) writeFiles(ctx context.Context, work string) error {
	root, err := os.OpenRoot(work)
	if err != nil {
		return errs.E(errs.Unavailable, "pipeline.files", "cannot open the working folder", err)
	}
	defer func() { _ = root.Close() }()
	for name, digest := range d.r.files {
		if _, err := root.Stat(name); err == nil {
			continue // an earlier attempt wrote it; steps may have changed it since
		}
		if dir := path.Dir(name); dir != "." {
			if err := root.MkdirAll(dir, 0o700); err != nil {
				return errs.E(errs.Unavailable, "pipeline.files", "cannot write "+name, err)
			}
		}
		f, err := d.s.d.Files.Store().Open(ctx, blob.Digest(digest))
		if err != nil {
			return err
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err == nil {
			if err = root.WriteFile(name+".new", b, 0o600); err == nil {
				err = root.Rename(name+".new", name)
			}
		}
		if err != nil {
			return errs.E(errs.Unavailable, "pipeline.files", "cannot write "+name, err)
		}
	}
	return nil
}

// loop starts what can start and waits for what runs, until nothing is left to do.
func (d *driver) loop(ctx context.Context) error {
	for i := range d.r.Steps {
		if st := &d.r.Steps[i]; st.State == Running {
			if err := d.resume(ctx, st); err != nil {
				return err
			}
		}
	}
	for {
		cancelled, err := d.cancelled(ctx)
		if err != nil {
			return err
		}
		if cancelled {
			return d.cancel(ctx)
		}
		if err := d.launch(ctx); err != nil {
			return err
		}
		if len(d.live) == 0 {
			return d.conclude(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err() // steps go on; the next server takes them over
		case <-d.woken:
		case name := <-d.ended:
			if err := d.collect(ctx, name); err != nil {
				return err
			}
		}
	}
}

func (d *driver) cancelled(ctx context.Context) (bool, error) {
	r, err := d.s.GetRun(ctx, d.r.ID)
	return r.cancel, err
}

// launch starts every waiting step whose needs have succeeded.
func (d *driver) launch(ctx context.Context) error {
	for i := range d.r.Steps {
		st := &d.r.Steps[i]
		if st.State != Waiting {
			continue
		}
		ready := true
		for _, n := range st.Needs {
			ready = ready && d.r.step(n).State == Succeeded
		}
		if !ready {
			continue
		}
		if err := d.begin(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// begin records that a step runs, then starts it.
func (d *driver) begin(ctx context.Context, st *Step) error {
	now := d.s.d.Clock.Now()
	st.State, st.Attempt, st.StartedAt, st.EndedAt, st.Error, st.ExitCode = Running, st.Attempt+1, &now, nil, "", 0
	runID, experiment, err := d.s.d.Tracker.Begin(ctx, d.r.Pipeline, d.r.Pipeline+"/"+st.Name, map[string]string{
		"modelyard.pipeline": d.r.Pipeline, "modelyard.pipeline_run": d.r.ID, "modelyard.pipeline_step": st.Name, "modelyard.code_digest": d.r.Digest,
		"modelyard.attempt": strconv.Itoa(st.Attempt), "mlflow.source.name": strings.Join(st.Command, " "), "mlflow.source.type": "JOB",
	})
	if err != nil {
		return err
	}
	st.RunID = runID
	err = d.s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := updateStep(tx, d.r.ID, *st); err != nil {
			return err
		}
		return d.s.tell(ctx, tx, "pipeline.step.started", d.r, st)
	})
	if err != nil {
		return err
	}
	return d.spawn(ctx, st, experiment)
}

func (d *driver) spawn(ctx context.Context, st *Step, experiment string) error {
	sp := d.r.spec.step(st.Name)
	timeout, err := sp.timeout()
	if err != nil {
		return err
	}
	args := sp.Command
	if sp.Run != "" {
		args = proc.ShellArgs(sp.Run)
	}
	// A server that stops now must not end a command that has just begun: the next one takes it over. Starting has its own time limit.
	h, err := proc.Start(context.WithoutCancel(ctx), proc.Spec{
		Args: d.resolve(args), Dir: filepath.Join(d.s.runDir(d.r.ID), "work"), Env: d.environment(st, sp, experiment), StateDir: d.s.stepDir(d.r.ID, *st),
		Timeout: timeout, MemoryLimit: sp.Memory << 20, Shim: d.s.d.Shim,
	})
	if err != nil {
		return d.end(ctx, st, Failed, 127, "cannot start: "+err.Error(), proc.State{})
	}
	d.watch(ctx, st.Name, h)
	return nil
}

// resolve finds the command in the run's environment first.
func (d *driver) resolve(args []string) []string {
	if d.env == nil || strings.ContainsRune(args[0], '/') {
		return args
	}
	out := append([]string(nil), args...)
	if args[0] == "python" || args[0] == "python3" {
		out[0] = d.env.Python
	} else if p := filepath.Join(d.env.Bin(), args[0]); exists(p) {
		out[0] = p
	}
	return out
}

func exists(p string) bool { _, err := os.Stat(p); return err == nil }

// outputFile is where a step writes key=value lines.
func (d *driver) outputFile(st *Step) string {
	return filepath.Join(d.s.runDir(d.r.ID), "steps", fmt.Sprintf("%s.%d.out", st.Name, st.Attempt))
}

func (d *driver) environment(st *Step, sp StepSpec, experiment string) []string {
	extra := append([]string(nil), d.s.d.Env...)
	add := func(k, v string) { extra = append(extra, k+"="+v) }
	if d.env != nil {
		add("PATH", d.env.Bin()+string(os.PathListSeparator)+os.Getenv("PATH"))
		add("VIRTUAL_ENV", d.env.Dir)
	}
	add("PYTHONUNBUFFERED", "1")
	add("MLFLOW_RUN_ID", st.RunID)
	add("MLFLOW_EXPERIMENT_ID", experiment)
	add("MODELYARD_OUTPUT", d.outputFile(st))
	add("MODELYARD_PIPELINE", d.r.Pipeline)
	add("MODELYARD_PIPELINE_RUN", d.r.ID)
	add("MODELYARD_STEP", st.Name)
	add("MODELYARD_ATTEMPT", strconv.Itoa(st.Attempt))
	for k, v := range d.r.Params {
		add("MODELYARD_PARAM_"+strings.ToUpper(k), v)
	}
	for k, v := range d.r.Outputs {
		if envRule.MatchString(k) {
			add("MODELYARD_OUTPUT_"+strings.ToUpper(k), v)
		}
	}
	for k, v := range d.r.spec.Env {
		add(k, v)
	}
	for k, v := range sp.Env {
		add(k, v)
	}
	return proc.CleanEnv(nil, extra...)
}

// resume takes over a step that an earlier server started, or starts it if that server died just before.
func (d *driver) resume(ctx context.Context, st *Step) error {
	h, err := proc.Adopt(d.s.stepDir(d.r.ID, *st))
	if errors.Is(err, fs.ErrNotExist) {
		return d.spawn(ctx, st, "")
	}
	if err != nil {
		return d.end(ctx, st, Failed, 0, "the step cannot be taken over: "+err.Error(), proc.State{})
	}
	d.watch(ctx, st.Name, h)
	return nil
}

func (d *driver) watch(ctx context.Context, name string, h *proc.Handle) {
	d.live[name] = h
	d.g.Go(func() error {
		select {
		case <-h.Done():
			d.ended <- name
		case <-ctx.Done():
		}
		return nil
	})
}

// collect records how a step's process ended.
func (d *driver) collect(ctx context.Context, name string) error {
	h := d.live[name]
	delete(d.live, name)
	st := d.r.step(name)
	ps, err := h.State()
	if err != nil {
		return d.end(ctx, st, Failed, 0, "its state cannot be read: "+err.Error(), ps)
	}
	if !ps.Success() {
		why := ps.Describe()
		if tail := lastLine(proc.Tail(d.s.stepDir(d.r.ID, *st), 4<<10)); tail != "" {
			why += ": " + tail
		}
		return d.end(ctx, st, Failed, ps.ExitCode, why, ps)
	}
	outputs, err := readOutputs(d.outputFile(st))
	if err != nil {
		return d.end(ctx, st, Failed, 0, err.Error(), ps)
	}
	for k, v := range outputs {
		d.r.Outputs[k] = v
	}
	return d.end(ctx, st, Succeeded, 0, "", ps)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	l := strings.TrimSpace(lines[len(lines)-1])
	const most = 400
	if len(l) > most {
		l = strings.ToValidUTF8(l[:most], "") + "…"
	}
	return l
}

const maxOutputs = 64 << 10

// readOutputs reads the key=value lines that a step wrote; no file means none.
func readOutputs(path string) (map[string]string, error) {
	f, err := os.Open(path) //nolint:gosec // our own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxOutputs+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxOutputs {
		return nil, errs.Invalidf("pipeline.outputs", "the step's outputs are larger than %d KiB", maxOutputs>>10)
	}
	out := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok || !envRule.MatchString(k) {
			return nil, errs.Invalidf("pipeline.outputs", "the step wrote %q to MODELYARD_OUTPUT: expected name=value", line)
		}
		out[k] = strings.ToValidUTF8(v, "�")
	}
	return out, nil
}

// end records the end of an attempt: the step succeeded, is tried again, or failed.
func (d *driver) end(ctx context.Context, st *Step, state State, code int, why string, ps proc.State) error {
	now := d.s.d.Clock.Now()
	st.EndedAt, st.ExitCode, st.Error = &now, code, why
	st.MaxRSSBytes, st.CPUSeconds = ps.MaxRSS, (ps.CPUUser + ps.CPUSystem).Seconds()
	st.State = state
	if state == Failed {
		st.failures++
	}
	told := *st
	if state == Failed && st.failures <= d.r.spec.step(st.Name).Retries {
		st.State = Waiting
	}
	err := d.s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := errors.Join(updateStep(tx, d.r.ID, *st), updateRun(tx, d.r)); err != nil {
			return err
		}
		return d.s.tell(ctx, tx, "pipeline.step.ended", d.r, &told)
	})
	if err != nil {
		return err
	}
	if err := d.s.d.Tracker.End(ctx, told.RunID, state == Succeeded); err != nil {
		d.s.d.Log.Warn("cannot close the tracked run of a step", "run_id", told.RunID, "error", err)
	}
	return nil
}

// cancel stops what runs and ends the run.
func (d *driver) cancel(ctx context.Context) error {
	for name, h := range d.live {
		ps, err := h.Stop(ctx)
		if err != nil {
			return err
		}
		if err := d.end(ctx, d.r.step(name), Cancelled, ps.ExitCode, "cancelled", ps); err != nil {
			return err
		}
		delete(d.live, name)
	}
	return d.finish(ctx, Cancelled, "cancelled")
}

// conclude ends the run when nothing runs and nothing can start.
func (d *driver) conclude(ctx context.Context) error {
	for _, st := range d.r.Steps {
		if st.State == Failed {
			return d.finish(ctx, Failed, "step "+st.Name+": "+st.Error)
		}
	}
	return d.finish(ctx, Succeeded, "")
}

// finish ends the run; steps that never ran are skipped.
func (d *driver) finish(ctx context.Context, state State, why string) error {
	now := d.s.d.Clock.Now()
	d.r.State, d.r.Error, d.r.Message, d.r.EndedAt = state, why, "", &now
	var left []Step
	for i := range d.r.Steps {
		st := &d.r.Steps[i]
		if !st.State.Ended() {
			st.State = Skipped
			if state == Cancelled {
				st.State = Cancelled
			}
			left = append(left, *st)
		}
	}
	return d.s.d.DB.Write(ctx, func(tx *db.Tx) error {
		for _, st := range left {
			if err := updateStep(tx, d.r.ID, st); err != nil {
				return err
			}
		}
		if err := updateRun(tx, d.r); err != nil {
			return err
		}
		return d.s.tell(ctx, tx, "pipeline.run.ended", d.r, nil)
	})
}
