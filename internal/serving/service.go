package serving

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/predlog"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/routing"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "serving", FS: migrations} }

// Models finds versions and their files; registry.Service is one.
type Models interface {
	Resolve(ctx context.Context, uri string) (registry.Version, error)
	GetVersion(ctx context.Context, model, version string) (registry.Version, error)
	Materialize(ctx context.Context, v registry.Version, dir string) error
}

// Deps of a Service.
type Deps struct {
	DB       *db.DB
	Events   *events.Log
	Clock    clock.Clock
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	DataDir  string // files of loaded models lie in DataDir/models
	Registry Models
	Routing  *routing.Service
	Predlog  *predlog.Service
	Infer    infer.Options // with the Python runtime

	MaxBody int64         // bytes of a prediction request; default 32 MiB
	MaxRows int           // rows of a prediction request; default 100,000
	Timeout time.Duration // of one prediction; default 30 s
}

// Service owns the endpoints.
type Service struct {
	d       Deps
	metrics *metrics
	lives   atomic.Pointer[map[string]*live]
	scratch sync.Pool
	mirrors mirrorQueue
	filesMu sync.Mutex

	mu     sync.Mutex
	states map[string]*state // every endpoint that is or was; guarded by mu
	wanted map[string]bool   // endpoints to reconcile; guarded by mu
	wake   chan struct{}
}

// live is what a request needs to know of an endpoint. It does not change; a change makes a new one.
type live struct {
	name, model string
	route       *routing.Route
	versions    []*deployed // by target
}

// champion is the version in charge, nil when it could not be loaded.
func (l *live) champion() *deployed {
	for i, t := range l.route.Targets {
		if t.Role == routing.Champion {
			return l.versions[i]
		}
	}
	return nil
}

// state is what the reconciler knows of an endpoint.
type state struct {
	work sync.Mutex // one reconciliation at a time

	mu      sync.Mutex           // guards the rest
	rec     *record              // nil: deleted
	loaded  map[string]*deployed // what the route names, and spare
	spare   *deployed            // the champion before the present one; nil: none
	status  map[string]VersionStatus
	seen    int64 // generation that was tried last
	message string
	retry   time.Time // when to try again what failed; zero: not
	tries   int
}

// New makes the service; Start loads the list of endpoints and Run their models.
func New(d Deps) *Service {
	if d.MaxBody == 0 {
		d.MaxBody = 32 << 20
	}
	if d.MaxRows == 0 {
		d.MaxRows = 100_000
	}
	if d.Timeout == 0 {
		d.Timeout = 30 * time.Second
	}
	s := &Service{d: d, metrics: newMetrics(d.Metrics), states: map[string]*state{}, wanted: map[string]bool{}, wake: make(chan struct{}, 1)}
	s.lives.Store(&map[string]*live{})
	s.scratch.New = func() any { return &scratch{} }
	s.mirrors.jobs = make(chan mirrorJob, mirrorSlots)
	return s
}

// Start reads the endpoints; their models are loaded by Run.
func (s *Service) Start(ctx context.Context) error {
	recs, err := s.loadRecords(ctx)
	if err != nil {
		return err
	}
	for name, r := range recs {
		s.stateOf(name).set(r)
		s.kick(name)
	}
	return nil
}

// Subscribe hears of changed endpoints and routes: at once from this process, and by event from others, and from this one when the
// database went away in the middle of the commit.
func (s *Service) Subscribe() {
	s.d.Routing.OnChange(s.kick)
	s.d.Events.Listen(events.Listener{Name: "serving.route_changed", Types: []string{"routing.route.changed", "serving.endpoint.created", "serving.endpoint.deleted"},
		Handle: func(ctx context.Context, e events.Event) error { return s.refresh(ctx, e.Resource.ID) }})
}

// refresh makes an endpoint's record and route in memory what the store has.
func (s *Service) refresh(ctx context.Context, name string) error {
	st := s.stateOf(name)
	st.mu.Lock() // what is committed after the reading is set after it
	r, err := s.loadRecord(ctx, name)
	if err == nil && (r == nil || st.rec == nil || !r.createdAt.Equal(st.rec.createdAt)) { // nothing else of a record changes
		st.rec, st.spare = r, nil
	}
	st.mu.Unlock()
	if err == nil {
		err = s.d.Routing.Refresh(ctx, name)
	}
	if err == nil {
		s.kick(name)
	}
	return err
}

func (s *Service) stateOf(name string) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.states[name]
	if st == nil {
		st = &state{loaded: map[string]*deployed{}, status: map[string]VersionStatus{}}
		s.states[name] = st
	}
	return st
}

func (st *state) set(r *record) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.rec, st.spare = r, nil // another endpoint of the same name has a history of its own
}

func (st *state) record() *record {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.rec
}

// NewEndpoint describes an endpoint to create.
type NewEndpoint struct {
	Name     string // empty: made from the model's name
	ModelURI string // models:/name@alias or models:/name/3; an alias is resolved now and not followed later
}

