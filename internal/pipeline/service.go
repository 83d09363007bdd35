package pipeline

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/robfig/cron/v3"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/proc"
	"github.com/modelyard/modelyard/internal/platform/pyenv"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "pipeline", FS: migrations} }

// Tracker makes the tracked run of each step, so that what a step does is found beside all other runs.
type Tracker interface {
	// Begin starts a run in the experiment and gives its id and the experiment's.
	Begin(ctx context.Context, experiment, name string, tags map[string]string) (runID, experimentID string, err error)
	// End closes it, unless the step's own client did.
	End(ctx context.Context, runID string, ok bool) error
}

// Deps of the Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Jobs    *jobs.Queue
	Files   *blob.Files
	Envs    *pyenv.Manager
	Tracker Tracker
	Clock   clock.Clock
	Log     *slog.Logger
	Dir     string   // folder for the runs
	Env     []string // what each step gets: the server's address and token
	Shim    []string // for tests: how to start the shim; empty: this program
}

// Service owns pipelines and their runs.
type Service struct {
	d Deps

	mu    sync.Mutex
	wakes map[string]chan struct{} // run id -> woken by cancel
}

// New makes the service.
func New(d Deps) *Service { return &Service{d: d, wakes: map[string]chan struct{}{}} }

const driveKind, fireKind = "pipeline.drive", "pipeline.fire"

// Apply makes or changes a pipeline. files holds the text of each file that the definition names. It returns Invalid naming what is wrong.
func (s *Service) Apply(ctx context.Context, name, spec string, files map[string]string) (Pipeline, error) {
	const op = "pipeline.apply"
	if !nameRule.MatchString(name) {
		return Pipeline{}, errs.Invalidf(op, "%q cannot be the name of a pipeline", name).WithField("name", "expected lower-case letters, digits, - and _, at most 63")
	}
	sp, err := ParseSpec(spec)
	if err != nil {
		return Pipeline{}, err
	}
	if sp.Name != "" && sp.Name != name {
		return Pipeline{}, errs.Invalidf(op, "the definition is for %q, not %q", sp.Name, name).WithField("name", "expected %q", name)
	}
	digests, err := s.storeFiles(ctx, sp, files)
	if err != nil {
		return Pipeline{}, err
	}
	now := s.d.Clock.Now()
	p := Pipeline{Name: name, Description: sp.Description, Spec: spec, Steps: sp.Steps, Params: sp.Params, Files: digests, Digest: digest(spec, digests),
		Schedule: sp.On.Schedule, CreatedAt: now, UpdatedAt: now, UpdatedBy: actor.From(ctx).ID}
	if sp.On.Schedule != "" {
		sched, err := cron.ParseStandard(sp.On.Schedule)
		if err != nil {
			return Pipeline{}, errs.E(errs.Invalid, op, "on.schedule", err)
		}
		next := sched.Next(now)
		p.NextFire = &next
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.putPipeline(tx, p); err != nil {
			return err
		}
		if p.NextFire != nil {
			if err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: fireKind, Key: name, Payload: name, RunAt: *p.NextFire}); err != nil {
				return err
			}
		}
		return s.d.Events.Append(ctx, tx, "pipeline.applied", events.Resource{Kind: "pipeline", ID: name}, map[string]any{"pipeline": name, "digest": p.Digest})
	})
	if err != nil {
		return Pipeline{}, err
	}
	return s.readPipeline(ctx, name)
}

func (s *Service) storeFiles(ctx context.Context, sp Spec, files map[string]string) (map[string]string, error) {
	var p errs.Collector
	for _, f := range sp.Files {
		text, ok := files[f]
		switch {
		case !ok:
			p.Add("files."+f, "the definition names this file, but it was not sent along")
		case len(text) > maxFile:
			p.Add("files."+f, "it is larger than %d MiB", maxFile>>20)
		}
	}
	for f := range files {
		if !slices.Contains(sp.Files, f) {
			p.Add("files."+f, "the definition does not name this file")
		}
	}
	if err := p.Err("pipeline.apply", "the files do not fit the definition"); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range sp.Files {
		d, n, err := s.d.Files.Store().Put(ctx, strings.NewReader(files[f]))
		if err != nil {
			return nil, err
		}
		if err := s.nameFile(ctx, d, n); err != nil {
			return nil, err
		}
		out[f] = string(d)
	}
	return out, nil
}

// filesRoot names every file of every definition by its digest, so that its contents live as long as runs may ask for them.
const filesRoot = "pipeline"

func (s *Service) nameFile(ctx context.Context, d blob.Digest, size int64) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return s.d.Files.Link(tx, filesRoot, blob.File{Path: string(d), Size: size, Digest: d, CreatedAt: s.d.Clock.Now()})
	})
}

