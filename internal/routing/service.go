package routing

import (
	"context"
	"embed"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/registry"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "routing", FS: migrations} }

// Versions finds model versions; registry.Service is one.
type Versions interface {
	GetVersion(ctx context.Context, model, version string) (registry.Version, error)
}

// Deps of a Service.
type Deps struct {
	DB       *db.DB
	Events   *events.Log
	Clock    clock.Clock
	Registry Versions
}

// Service keeps the routes.
type Service struct {
	d        Deps
	snapshot atomic.Pointer[map[string]*Route]

	mu    sync.Mutex // guards writing of the snapshot and hears
	hears []func(endpoint string)
}

// New makes the service; Start loads the routes.
func New(d Deps) *Service {
	s := &Service{d: d}
	s.snapshot.Store(&map[string]*Route{})
	return s
}

// Start loads the routes into memory.
func (s *Service) Start(ctx context.Context) error {
	all, err := s.loadAll(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot.Store(&all)
	return nil
}

// OnChange registers fn, which is called after each change of a route has been committed. fn must not block.
func (s *Service) OnChange(fn func(endpoint string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hears = append(s.hears, fn)
}

// Refresh reads an endpoint's route again and installs it when it is not the one in memory: another process changed it, or the database
// went away in the middle of a commit here, so that nobody knew what became of it.
func (s *Service) Refresh(ctx context.Context, endpoint string) error {
	s.mu.Lock() // what is committed after the reading is installed after it
	r, err := s.loadOne(ctx, endpoint)
	if have := s.Route(endpoint); err != nil || r == have || r != nil && have != nil && r.Generation == have.Generation && r.At.Equal(have.At) {
		s.mu.Unlock()
		return err
	}
	s.installLocked(endpoint, r)
	return nil
}

// install puts a route into the snapshot (nil removes it) and tells who listens.
func (s *Service) install(endpoint string, r *Route) {
	s.mu.Lock()
	s.installLocked(endpoint, r)
}

// installLocked unlocks s.mu before it tells.
func (s *Service) installLocked(endpoint string, r *Route) {
	next := maps.Clone(*s.snapshot.Load())
	if old := next[endpoint]; r == nil {
		delete(next, endpoint)
	} else if old == nil || old.Generation < r.Generation || old.At.Before(r.At) {
		next[endpoint] = r
	}
	s.snapshot.Store(&next)
	hears := slices.Clone(s.hears)
	s.mu.Unlock()
	for _, fn := range hears {
		fn(endpoint)
	}
}

// Create makes the first generation of an endpoint's route: one champion. When the endpoint has a route already it is returned as it is.
func (s *Service) Create(ctx context.Context, endpoint, model, version string) (Route, error) {
	if _, err := s.d.Registry.GetVersion(ctx, model, version); err != nil {
		return Route{}, err
	}
	return s.change(ctx, endpoint, func(tx *db.Tx, cur *Route) (*Route, error) {
		if cur != nil {
			return nil, nil
		}
		return &Route{Model: model, Targets: []Target{{Version: version, Weight: 100, Role: Champion}}, Reason: "endpoint created"}, nil
	})
}

// Get is the route in force. It returns NotFound.
func (s *Service) Get(_ context.Context, endpoint string) (Route, error) {
	if r := s.Route(endpoint); r != nil {
		return *r, nil
	}
	return Route{}, notFound(endpoint)
}

// Route is the route in force from memory, nil when there is none. Do not change it.
func (s *Service) Route(endpoint string) *Route { return (*s.snapshot.Load())[endpoint] }

// Pick chooses the version that answers a request of the endpoint, from memory. It returns NotFound.
func (s *Service) Pick(endpoint, key string) (Target, error) {
	r := s.Route(endpoint)
	if r == nil {
		return Target{}, notFound(endpoint)
	}
	return r.Targets[r.Pick(key)], nil
}

// All is every route, by endpoint.
func (s *Service) All() map[string]*Route { return *s.snapshot.Load() }

func notFound(endpoint string) error {
	return errs.NotFoundf("routing.get", "endpoint %q has no route", endpoint)
}

// Change is a new traffic split. With IfGeneration the change is refused (Conflict) when somebody else changed the route meanwhile.
type Change struct {
	Endpoint     string
	Targets      []Target
	Reason       string
	IfGeneration int64
}

// SetTargets replaces the targets of a route. It returns Invalid, NotFound for an unknown endpoint or version.
func (s *Service) SetTargets(ctx context.Context, endpoint string, targets []Target, reason string) (Route, error) {
	return s.Apply(ctx, Change{Endpoint: endpoint, Targets: targets, Reason: reason})
}

// maxReason bounds a reason, in bytes.
const maxReason = 2000

// Apply makes the next generation of a route. Targets that are in force already change nothing. It returns Invalid, NotFound or Conflict.
func (s *Service) Apply(ctx context.Context, c Change) (Route, error) {
	targets, err := checkTargets(c.Targets)
	if err != nil {
		return Route{}, err
	}
	if len(c.Reason) > maxReason {
		return Route{}, errs.Invalidf("routing.apply", "the traffic split is not valid").WithField("reason", "expected at most %d bytes", maxReason)
	}
	cur := s.Route(c.Endpoint)
	if cur == nil {
		return Route{}, notFound(c.Endpoint)
	}
	for _, t := range targets {
		if _, err := s.d.Registry.GetVersion(ctx, cur.Model, t.Version); err != nil {
			return Route{}, err
		}
	}
	return s.change(ctx, c.Endpoint, func(_ *db.Tx, cur *Route) (*Route, error) {
		switch {
		case cur == nil:
			return nil, notFound(c.Endpoint)
		case c.IfGeneration != 0 && c.IfGeneration != cur.Generation:
			return nil, errs.E(errs.Conflict, "routing.apply", "the route was changed meanwhile", nil).
				WithField("if_generation", "it is %d, the route is at %d", c.IfGeneration, cur.Generation).WithHint("read the endpoint again and decide anew")
		case slices.Equal(cur.Targets, targets):
			return nil, nil
		}
		return &Route{Model: cur.Model, Targets: targets, Reason: c.Reason}, nil
	})
}

// Rollback takes canaries and shadows away when there are any; otherwise the champion before the present one gets all traffic again. It
// returns NotFound, and Precondition when there was no other champion.
func (s *Service) Rollback(ctx context.Context, endpoint, reason string) (Route, error) {
	if reason == "" {
		reason = "rolled back by hand"
	}
	return s.change(ctx, endpoint, func(tx *db.Tx, cur *Route) (*Route, error) {
		if cur == nil {
			return nil, notFound(endpoint)
		}
		champion := cur.Champion().Version
		if len(cur.Targets) == 1 {
			before, err := previousChampion(tx, endpoint, cur)
			if err != nil {
				return nil, err
			}
			champion = before
		}
		return &Route{Model: cur.Model, Targets: []Target{{Version: champion, Weight: 100, Role: Champion}}, Reason: reason}, nil
	})
}

// Delete removes an endpoint's route with its history; one that is not there is no error.
func (s *Service) Delete(ctx context.Context, endpoint string) error {
	return s.d.DB.Write(ctx, func(tx *db.Tx) error {
		if err := deleteRoute(tx, endpoint); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.install(endpoint, nil) })
		return nil
	})
}

// change makes the next generation of what decide gives; nil leaves the route as it is.
func (s *Service) change(ctx context.Context, endpoint string, decide func(tx *db.Tx, cur *Route) (*Route, error)) (Route, error) {
	var out Route
	err := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		cur, err := load(tx, endpoint)
		if err != nil {
			return err
		}
		next, err := decide(tx, cur)
		if err != nil {
			return err
		}
		if next == nil {
			out = *cur
			return nil
		}
		next.Endpoint, next.Generation, next.Mirror = endpoint, 1, len(next.Targets) > 1
		next.Actor, next.At = actor.From(ctx).String(), s.d.Clock.Now().Truncate(time.Microsecond)
		previous := []Target{}
		if cur != nil {
			next.Generation, previous = cur.Generation+1, cur.Targets
		}
		if err := insert(tx, next); err != nil {
			return err
		}
		err = s.d.Events.Append(ctx, tx, "routing.route.changed", events.Resource{Kind: "endpoint", ID: endpoint}, map[string]any{
			"endpoint": endpoint, "model": next.Model, "generation": next.Generation, "targets": next.Targets, "previous": previous, "reason": next.Reason,
		})
		out = *next
		tx.AfterCommit(func() { s.install(endpoint, next) })
		return err
	})
	return out, err
}
