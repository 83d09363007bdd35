package tracking

import (
	"context"
	"embed"
	"hash/fnv"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/platform/blob"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/space"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this domain.
func Migrations() db.Migrations { return db.Migrations{Domain: "tracking", FS: migrations} }

// Deps of a Service.
type Deps struct {
	DB      *db.DB
	Events  *events.Log
	Files   *blob.Files
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Workspace returns nil when there is such a workspace, else NotFound; nil when nobody knows.
	Workspace func(ctx context.Context, name string) error
}

// Service is the use-cases of tracking. Safe for concurrent use.
type Service struct {
	d         Deps
	st        *store
	metrics   *metrics
	searching gate
	searched  atomic.Int64 // when the last search came, in nanoseconds; see Warm
	turns     turns
}

// New makes the service; Start must run once after the migrations.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, st: newStore(d.DB), metrics: newMetrics(d.Metrics), searching: newGate(max(1, runtime.GOMAXPROCS(0)/2))}
}

// Start makes sure that the default experiment is there.
func (s *Service) Start(ctx context.Context) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error { return s.st.ensureDefault(tx, s.d.Clock.Now()) })
}

// Subscribe registers nothing: tracking hears no events.
func (s *Service) Subscribe() {}

// now is the time to the microsecond, as it is stored.
func (s *Service) now() time.Time { return s.d.Clock.Now().Truncate(time.Microsecond) }

// CreateExperiment makes an experiment and gives its id. A name that exists, deleted ones included, is a Conflict.
func (s *Service) CreateExperiment(ctx context.Context, n NewExperiment) (string, error) {
	if err := n.validate(); err != nil {
		return "", err
	}
	if n.Workspace == "" {
		n.Workspace = space.Of(ctx)
	}
	if s.d.Workspace != nil {
		if err := s.d.Workspace(ctx, n.Workspace); err != nil {
			return "", err
		}
	}
	var num int64
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		var err error
		if num, err = s.st.insertExperiment(tx, n, s.now()); err != nil {
			return err
		}
		eid := strconv.FormatInt(num, 10)
		return s.d.Events.Append(ctx, tx, EventExperimentCreated, events.Resource{Kind: "experiment", ID: eid}, experimentCreated{eid, n.Name, n.Workspace})
	})
	return strconv.FormatInt(num, 10), err
}

// Experiment finds an experiment, deleted ones too. Kinds: NotFound.
func (s *Service) Experiment(ctx context.Context, eid string) (Experiment, error) {
	num, err := s.st.experimentNumber(ctx, eid)
	if err != nil {
		return Experiment{}, err
	}
	return s.st.experiment(ctx, eid, "e.id = ?", num)
}

// ExperimentByName finds an experiment of the workspace that the request works in by name, deleted ones too. Kinds: NotFound.
func (s *Service) ExperimentByName(ctx context.Context, name string) (Experiment, error) {
	e, err := s.st.experiment(ctx, name, "e.workspace = ? AND e.name = ?", space.Of(ctx), name)
	if errs.Is(err, errs.NotFound) {
		return e, errs.NotFoundf("tracking.experiment", "Could not find experiment with name '%s'", clip(name))
	}
	return e, err
}

// RenameExperiment gives an active experiment another name. Kinds: NotFound, Invalid (deleted), Conflict (name taken).
func (s *Service) RenameExperiment(ctx context.Context, eid, name string) error {
	if err := (NewExperiment{Name: name}).validate(); err != nil {
		return err
	}
	return s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error { return s.st.renameExperiment(tx, num, name, s.now()) })
}

// DeleteExperiment marks an experiment and its active runs deleted. Kinds: NotFound, Invalid (deleted already).
func (s *Service) DeleteExperiment(ctx context.Context, eid string) error {
	if eid == DefaultExperiment {
		return errs.Invalidf("tracking.delete_experiment", "the default experiment cannot be deleted")
	}
	return s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error {
		tx.AfterCommit(func() { s.st.forget(num) })
		if err := s.st.deleteExperiment(tx, num, s.now()); err != nil {
			return err
		}
		return s.tellExperiment(ctx, tx, EventExperimentDeleted, num)
	})
}

