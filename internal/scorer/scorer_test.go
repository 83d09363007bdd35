package scorer

import (
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
)

func TestScorers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), Migrations()); err != nil {
			t.Fatal(err)
		}
		s := New(d, clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)))
		for _, name := range []string{"b", "a", "b"} {
			if _, err := s.Register(t.Context(), "1", name, `{"name":"x"}`); err != nil {
				t.Fatal(err)
			}
		}
		latest, err := s.Latest(t.Context(), []string{"1", "2"})
		if err != nil || len(latest) != 2 || latest[0].Name != "a" || latest[1].Number != 2 {
			t.Fatalf("%v %v", latest, err)
		}
		if v, err := s.Get(t.Context(), "1", "b", 1); err != nil || v.Number != 1 || v.ScorerID != latest[1].ScorerID || v.Body != `{"name":"x"}` {
			t.Errorf("%v %v", v, err)
		}
		if _, err := s.Get(t.Context(), "2", "b", 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("of another experiment: %v", err)
		}
		if err := s.Delete(t.Context(), "1", "b", 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "1", "b", 1); !errs.Is(err, errs.NotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if vs, err := s.Versions(t.Context(), "1", "b"); err != nil || len(vs) != 1 || vs[0].Number != 2 {
			t.Errorf("%v %v", vs, err)
		}
		if err := s.Delete(t.Context(), "1", "b", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Versions(t.Context(), "1", "b"); !errs.Is(err, errs.NotFound) {
			t.Errorf("%v", err)
		}
	})
}
