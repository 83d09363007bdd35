package monitor

import (
	"context"
	"embed"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/dataset"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/table"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "monitor", FS: migrations} }

// Models finds versions; registry.Service is one.
type Models interface {
	GetVersion(ctx context.Context, model, version string) (registry.Version, error)
}

// Datasets reads dataset versions; dataset.Service is one.
type Datasets interface {
	Open(ctx context.Context, name string, version int64) (*table.Frame, dataset.Version, error)
}

// Deps of a Service.
type Deps struct {
	DB       *db.DB
	Events   *events.Log
	Clock    clock.Clock
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	Predlog  *predlog.Service
	Registry Models
	Datasets Datasets
	// Baseline tells which dataset a version was trained on, and its target column; ok is false when none of this server's.
	Baseline func(ctx context.Context, model, version string) (dataset, datasetVersion, target string, ok bool, err error)
	// Error tells the error of a version that is known before it serves, such as a gate's on held-out rows, in the metric of the task
	// ("mae" or "error_rate"), and in words where it is from. Nil: the first labelled window is compared with.
	Error func(ctx context.Context, model, version, metric string) (value float64, from string, ok bool, err error)
	// Consumed is called when an endpoint's rows or labels were taken in; it must return at once. Nil: nobody is told.
	Consumed func(endpoint string)
}

// Service watches the endpoints.
type Service struct {
	d       Deps
	metrics *metrics

	mu       sync.RWMutex
	watchers map[string]*watcher
	added    chan struct{}
}

// New makes the service; Start reads the monitors and Run follows the prediction log.
func New(d Deps) *Service {
	return &Service{d: d, metrics: newMetrics(d.Metrics), watchers: map[string]*watcher{}, added: make(chan struct{}, 1)}
}

// Start reads the monitors as they were at their last checkpoint.
func (s *Service) Start(ctx context.Context) error {
	ws, err := s.load(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range ws {
		s.watchers[w.endpoint] = w
	}
	return nil
}

// watcher finds the watcher of an endpoint. It returns NotFound.
func (s *Service) watcher(endpoint string) (*watcher, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if w := s.watchers[endpoint]; w != nil {
		return w, nil
	}
	return nil, errs.NotFoundf("monitor.get", "there is no monitor of %q", endpoint).WithHint("a monitor comes with its endpoint: GET /api/v1/monitors lists them")
}

func (s *Service) all() []*watcher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*watcher, 0, len(s.watchers))
	for _, w := range s.watchers {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b *watcher) int { return strings.Compare(a.endpoint, b.endpoint) })
	return out
}

// create makes the monitor of a new endpoint; it is there already when the event is heard twice.
func (s *Service) create(ctx context.Context, endpoint, model, version string, at time.Time) error {
	s.mu.RLock()
	known := s.watchers[endpoint] != nil
	s.mu.RUnlock()
	if known {
		return nil
	}
	w := newWatcher(endpoint, model, version, DefaultSettings(), at)
	for _, k := range kinds() {
		w.st.Reasons[k] = "no window is complete yet"
	}
	if err := s.d.DB.Write(ctx, func(tx *db.Tx) error { return insert(tx, w) }); err != nil {
		return err
	}
	s.mu.Lock()
	s.watchers[endpoint] = w
	s.mu.Unlock()
	s.wake()
	return nil
}

func (s *Service) wake() {
	select {
	case s.added <- struct{}{}:
	default:
	}
}

// remove ends a monitor and forgets its windows.
func (s *Service) remove(ctx context.Context, endpoint string, at time.Time) error {
	s.mu.Lock()
	w := s.watchers[endpoint]
	s.mu.Unlock()
	if w == nil || w.createdAt.After(at) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := s.d.DB.Write(ctx, func(tx *db.Tx) error { return erase(tx, endpoint) }); err != nil {
		return err
	}
	w.gone = true
	w.halt()
	s.mu.Lock()
	delete(s.watchers, endpoint)
	s.mu.Unlock()
	s.metrics.forget(endpoint)
	return nil
}

// halt ends the present reading; the caller holds mu.
func (w *watcher) halt() {
	if w.stop != nil {
		w.stop()
	}
	if w.timer != nil {
		w.timer.Stop()
	}
}

// promote puts a version in charge: the baseline becomes its own, states start anew, windows stay.
func (s *Service) promote(ctx context.Context, endpoint, version string) error {
	w, err := s.watcher(endpoint)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.version == version || w.gone {
		return nil
	}
	w.replace(version)
	if err := s.flush(ctx, w); err != nil {
		return err
	}
	w.halt()
	return nil
}