// RestoreExperiment brings back a deleted experiment and the runs deleted with it. Kinds: NotFound, Invalid (not deleted).
func (s *Service) RestoreExperiment(ctx context.Context, eid string) error {
	return s.onExperiment(ctx, eid, ViewDeleted, func(tx *db.Tx, num int64) error {
		tx.AfterCommit(func() { s.st.forget(num) })
		if err := s.st.restoreExperiment(tx, num, s.now()); err != nil {
			return err
		}
		return s.tellExperiment(ctx, tx, EventExperimentRestored, num)
	})
}

// SetExperimentTag sets a tag of an active experiment.
func (s *Service) SetExperimentTag(ctx context.Context, eid string, t Tag) error {
	if err := (NewExperiment{Name: "x", Tags: []Tag{t}}).validate(); err != nil {
		return err
	}
	return s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error { return s.st.setExperimentTag(tx, num, t) })
}

// DeleteExperimentTag removes a tag of an active experiment. Kinds: NotFound when there is no such tag.
func (s *Service) DeleteExperimentTag(ctx context.Context, eid, key string) error {
	return s.onExperiment(ctx, eid, ViewActive, func(tx *db.Tx, num int64) error { return s.st.deleteExperimentTag(tx, num, key) })
}

func (s *Service) onExperiment(ctx context.Context, eid string, want View, do func(tx *db.Tx, num int64) error) error {
	num, err := s.st.experimentNumber(ctx, eid)
	if err != nil {
		return err
	}
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.st.checkExperiment(tx, num, want); err != nil {
			return err
		}
		return do(tx, num)
	})
}

// CreateRun starts a run in an active experiment. Kinds: Invalid, NotFound.
func (s *Service) CreateRun(ctx context.Context, n NewRun) (Run, error) {
	if err := n.validate(); err != nil {
		return Run{}, err
	}
	exp, err := s.st.experimentNumber(ctx, n.ExperimentID)
	if err != nil {
		return Run{}, err
	}
	r := Run{ID: id.Hex(), ExperimentID: n.ExperimentID, Name: n.Name, User: n.User, Status: StatusRunning, Lifecycle: Active, StartTime: n.StartTime, exp: exp}
	if r.StartTime.IsZero() {
		r.StartTime = s.now().Truncate(time.Millisecond)
	}
	if r.Name == "" {
		r.Name = tagValue(n.Tags, TagRunName)
	}
	if r.Name == "" {
		r.Name = randomName()
	}
	r.Tags = lastOfEach(append(n.Tags[:len(n.Tags):len(n.Tags)], Tag{TagRunName, r.Name}))
	defer s.turns.take(s.d.DB, r.ID)()
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.st.insertRun(tx, &r, ViewActive); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.st.cache.keep(r.asRead()) })
		return s.d.Events.Append(ctx, tx, EventRunCreated, events.Resource{Kind: "run", ID: r.ID}, runCreated{r.ID, r.ExperimentID, r.Name})
	})
	return r, err
}

// asRead is a run that was just made as a read would give it.
func (r Run) asRead() Run {
	r.StartTime = clock.FromMicros(clock.Micros(r.StartTime))
	r.Tags = slices.SortedFunc(slices.Values(r.Tags), func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return r
}

// lastOfEach keeps the last value of a key, in the order of first mention.
func lastOfEach(tags []Tag) []Tag {
	at := make(map[string]int, len(tags))
	out := tags[:0:0]
	for _, t := range tags {
		if i, ok := at[t.Key]; ok {
			out[i].Value = t.Value
			continue
		}
		at[t.Key] = len(out)
		out = append(out, t)
	}
	return out
}

// Run finds a run with all that was logged to it, deleted ones too. Kinds: NotFound.
func (s *Service) Run(ctx context.Context, runID string) (Run, error) { return s.st.run(ctx, runID) }

// Runs finds runs with all that was logged to them, deleted ones too, in the order of the ids and without those that are not there. What
// they hold is shared: read it only.
func (s *Service) Runs(ctx context.Context, ids []string) ([]Run, error) {
	return s.st.cachedRuns(ctx, ids)
}

// UpdateRun changes the status, end time or name of an active run.
func (s *Service) UpdateRun(ctx context.Context, runID string, ch RunChange) (Run, error) {
	if err := ch.validate(); err != nil {
		return Run{}, err
	}
	err := s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error {
		if err := s.st.updateRun(tx, r, ch); err != nil {
			return err
		}
		if ch.Status == nil || !ch.Status.Ended() || r.status.Ended() {
			return nil
		}
		return s.d.Events.Append(ctx, tx, EventRunEnded, events.Resource{Kind: "run", ID: runID}, runEnded{runID, r.experimentID(), string(*ch.Status)})
	})
	if err != nil {
		return Run{}, err
	}
	return s.st.runInfo(ctx, runID)
}

