package serving_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/modelyard/modelyard/internal/routing"
	"github.com/modelyard/modelyard/internal/serving"
)

// TestRollbackNeedsNoLoad: the champion before the present one stays in memory, and nothing else does.
func TestRollbackNeedsNoLoad(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	versions := []string{y.version("lgb-regression", nil), y.version("lgb-huber", nil), y.version("lgb-regression", nil)}
	y.deploy("bike", versions[0])
	traffic := func(targets ...routing.Target) serving.Endpoint {
		t.Helper()
		r, err := y.routes.SetTargets(t.Context(), "bike", targets, "trial")
		must(t, err)
		return y.await("bike", func(e serving.Endpoint) bool { return e.Status.ObservedGeneration == r.Generation })
	}
	loaded := func(want ...string) {
		t.Helper()
		if got := y.serving.Loaded("bike"); !slices.Equal(got, want) {
			t.Errorf("in memory: versions %v, expected %v", got, want)
		}
	}
	champion := func(v string, weight int) routing.Target {
		return routing.Target{Version: v, Weight: weight, Role: routing.Champion}
	}
	canary := func(v string) routing.Target { return routing.Target{Version: v, Weight: 10, Role: routing.Canary} }
	first, err := y.serving.Get(t.Context(), "bike")
	must(t, err)

	traffic(champion("1", 90), canary("2"))
	loaded("1", "2")
	traffic(champion("2", 100))
	loaded("1", "2")
	r, err := y.routes.Rollback(t.Context(), "bike", "")
	must(t, err)
	back := y.await("bike", func(e serving.Endpoint) bool { return e.Status.ObservedGeneration == r.Generation })
	if at := back.Status.Versions[0].LoadedAt; back.Status.Versions[0].Version != "1" || at == nil || !at.Equal(*first.Status.Versions[0].LoadedAt) {
		t.Errorf("after the rollback: %+v, loaded first at %v", back.Status.Versions[0], first.Status.Versions[0].LoadedAt)
	}
	if a := y.post("/endpoints/bike/predict", record); a.status != http.StatusOK || a.body["version"] != "1" {
		t.Errorf("it answers %d %v", a.status, a.body)
	}
	loaded("1", "2") // a step forward again is as quick

	traffic(champion("1", 90), canary("3"))
	loaded("1", "2", "3")
	traffic(champion("1", 100)) // a canary that failed does not stay
	loaded("1", "2")
	traffic(champion("3", 100)) // version 1 takes the place of 2
	loaded("1", "3")
	must(t, y.serving.Delete(t.Context(), "bike"))
	y.deploy("bike", "2")
	loaded("2")
}