// Create makes an endpoint with one version that gets all traffic; it is loaded in the background. It returns Invalid, NotFound, Conflict,
// and Precondition for a version without files.
func (s *Service) Create(ctx context.Context, n NewEndpoint) (Endpoint, error) {
	v, err := s.d.Registry.Resolve(ctx, n.ModelURI)
	if err != nil {
		return Endpoint{}, err
	}
	if n.Name == "" {
		n.Name = defaultName(v.Model)
	}
	if err := checkName(n.Name); err != nil {
		return Endpoint{}, err
	}
	if v.FilesCount == 0 {
		return Endpoint{}, errs.E(errs.Precondition, "serving.create", v.URI()+" has no model files", nil).WithHint("register a version that was logged with log_model")
	}
	r := &record{name: n.Name, model: v.Model, version: v.Version, modelURI: n.ModelURI, createdBy: actor.From(ctx).String(), createdAt: s.d.Clock.Now().Truncate(time.Microsecond)}
	err = s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := insertRecord(tx, r); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.stateOf(n.Name).set(r) })
		return s.d.Events.Append(ctx, tx, "serving.endpoint.created", events.Resource{Kind: "endpoint", ID: n.Name}, map[string]any{
			"endpoint": n.Name, "model": v.Model, "version": v.Version, "model_uri": n.ModelURI,
		})
	})
	if err != nil {
		return Endpoint{}, err
	}
	if _, err := s.d.Routing.Create(ctx, n.Name, v.Model, v.Version); err != nil {
		return Endpoint{}, err
	}
	s.kick(n.Name)
	return s.Get(ctx, n.Name)
}

// Delete takes an endpoint away: requests that run are answered, new ones are refused. Its predictions stay in the log.
func (s *Service) Delete(ctx context.Context, name string) error {
	st := s.stateOf(name)
	r := st.record()
	if r == nil {
		return s.notFound(name)
	}
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		there, err := deleteRecord(tx, name)
		if err != nil || !there {
			return err
		}
		tx.AfterCommit(func() { st.set(nil) })
		return s.d.Events.Append(ctx, tx, "serving.endpoint.deleted", events.Resource{Kind: "endpoint", ID: name}, map[string]any{
			"endpoint": name, "model": r.model, "version": r.version,
		})
	})
	if err != nil {
		return err
	}
	s.install(name, nil) // at once: an endpoint made anew under the name must not answer by the old one
	err = s.d.Routing.Delete(ctx, name)
	s.kick(name)
	return err
}

// Get is one endpoint. It returns NotFound with the nearest name.
func (s *Service) Get(_ context.Context, name string) (Endpoint, error) {
	s.mu.Lock()
	st := s.states[name]
	s.mu.Unlock()
	if st == nil || st.record() == nil {
		return Endpoint{}, s.notFound(name)
	}
	return s.describe(st), nil
}

// List is every endpoint, by name.
func (s *Service) List(context.Context) []Endpoint {
	out := []Endpoint{}
	for _, name := range s.names() {
		s.mu.Lock()
		st := s.states[name]
		s.mu.Unlock()
		if st.record() != nil {
			out = append(out, s.describe(st))
		}
	}
	return out
}

func (s *Service) names() []string {
	s.mu.Lock()
	all := slices.Sorted(maps.Keys(s.states))
	states := maps.Clone(s.states)
	s.mu.Unlock()
	return slices.DeleteFunc(all, func(n string) bool { return states[n].record() == nil })
}

func (s *Service) notFound(name string) error {
	names := s.names()
	e := errs.NotFoundf("serving.get", "there is no endpoint %.80q", name)
	if near := nearest(name, names); near != "" {
		return e.WithHint("did you mean %s?", near)
	}
	if len(names) == 0 {
		return e.WithHint("deploy a model first: modelyard deploy models:/<name>@<alias>")
	}
	return e.WithHint("GET /api/v1/endpoints lists them")
}

// describe puts an endpoint together from its record, its route and what is loaded.
func (s *Service) describe(st *state) Endpoint {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.rec
	if r == nil {
		return Endpoint{}
	}
	e := Endpoint{Name: r.name, Model: r.model, ModelURI: r.modelURI, CreatedAt: r.createdAt, CreatedBy: r.createdBy, Spec: Spec{Targets: []routing.Target{}},
		Status: Status{State: Loading, Message: st.message, Versions: []VersionStatus{}}}
	route := s.d.Routing.Route(r.name)
	if route == nil {
		return e
	}
	e.Spec = Spec{Generation: route.Generation, Targets: route.Targets}
	l := (*s.lives.Load())[r.name]
	failed := false
	for _, t := range route.Targets {
		v, ok := st.status[t.Version]
		if !ok {
			v = VersionStatus{Version: t.Version, State: Loading}
		}
		v.Role, v.Weight = t.Role, t.Weight
		if v.State == Failed {
			failed = true
			if e.Status.Message == "" {
				e.Status.Message = fmt.Sprintf("version %s cannot be loaded: %s", v.Version, v.Error)
			}
		}
		e.Status.Versions = append(e.Status.Versions, v)
	}
	if l != nil {
		e.Status.ObservedGeneration = l.route.Generation
		d := l.champion()
		if d == nil {
			d = l.versions[0]
		}
		e.Signature = &Signature{Inputs: d.info.Inputs, Outputs: d.info.Outputs}
		e.SampleInput = d.sample
	}
	switch {
	case l != nil && l.route.Generation == route.Generation && !failed:
		e.Status.State = Ready
	case l != nil && failed:
		e.Status.State = Degraded
	case l != nil:
		e.Status.State = Ready // the next generation is being loaded beside
		e.Status.Message = "loading the next generation beside the one that serves"
	case failed:
		e.Status.State = Failed
	}
	return e
}

// Healthy is nil when every endpoint serves or has failed for good: what /readyz asks.
func (s *Service) Healthy() error {
	for _, e := range s.List(context.Background()) { //nolint:contextcheck // List reads memory only
		if e.Status.State == Loading {
			return errs.E(errs.Unavailable, "serving.healthy", "endpoint "+e.Name+" is loading", nil)
		}
	}
	return nil
}