// DeleteRun marks a run deleted; deleting it twice is no error.
func (s *Service) DeleteRun(ctx context.Context, runID string) error {
	return s.onRun(ctx, runID, ViewAll, func(tx *db.Tx, r runRow) error {
		if r.lifecycle == Deleted {
			return nil
		}
		if err := s.st.markRun(tx, r, Deleted, s.now()); err != nil {
			return err
		}
		return s.tellRun(ctx, tx, EventRunDeleted, r)
	})
}

// RestoreRun brings a deleted run back. Kinds: NotFound, Precondition when the purge of its experiment has begun.
func (s *Service) RestoreRun(ctx context.Context, runID string) error {
	return s.onRun(ctx, runID, ViewAll, func(tx *db.Tx, r runRow) error {
		if r.lifecycle == Active {
			return nil
		}
		if err := s.st.checkRestorable(tx, r.exp); err != nil {
			return err
		}
		if err := s.st.markRun(tx, r, Active, time.Time{}); err != nil {
			return err
		}
		return s.tellRun(ctx, tx, EventRunRestored, r)
	})
}

// LogBatch stores metrics, parameters and tags of an active run, all or nothing. A parameter that has another value is Invalid.
func (s *Service) LogBatch(ctx context.Context, runID string, b Batch) error {
	if err := b.validate(); err != nil {
		return err
	}
	prepared, err := prepare(b)
	if err != nil {
		return err
	}
	err = s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error { return s.st.logBatch(tx, r, prepared) })
	if err == nil {
		s.metrics.points.Add(float64(len(b.Metrics)))
	}
	return err
}

// DeleteTag removes a tag of an active run. Kinds: NotFound when there is no such tag.
func (s *Service) DeleteTag(ctx context.Context, runID, key string) error {
	return s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error { return s.st.deleteTag(tx, r, key) })
}

// LogInputs notes the data and models that a run used. The same dataset (name and digest) is kept once, with the tags that it came with first.
func (s *Service) LogInputs(ctx context.Context, runID string, inputs []DatasetInput, models []ModelRef) error {
	if err := validateInputs(inputs, models); err != nil {
		return err
	}
	return s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error {
		if err := s.st.insertInputs(tx, r, inputs); err != nil {
			return err
		}
		if err := s.st.insertModelRefs(tx, r, "input", models); err != nil {
			return err
		}
		if len(inputs) == 0 {
			return nil
		}
		data := inputsLogged{RunID: runID, ExperimentID: r.experimentID()}
		for _, in := range inputs {
			data.Inputs = append(data.Inputs, inputNote{in.Name, in.Digest, in.SourceType, in.Source, tagValue(in.Tags, tagContext)})
		}
		return s.d.Events.Append(ctx, tx, EventInputsLogged, events.Resource{Kind: "run", ID: runID}, data)
	})
}

// LogOutputs notes the models that a run made.
func (s *Service) LogOutputs(ctx context.Context, runID string, models []ModelRef) error {
	var c errs.Collector
	if len(models) > MaxInputsPerCall {
		c.Add("models", "expected at most %d models, got %d", MaxInputsPerCall, len(models))
	} else {
		checkModelRefs(&c, models)
	}
	if err := c.Err("tracking.log_outputs", "the outputs are not valid"); err != nil {
		return err
	}
	return s.onRun(ctx, runID, ViewActive, func(tx *db.Tx, r runRow) error { return s.st.insertModelRefs(tx, r, "output", models) })
}

// turns lets the writes to one run go one after the other on PostgreSQL, where two commits may otherwise tell the index of their changes
// in the wrong order. SQLite has one writer.
type turns [64]sync.Mutex

func (t *turns) take(d *db.DB, runID string) (done func()) {
	if d.Engine() != db.Postgres {
		return func() {}
	}
	m := &t[t.place(runID)]
	m.Lock()
	return m.Unlock
}

