package routing_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/registry"
	"github.com/modelyard/modelyard/internal/routing"
)

// versions knows versions 1 to 5 of every model.
type versions struct{}

func (versions) GetVersion(_ context.Context, model, version string) (registry.Version, error) {
	if len(version) != 1 || version < "1" || version > "5" {
		return registry.Version{}, errs.NotFoundf("test", "no version %s", version)
	}
	return registry.Version{Model: model, Version: version}, nil
}

func open(t *testing.T, d *db.DB) *routing.Service {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: clock.System{}, Log: log})
	ev := events.NewLog(events.Deps{DB: d, Jobs: q, Clock: clock.System{}, Log: log})
	must(t, d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), routing.Migrations()))
	s := routing.New(routing.Deps{DB: d, Events: ev, Clock: clock.System{}, Registry: versions{}})
	must(t, s.Start(t.Context()))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGenerationsAndRollback(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := open(t, d)
		_, err := s.Create(t.Context(), "bike", "bike-demand", "3")
		must(t, err)
		if _, err := s.Rollback(t.Context(), "bike", ""); !errs.Is(err, errs.Precondition) {
			t.Errorf("nothing to go back to: %v", err)
		}
		set := func(targets ...routing.Target) routing.Route {
			t.Helper()
			r, err := s.SetTargets(t.Context(), "bike", targets, "test")
			must(t, err)
			return r
		}
		set(routing.Target{Version: "3", Weight: 90}, routing.Target{Version: "4", Weight: 10})
		same := set(routing.Target{Version: "3", Weight: 90}, routing.Target{Version: "4", Weight: 10})
		if same.Generation != 2 || !same.Mirror || same.Targets[1].Role != routing.Canary {
			t.Errorf("an equal split made %+v", same)
		}
		r, err := s.Rollback(t.Context(), "bike", "")
		must(t, err)
		if len(r.Targets) != 1 || r.Champion().Version != "3" {
			t.Errorf("rolled back from a canary to %+v", r)
		}
		set(routing.Target{Version: "3", Weight: 50, Role: routing.Champion}, routing.Target{Version: "4", Weight: 50})
		set(routing.Target{Version: "4", Weight: 100})
		r, err = s.Rollback(t.Context(), "bike", "worse")
		must(t, err)
		if r.Champion().Version != "3" || len(r.Targets) != 1 || r.Generation != 6 {
			t.Errorf("rolled back to %+v", r)
		}
		if _, err := s.Apply(t.Context(), routing.Change{Endpoint: "bike", Targets: []routing.Target{{Version: "5", Weight: 100}}, IfGeneration: 5}); !errs.Is(err, errs.Conflict) {
			t.Errorf("an outdated change: %v", err)
		}
		again := routing.New(routing.Deps{DB: d, Clock: clock.System{}, Registry: versions{}})
		must(t, again.Start(t.Context()))
		if r := again.Route("bike"); r == nil || r.Generation != 6 || r.Champion().Version != "3" {
			t.Errorf("after a restart %+v", r)
		}
		h, err := s.History(t.Context(), "bike", 0, 100)
		must(t, err)
		if len(h) != 6 || h[0].Generation != 6 || h[5].Reason != "endpoint created" {
			t.Errorf("history of %d", len(h))
		}
		must(t, s.Delete(t.Context(), "bike"))
		if _, err := s.Pick("bike", ""); !errs.Is(err, errs.NotFound) {
			t.Errorf("a deleted route: %v", err)
		}
	})
}

func TestWrongSplitsAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t))
	_, err := s.Create(t.Context(), "bike", "bike-demand", "3")
	must(t, err)
	for name, targets := range map[string][]routing.Target{
		"none": nil, "sum": {{Version: "3", Weight: 90}}, "twice": {{Version: "3", Weight: 50}, {Version: "3", Weight: 50}},
		"negative": {{Version: "3", Weight: 110}, {Version: "4", Weight: -10}}, "role": {{Version: "3", Weight: 100, Role: "boss"}},
		"shadow with weight": {{Version: "3", Weight: 50}, {Version: "4", Weight: 50, Role: routing.Shadow}},
		"two champions":      {{Version: "3", Weight: 50, Role: routing.Champion}, {Version: "4", Weight: 50, Role: routing.Champion}},
	} {
		if _, err := s.SetTargets(t.Context(), "bike", targets, ""); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.SetTargets(t.Context(), "bike", []routing.Target{{Version: "9", Weight: 100}}, ""); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown version: %v", err)
	}
}

func TestPickFollowsWeightsAndKeepsKeys(t *testing.T) {
	t.Parallel()
	route := func(canary int) *routing.Route {
		return &routing.Route{Endpoint: "bike", Targets: []routing.Target{{Version: "3", Weight: 100 - canary, Role: routing.Champion},
			{Version: "4", Weight: canary, Role: routing.Canary}, {Version: "5", Role: routing.Shadow}}}
	}
	const n = 20_000
	had := map[string]bool{}
	for _, share := range []int{10, 50, 100} {
		r, got := route(share), 0
		for i := range n {
			key := fmt.Sprint("hour-", i)
			if r.Pick(key) == 1 {
				got++
				had[key] = true
			} else if had[key] {
				t.Fatalf("%s left the canary when it grew to %d", key, share)
			}
		}
		if off := float64(got)/n*100 - float64(share); off > 1 || off < -1 {
			t.Errorf("%d of %d keys at %d percent", got, n, share)
		}
		random := 0
		for range n {
			if r.Pick("") == 1 {
				random++
			}
		}
		if off := float64(random)/n*100 - float64(share); off > 2 || off < -2 {
			t.Errorf("%d of %d without a key at %d percent", random, n, share)
		}
	}
}