// Get is one monitor. It returns NotFound.
func (s *Service) Get(ctx context.Context, endpoint string) (Monitor, error) {
	w, err := s.watcher(endpoint)
	if err != nil {
		return Monitor{}, err
	}
	pending, err := s.pending(ctx, w)
	if err != nil {
		return Monitor{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.describe(s.d.Clock.Now())
	m.Pending = pending
	return m, nil
}

// List is every monitor, by endpoint.
func (s *Service) List(ctx context.Context) ([]Monitor, error) {
	out := []Monitor{}
	for _, w := range s.all() {
		m, err := s.Get(ctx, w.endpoint)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Breaches counts the monitors that are in breach of anything.
func (s *Service) Breaches(context.Context) (int64, error) {
	var n int64
	for _, w := range s.all() {
		w.mu.Lock()
		for _, k := range kinds() {
			if *w.st.Verdicts.of(k) == Breach {
				n++
				break
			}
		}
		w.mu.Unlock()
	}
	return n, nil
}

// mostPending bounds how many entries that wait are counted.
const mostPending = 1000

// pending counts the entries of the log that were not taken in yet, up to about mostPending.
func (s *Service) pending(ctx context.Context, w *watcher) (int64, error) {
	w.mu.Lock()
	cursor := w.st.Cursor
	w.mu.Unlock()
	if cursor == s.d.Predlog.End() {
		return 0, nil
	}
	entries, _, err := s.d.Predlog.Read(ctx, w.endpoint, cursor, mostPending)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, e := range entries {
		if e.Label != nil || !e.Record.Time.Before(w.createdAt) {
			n++
		}
	}
	return n, nil
}

// Change is what a PATCH sends: what is left out stays as it is.
type Change struct {
	Window      *WindowSpec     `json:"window,omitempty"`
	Thresholds  json.RawMessage `json:"thresholds,omitempty"`
	LabelColumn *string         `json:"label_column,omitempty"`
	Task        *Task           `json:"task,omitempty"`
}

// Update changes the settings. Another window or task starts the counting anew, another label column also the baseline. It returns
// NotFound, and Invalid naming every field that is out of range.
func (s *Service) Update(ctx context.Context, endpoint string, c Change) (Monitor, error) {
	w, err := s.watcher(endpoint)
	if err != nil {
		return Monitor{}, err
	}
	if err := s.update(ctx, w, c); err != nil {
		return Monitor{}, err
	}
	return s.Get(ctx, endpoint)
}

func (s *Service) update(ctx context.Context, w *watcher, c Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.settings
	if c.Window != nil {
		next.Window = *c.Window
		if next.Window.Unit == "" {
			next.Window.Unit = map[By]string{ByCount: "prediction", ByTime: "day"}[next.Window.By]
		}
		if next.Window.By == ByCount {
			next.Window.Unit = "prediction"
		}
	}
	if len(c.Thresholds) > 0 {
		if err := strict(c.Thresholds, &next.Thresholds); err != nil {
			return err
		}
	}
	if c.LabelColumn != nil {
		next.LabelColumn = *c.LabelColumn
	}
	if c.Task != nil {
		next.Task = *c.Task
	}
	if err := next.Validate(); err != nil {
		return err
	}
	old := w.settings
	w.settings, w.changed = next, true
	if next.Window != old.Window {
		w.restart()
	} else if next.Task != old.Task {
		w.reset()
	}
	if next.LabelColumn != old.LabelColumn {
		w.ref, w.st.RefID, w.refChanged = nil, "", true
	}
	if err := s.flush(ctx, w); err != nil {
		return err
	}
	if next.LabelColumn != old.LabelColumn {
		w.halt()
	}
	return nil
}

// restart begins counting in buckets of another extent.
func (w *watcher) restart() {
	for k := range w.buckets {
		w.out.dropped = append(w.out.dropped, k)
	}
	clear(w.buckets)
	w.labels = newLabelMemory()
	w.st.Total, w.recent, w.series = 0, nil, map[string][]*float64{}
	if w.st.Started {
		w.st.Open = 0
		if w.settings.Window.By == ByTime {
			w.st.Open = floor(w.st.Watermark, w.settings.Window.step())
		}
	}
	w.reset()
	for _, k := range kinds() {
		w.st.Reasons[k] = "the window was changed; its first one is not complete"
	}
}

// Windows are the newest windows that were judged, newest first.
func (s *Service) Windows(ctx context.Context, endpoint string, limit int) ([]WindowSummary, error) {
	if _, err := s.watcher(endpoint); err != nil {
		return nil, err
	}
	return s.summaries(ctx, endpoint, limit)
}

// Window is one window with the distributions of each feature. It returns NotFound.
func (s *Service) Window(ctx context.Context, endpoint, windowID string) (Window, error) {
	if _, err := s.watcher(endpoint); err != nil {
		return Window{}, err
	}
	return s.window(ctx, endpoint, windowID)
}

// Feature is one feature, or "prediction", through the newest windows. It returns NotFound for a name that is none.
func (s *Service) Feature(ctx context.Context, endpoint, name string, windows int) (FeatureHistory, error) {
	w, err := s.watcher(endpoint)
	if err != nil {
		return FeatureHistory{}, err
	}
	w.mu.Lock()
	h := FeatureHistory{Name: name, Windows: []FeaturePoint{}}
	ref := w.column(name)
	if ref != nil {
		h.Type, h.Test = ref.Type, w.settings.Thresholds.Drift.Numeric
		if ref.Type == category {
			h.Test = w.settings.Thresholds.Drift.Categorical
		}
		h.Reference, _ = distributions(ref.Column, ref.Column.Empty())
	}
	w.mu.Unlock()
	all, err := s.details(ctx, endpoint, windows)
	if err != nil {
		return FeatureHistory{}, err
	}
	found := ref != nil
	for _, win := range all {
		fs := win.Features
		if win.Prediction != nil {
			fs = append(fs, *win.Prediction)
		}
		for _, f := range fs {
			if f.Name != name {
				continue
			}
			found = true
			h.Type, h.Test, h.Reference, h.Current = f.Type, f.Test, f.Reference, f.Current
			h.Windows = append(h.Windows, FeaturePoint{win.ID, win.From, win.To, f.Statistic, f.Threshold, f.Verdict, f.MissingShare})
		}
	}
	if !found {
		return FeatureHistory{}, errs.NotFoundf("monitor.feature", "%q is no feature of %s", name, endpoint).WithHint("GET /api/v1/monitors/%s lists the features", endpoint)
	}
	return h, nil
}

// column is the reference of a feature or of the prediction, nil for none.
func (w *watcher) column(name string) *refColumn {
	if w.ref == nil {
		return nil
	}
	for _, f := range w.ref.Features {
		if f.Name == name {
			return f
		}
	}
	if w.ref.Output != nil && w.ref.Output.Name == name {
		return w.ref.Output
	}
	return nil
}
