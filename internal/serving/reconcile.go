package serving

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/infer"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/routing"
)

// kick asks for an endpoint to be reconciled soon.
func (s *Service) kick(name string) {
	s.mu.Lock()
	s.wanted[name] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

const (
	loaders    = 4                // endpoints that load at a time
	retryAfter = 20 * time.Second // doubled each time
	maxRetries = 6
)

// Run loads what the routes ask for and scores mirrored requests, until ctx ends. Then all models are closed.
func (s *Service) Run(ctx context.Context) error {
	var g errgroup.Group
	for range mirrorWorkers {
		g.Go(func() error { s.mirror(ctx); return nil })
	}
	var loading errgroup.Group
	loading.SetLimit(loaders)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.mu.Lock()
		names := s.wanted
		s.wanted = map[string]bool{}
		s.mu.Unlock()
		for name := range names {
			loading.Go(func() error { s.reconcile(ctx, name); return nil })
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-tick.C:
			s.kickDue()
		}
	}
	_ = loading.Wait()
	_ = g.Wait()
	s.closeAll()
	return nil
}

// kickDue asks again for what failed some time ago.
func (s *Service) kickDue() {
	now := s.d.Clock.Now()
	for _, name := range s.names() {
		st := s.stateOf(name)
		st.mu.Lock()
		due := !st.retry.IsZero() && now.After(st.retry)
		if due {
			st.retry = time.Time{}
		}
		st.mu.Unlock()
		if due {
			s.kick(name)
		}
	}
}

func (s *Service) closeAll() {
	s.lives.Store(&map[string]*live{})
	s.mu.Lock()
	states := slices.Collect(maps.Values(s.states))
	s.mu.Unlock()
	for _, st := range states {
		st.mu.Lock()
		loaded := st.loaded
		st.loaded, st.spare = map[string]*deployed{}, nil
		st.mu.Unlock()
		for _, d := range loaded {
			d.retire()
		}
	}
}

// reconcile makes what serves equal to what the route says. It changes nothing when that is so already.
func (s *Service) reconcile(ctx context.Context, name string) {
	st := s.stateOf(name)
	st.work.Lock()
	defer st.work.Unlock()
	rec := st.record()
	if rec == nil {
		s.remove(name, st)
		return
	}
	route := s.d.Routing.Route(name)
	if route == nil { // a crash came between the endpoint and its route
		if _, err := s.d.Routing.Create(ctx, name, rec.model, rec.version); err != nil {
			s.d.Log.Error("cannot make the route of an endpoint", "endpoint", name, "error", err)
		}
		return
	}
	cur := (*s.lives.Load())[name]
	if cur != nil && cur.route == route {
		return
	}
	st.mu.Lock()
	loaded := maps.Clone(st.loaded)
	if st.seen != route.Generation {
		st.seen, st.tries = route.Generation, 0
	}
	st.message = ""
	st.mu.Unlock()
	versions, failed := make([]*deployed, len(route.Targets)), ""
	for i, t := range route.Targets {
		d := loaded[t.Version]
		if d == nil || d.version.Model != rec.model {
			var err error
			if d, err = s.loadAndTell(ctx, st, rec, t.Version); err != nil {
				if ctx.Err() != nil {
					return
				}
				failed = fmt.Sprintf("version %s cannot be loaded: %v", t.Version, err)
				continue
			}
			loaded[t.Version] = d
		}
		versions[i] = d
	}
	s.settle(name, st, rec, route, cur, loaded, versions, failed)
}

// settle swaps the new snapshot in, or keeps the old one when a version failed.
func (s *Service) settle(name string, st *state, rec *record, route *routing.Route, cur *live, loaded map[string]*deployed, versions []*deployed, failed string) {
	next := &live{name: name, model: rec.model, route: route, versions: versions}
	if failed != "" {
		st.mu.Lock()
		st.message = failed
		if st.tries < maxRetries {
			st.retry = s.d.Clock.Now().Add(retryAfter << st.tries)
			st.tries++
		}
		st.mu.Unlock()
		next = cur // what serves goes on serving
		if cur == nil {
			next = withoutFailed(name, rec.model, route, versions)
		}
	}
	keep := map[string]*deployed{}
	if next != nil {
		for _, d := range next.versions {
			keep[d.version.Version] = d
		}
	}
	st.mu.Lock()
	before := st.loaded
	st.spare = spareOf(st.spare, cur, next)
	if st.spare != nil {
		keep[st.spare.version.Version] = st.spare
	}
	st.loaded = keep
	st.mu.Unlock()
	if next != nil && next != cur {
		s.install(name, next) // last: who sees it serve sees also what is loaded
	}
	for _, m := range []map[string]*deployed{before, loaded} {
		for v, d := range m {
			if keep[v] != d {
				d.retire()
			}
		}
	}
}