// Start names the files of definitions that were stored before files had names.
func (s *Service) Start(ctx context.Context) error {
	digests, err := s.fileDigests(ctx)
	if err != nil {
		return err
	}
	for _, d := range digests {
		if _, err := s.d.Files.Stat(ctx, filesRoot, string(d)); !errs.Is(err, errs.NotFound) {
			if err != nil {
				return err
			}
			continue
		}
		size, err := s.sizeOf(ctx, d)
		if err == nil {
			err = s.nameFile(ctx, d, size)
		}
		if err != nil { // one file that is gone or damaged keeps no server from starting
			s.d.Log.Warn("a file of a pipeline cannot be read", "digest", string(d), "error", err)
		}
	}
	return nil
}

func (s *Service) sizeOf(ctx context.Context, d blob.Digest) (int64, error) {
	r, err := s.d.Files.Store().Open(ctx, d)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	return io.Copy(io.Discard, r)
}

// digest is the version of a definition with its files.
func digest(spec string, files map[string]string) string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d:%s", len(spec), spec)
	for _, n := range names {
		_, _ = fmt.Fprintf(h, "%d:%s%s", len(n), n, files[n])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Get is one pipeline; NotFound when there is none.
func (s *Service) Get(ctx context.Context, name string) (Pipeline, error) {
	p, err := s.readPipeline(ctx, name)
	if err != nil {
		return p, err
	}
	last, err := s.lastRuns(ctx)
	if sum, ok := last[name]; ok {
		p.LastRun = &sum
	}
	return p, err
}

// List is all pipelines with their newest runs.
func (s *Service) List(ctx context.Context) ([]Pipeline, error) {
	ps, err := s.readPipelines(ctx)
	if err != nil {
		return nil, err
	}
	last, err := s.lastRuns(ctx)
	for i := range ps {
		if sum, ok := last[ps[i].Name]; ok {
			ps[i].LastRun = &sum
		}
	}
	return ps, err
}

// Delete forgets a definition; its runs stay.
func (s *Service) Delete(ctx context.Context, name string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := deletePipeline(tx, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.NotFoundf("pipeline.delete", "there is no pipeline %q", name)
		}
		return s.d.Events.Append(ctx, tx, "pipeline.deleted", events.Resource{Kind: "pipeline", ID: name}, map[string]any{"pipeline": name})
	})
}

// StartRun queues a run with the definition as it is now. It returns NotFound, or Invalid for parameters that do not fit.
func (s *Service) StartRun(ctx context.Context, name string, params map[string]string, trigger Trigger) (Run, error) {
	p, err := s.readPipeline(ctx, name)
	if err != nil {
		return Run{}, err
	}
	sp, err := ParseSpec(p.Spec)
	if err != nil {
		return Run{}, err
	}
	bound, err := sp.bind(params)
	if err != nil {
		return Run{}, err
	}
	r := Run{ID: id.New(), Pipeline: name, State: Queued, Trigger: trigger, Params: bound, Outputs: map[string]string{}, Digest: p.Digest,
		CreatedBy: actor.From(ctx).ID, CreatedAt: s.d.Clock.Now(), spec: sp, files: p.Files}
	for _, st := range sp.Steps {
		r.Steps = append(r.Steps, Step{Name: st.Name, Needs: st.Needs, Command: st.Command, Script: st.Run, State: Waiting})
	}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := insertRun(tx, r, p.Spec); err != nil {
			return err
		}
		if err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: driveKind, Key: r.ID, Group: "pipeline_run:" + r.ID, Payload: r.ID}); err != nil {
			return err
		}
		return s.tell(ctx, tx, "pipeline.run.started", r, nil)
	})
	if err != nil {
		return Run{}, err
	}
	return s.GetRun(ctx, r.ID)
}

// GetRun is one run with its steps.
func (s *Service) GetRun(ctx context.Context, runID string) (Run, error) {
	return readRun(s.reads(ctx), runID)
}

// ListRuns is the newest runs of a pipeline, at most limit, older than before ("" for the newest).
func (s *Service) ListRuns(ctx context.Context, name, before string, limit int) ([]Run, error) {
	where, args := "WHERE pipeline = ?", []any{name}
	if before != "" {
		where, args = where+" AND id < ?", append(args, before)
	}
	rs, err := selectRuns(s.reads(ctx), where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
	for i := range rs {
		if err := fillSteps(s.reads(ctx), &rs[i]); err != nil {
			return nil, err
		}
	}
	return rs, err
}

// RunningRuns is how many runs are running.
func (s *Service) RunningRuns(ctx context.Context) (int64, error) { return s.countRuns(ctx, Running) }

// Cancel stops a run: running steps are asked to end and get their grace. A run that has ended is Precondition.
func (s *Service) Cancel(ctx context.Context, runID string) (Run, error) {
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := readRun(tx.Query, runID)
		if err != nil {
			return err
		}
		if r.State.Ended() {
			return errs.E(errs.Precondition, "pipeline.cancel", "run "+runID+" has "+string(r.State)+" already", nil)
		}
		tx.AfterCommit(func() { s.wake(runID) })
		return setCancel(tx, runID, true)
	})
	if err != nil {
		return Run{}, err
	}
	return s.GetRun(ctx, runID)
}

