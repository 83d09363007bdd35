package tracking

import (
	"testing"

	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
)

// A listener asks for the run of each of its events, so for one run as often as it has events. What is kept must be the whole run.
func TestRunAskedForTwiceIsReadWhole(t *testing.T) {
	t.Parallel()
	s, _ := start(t, dbtest.SQLite(t))
	_, ids := grid(t, s)
	runs := must(s.Runs(t.Context(), []string{ids[0], ids[1], ids[0], ids[0]}))(t)
	if len(runs) != 4 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, r := range append(runs, must(s.Run(t.Context(), ids[0]))(t), must(s.Run(t.Context(), ids[1]))(t)) {
		if len(r.Metrics) != 2 || len(r.Params) != 2 || r.Tag("kind") != "nightly" {
			t.Errorf("%d: %+v", i, r)
		}
	}
}