// spareOf is the version that stays loaded though the route does not name it: the champion before the present one, so that a rollback is a
// swap of pointers and not a load. There is one for an endpoint; the champion after it takes its place.
func spareOf(spare *deployed, cur, next *live) *deployed {
	if cur != nil && next != nil && cur.champion() != next.champion() {
		spare = cur.champion()
	}
	if spare == nil || next == nil || spare.version.Model != next.model || slices.ContainsFunc(next.versions, func(d *deployed) bool {
		return d != spare && d.version.Version == spare.version.Version
	}) {
		return nil
	}
	return spare
}

// withoutFailed serves what could be loaded when nothing served before; nil without the champion.
func withoutFailed(name, model string, route *routing.Route, versions []*deployed) *live {
	part := *route
	part.Generation-- // not what the route says
	part.Targets = nil
	l := &live{name: name, model: model, route: &part}
	spare := 0
	for i, t := range route.Targets {
		if versions[i] == nil {
			spare += t.Weight
			if t.Role == routing.Champion {
				return nil
			}
			continue
		}
		part.Targets = append(part.Targets, t)
		l.versions = append(l.versions, versions[i])
	}
	for i := range part.Targets {
		if part.Targets[i].Role == routing.Champion {
			part.Targets[i].Weight += spare
		}
	}
	return l
}

func (s *Service) install(name string, l *live) {
	for {
		old := s.lives.Load()
		next := maps.Clone(*old)
		if l == nil {
			delete(next, name)
		} else {
			next[name] = l
		}
		if s.lives.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (s *Service) remove(name string, st *state) {
	s.install(name, nil)
	st.mu.Lock()
	loaded := st.loaded
	st.loaded, st.spare, st.status, st.retry = map[string]*deployed{}, nil, map[string]VersionStatus{}, time.Time{}
	st.mu.Unlock()
	for _, d := range loaded {
		d.retire()
	}
	if len(loaded) > 0 {
		s.metrics.forget(name)
		s.d.Predlog.Forget(name)
	}
}

// loadAndTell loads a version, keeps its status and tells of the outcome.
func (s *Service) loadAndTell(ctx context.Context, st *state, rec *record, version string) (*deployed, error) {
	put := func(v VersionStatus) {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.status[version] = v
	}
	put(VersionStatus{Version: version, State: Loading})
	start := time.Now()
	d, err := s.load(ctx, rec.name, rec.model, version)
	if ctx.Err() != nil && err != nil {
		return nil, err
	}
	data := map[string]any{"endpoint": rec.name, "model": rec.model, "version": version, "seconds": time.Since(start).Seconds()}
	typ := "serving.version.loaded"
	if err != nil {
		typ = "serving.version.failed"
		data["error"], data["runtime"] = err.Error(), ""
		s.metrics.loads.WithLabelValues("", "failed").Inc()
		s.d.Log.Warn("a model version cannot be loaded", "endpoint", rec.name, "version", version, "error", err)
		put(VersionStatus{Version: version, State: Failed, Error: errText(err), Seconds: time.Since(start).Seconds()})
	} else {
		data["runtime"], data["engine"] = d.info.Runtime, d.info.Engine
		s.metrics.loads.WithLabelValues(d.info.Runtime, "ok").Inc()
		put(VersionStatus{Version: version, State: Ready, Runtime: d.info.Runtime, Engine: d.info.Engine, LoadedAt: &d.loadedAt, Seconds: d.took.Seconds(), Memory: d.info.Bytes, Notes: d.notes})
	}
	werr := s.d.DB.Write(ctx, func(tx *db.Tx) error {
		return s.d.Events.Append(ctx, tx, typ, events.Resource{Kind: "endpoint", ID: rec.name}, data)
	})
	if werr != nil && ctx.Err() == nil {
		s.d.Log.Error("cannot tell of a loaded version", "endpoint", rec.name, "version", version, "error", werr)
	}
	return d, err
}

func errText(err error) string {
	var le *infer.LoadError
	if errors.As(err, &le) {
		return le.Error()
	}
	return err.Error()
}