// Retry runs what failed, was skipped or cancelled once more; with from, that step and all that need it as well. What succeeded is
// kept. A run that has not ended is Precondition.
func (s *Service) Retry(ctx context.Context, runID, from string) (Run, error) {
	const op = "pipeline.retry"
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := readRun(tx.Query, runID)
		if err != nil {
			return err
		}
		if !r.State.Ended() {
			return errs.E(errs.Precondition, op, "run "+runID+" is still "+string(r.State), nil)
		}
		if from != "" && r.step(from) == nil {
			return errs.Invalidf(op, "the run has no step %q", from).WithField("from_step", "expected the name of a step")
		}
		again := r.spec.after(from)
		any := false
		for _, st := range r.Steps {
			if st.State == Succeeded && !again[st.Name] {
				continue
			}
			any = true
			st.State, st.failures, st.Error, st.StartedAt, st.EndedAt = Waiting, 0, "", nil, nil
			if err := updateStep(tx, runID, st); err != nil {
				return err
			}
		}
		if !any {
			return errs.E(errs.Precondition, op, "every step of the run succeeded", nil).WithHint("name a step with from_step")
		}
		r.State, r.Error, r.Message, r.EndedAt = Queued, "", "", nil
		if err := errors.Join(updateRun(tx, r), setCancel(tx, runID, false)); err != nil {
			return err
		}
		if err := s.d.Jobs.Enqueue(tx, jobs.New{Kind: driveKind, Key: runID, Group: "pipeline_run:" + runID, Payload: runID}); err != nil {
			return err
		}
		return s.tell(ctx, tx, "pipeline.run.started", r, nil)
	})
	if err != nil {
		return Run{}, err
	}
	return s.GetRun(ctx, runID)
}

// after is the named step and all that need it, directly or not.
func (sp *Spec) after(name string) map[string]bool {
	out := map[string]bool{}
	if name != "" {
		out[name] = true
	}
	for changed := true; changed; {
		changed = false
		for _, st := range sp.Steps {
			if !out[st.Name] && slices.ContainsFunc(st.Needs, func(n string) bool { return out[n] }) {
				out[st.Name], changed = true, true
			}
		}
	}
	return out
}

// StepLog reads at most 256 KiB of what the newest attempt of a step printed, from an offset in its whole output. next is the offset
// to ask for next; ended says that nothing more comes.
func (s *Service) StepLog(ctx context.Context, runID, step string, offset int64) (chunk proc.LogChunk, ended bool, err error) {
	r, err := s.GetRun(ctx, runID)
	if err != nil {
		return proc.LogChunk{}, false, err
	}
	st := r.step(step)
	if st == nil {
		return proc.LogChunk{}, false, errs.NotFoundf("pipeline.log", "run %s has no step %q", runID, step)
	}
	if st.Attempt == 0 {
		return proc.LogChunk{Offset: offset, Next: offset}, st.State.Ended(), nil
	}
	chunk, err = proc.ReadLog(s.stepDir(runID, *st), offset, 0)
	if err != nil { // between the row and the process there is no log yet
		return proc.LogChunk{Offset: offset, Next: offset}, st.State.Ended(), nil
	}
	return chunk, st.State.Ended(), nil
}

func (s *Service) runDir(runID string) string { return filepath.Join(s.d.Dir, runID) }

func (s *Service) stepDir(runID string, st Step) string {
	return filepath.Join(s.runDir(runID), "steps", fmt.Sprintf("%s.%d", st.Name, st.Attempt))
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, typ string, r Run, st *Step) error {
	data := map[string]any{"pipeline": r.Pipeline, "run_id": r.ID, "state": r.State, "outputs": r.Outputs, "trigger": r.Trigger, "params": r.Params, "digest": r.Digest, "error": r.Error}
	if st != nil {
		data = map[string]any{"pipeline": r.Pipeline, "run_id": r.ID, "step": st.Name, "state": st.State, "attempt": st.Attempt, "tracked_run": st.RunID, "error": st.Error}
	}
	return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "pipeline_run", ID: r.ID}, data)
}