func (t *turns) place(runID string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, runID)
	return h.Sum32() % uint32(len(t))
}

func (s *Service) onRun(ctx context.Context, runID string, want View, do func(tx *db.Tx, r runRow) error) error {
	sight, err := s.st.sight(ctx)
	if err != nil {
		return err
	}
	defer s.turns.take(s.d.DB, runID)()
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := s.st.findRun(tx, runID)
		if err == nil && !sight.sees(r.exp) {
			err = noRun(runID)
		}
		if err != nil {
			return err
		}
		if !want.shows(r.lifecycle) {
			return errs.Invalidf("tracking.run", "The run %s must be in the '%s' state. Current state is %s.", runID, want, r.lifecycle)
		}
		return do(tx, r)
	})
}

// History is every point of a metric, ordered by time, step and value; without exact repeats. A key that was never logged is empty.
func (s *Service) History(ctx context.Context, runID, key string) ([]Point, error) {
	r, err := s.st.runInfo(ctx, runID)
	if err != nil {
		return nil, err
	}
	points, err := s.st.chunks(ctx, r.num, key, nil)
	return tidy(points), err
}

// Chart is a metric's points ordered by step, at most most of them (see Downsample).
func (s *Service) Chart(ctx context.Context, runID, key string, most int) ([]Point, error) {
	points, err := s.History(ctx, runID, key)
	if err != nil {
		return nil, err
	}
	byStep(points)
	return Downsample(points, most), nil
}

// ChartQuery asks for the histories of metrics of runs, for one chart.
type ChartQuery struct {
	Runs     []string // ids, at most 200; those that are not there have no series
	Keys     []string
	Most     int    // points of each series, at least 2
	From, To *int64 // steps, both included
}

// Series is the thinned history of one metric of one run, by step.
type Series struct {
	RunID, Key string
	Points     []Point
	Total      int // points in the range before thinning
}

// The bounds of a ChartQuery.
const (
	maxChartRuns   = 200
	maxChartSeries = 2000
	maxChartPoints = 500_000
)

// Charts gives the histories that have points, by run and key as asked for. Kinds: Invalid.
func (s *Service) Charts(ctx context.Context, q ChartQuery) ([]Series, error) {
	var c errs.Collector
	if len(q.Runs) > maxChartRuns {
		c.Add("runs", "expected at most %d runs, got %d", maxChartRuns, len(q.Runs))
	}
	if n := len(q.Runs) * len(q.Keys); n > maxChartSeries {
		c.Add("keys", "runs times keys is at most %d, got %d", maxChartSeries, n)
	} else if n*q.Most > maxChartPoints {
		c.Add("max_points", "runs times keys times points is at most %d, got %d", maxChartPoints, n*q.Most)
	}
	if err := c.Err("tracking.charts", "that is too much for one chart"); err != nil {
		return nil, err
	}
	nums, err := s.st.runNumbers(ctx, q.Runs)
	if err != nil {
		return nil, err
	}
	var out []Series
	var points []Point
	for _, id := range q.Runs {
		num, ok := nums[id]
		if !ok {
			continue
		}
		delete(nums, id) // an id that comes again counts once
		for _, key := range q.Keys {
			if points, err = s.st.chunks(ctx, num, key, points[:0]); err != nil {
				return nil, err
			}
			if points = q.within(tidy(points)); len(points) > 0 {
				out = append(out, Series{id, key, slices.Clone(Downsample(points, q.Most)), len(points)})
			}
		}
	}
	return out, nil
}

// within orders points for the chart and leaves out those outside its steps.
func (q ChartQuery) within(points []Point) []Point {
	byStep(points)
	return slices.DeleteFunc(points, func(p Point) bool { return (q.From != nil && p.Step < *q.From) || (q.To != nil && p.Step > *q.To) })
}

// RunningRuns counts the active runs that have not ended.
func (s *Service) RunningRuns(ctx context.Context) (int64, error) { return s.st.countRunning(ctx) }

// HasRun reports whether a run exists and the experiment it is in; the artifact edge asks before it stores a file. Kinds: NotFound.
func (s *Service) HasRun(ctx context.Context, runID string) (experimentID string, err error) {
	r, err := s.st.runInfo(ctx, runID)
	return r.ExperimentID, err
}
