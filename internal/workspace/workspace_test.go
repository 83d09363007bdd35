package workspace

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
	"github.com/modelyard/modelyard/internal/platform/space"
)

func newService(t *testing.T, d *db.DB) *Service {
	t.Helper()
	if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations(), Migrations()); err != nil {
		t.Fatal(err)
	}
	ck := clock.NewFake(time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC))
	q := jobs.NewQueue(jobs.Deps{DB: d, Clock: ck})
	s := New(Deps{DB: d, Events: events.NewLog(events.Deps{DB: d, Jobs: q, Clock: ck}), Clock: ck})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// shelf holds names by workspace, and fails when it is told to.
type shelf struct {
	mu    sync.Mutex
	names map[string][]string
	fail  error
	seen  func(ctx context.Context)
}

func (h *shelf) holder() Holder {
	return Holder{Noun: "books",
		Names: func(_ context.Context, w string) ([]string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.Clone(h.names[w]), nil
		},
		Move: func(ctx context.Context, from, to string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.seen != nil {
				h.seen(ctx)
			}
			if h.fail == nil {
				h.names[to] = append(h.names[to], h.names[from]...)
				delete(h.names, from)
			}
			return h.fail
		},
		Purge: func(_ context.Context, w string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.names, w)
			return h.fail
		}}
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		h := &shelf{names: map[string][]string{"team-a": {"x"}, space.Default: {"y"}}}
		s.Hold(h.holder())
		ctx := space.With(t.Context(), "team-b") // whoever deletes works somewhere else
		if _, err := s.Create(ctx, "team-a", Change{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, "team-a", Restrict); !errs.Is(err, errs.Precondition) || !strings.Contains(err.Error(), "1 resource") {
			t.Fatal(err)
		}
		h.fail = errors.New("broke off")
		h.seen = func(ctx context.Context) {
			if _, scoped := space.From(ctx); scoped {
				t.Error("a holder works in the workspace of whoever deletes")
			}
			if err := s.Has(ctx, "team-a"); !errs.Is(err, errs.NotFound) {
				t.Errorf("a workspace that is being deleted takes requests: %v", err)
			}
			if _, err := s.Create(ctx, "team-a", Change{}); err == nil {
				t.Error("a workspace that is being deleted is made again")
			}
		}
		if err := s.Delete(ctx, "team-a", SetDefault); err == nil {
			t.Fatal("expected the holder's error")
		}
		if err := s.Has(ctx, "team-a"); err != nil {
			t.Fatalf("it did not open again: %v", err)
		}
		h.names["team-a"] = []string{"x", "y"}
		if err := s.Delete(ctx, "team-a", SetDefault); !errs.Is(err, errs.Precondition) || !strings.Contains(err.Error(), "books: 'y'") {
			t.Fatal(err)
		}
		h.names["team-a"], h.fail, h.seen = []string{"x"}, nil, nil
		if err := s.Delete(ctx, "team-a", SetDefault); err != nil || !slices.Equal(h.names[space.Default], []string{"y", "x"}) {
			t.Fatal(err, h.names)
		}
		if err := s.Delete(ctx, "team-a", Cascade); !errs.Is(err, errs.NotFound) {
			t.Fatal(err)
		}
		for _, mode := range []Mode{"", "restrict"} {
			if err := s.Delete(ctx, "team-a", mode); !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", mode, err)
			}
		}
	})
}

// TestStartOpensWhatBrokeOff: a deletion that a crash interrupted can be done again.
func TestStartOpensWhatBrokeOff(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newService(t, d)
		if _, err := s.Create(t.Context(), "team-a", Change{}); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), func(tx *db.Tx) error { return closeIt(tx, "team-a") }); err != nil {
			t.Fatal(err)
		}
		s.forget()
		if err := s.Has(t.Context(), "team-a"); !errs.Is(err, errs.NotFound) {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "team-a", Restrict); err != nil {
			t.Fatal(err)
		}
		if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0].Name != space.Default {
			t.Fatal(all, err)
		}
	})
}

func TestChanges(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.SQLite(t))
	text := func(s string) *string { return &s }
	w, err := s.Create(t.Context(), "team-a", Change{Description: text("A"), ArtifactRoot: text(" mlflow-artifacts:/ ")})
	if err != nil || w.ArtifactRoot != "mlflow-artifacts:/" {
		t.Fatal(w, err)
	}
	if w, err = s.Update(t.Context(), "team-a", Change{ArtifactRoot: text("")}); err != nil || w.Description != "A" || w.ArtifactRoot != "" {
		t.Fatal(w, err)
	}
	for name, ch := range map[string]Change{"nothing": {}, "root": {ArtifactRoot: text("s3://x")}, "nul": {Description: text("\x00")}, "long": {Description: text(strings.Repeat("x", MaxDescription+1))}} {
		if _, err := s.Update(t.Context(), "team-a", ch); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Update(t.Context(), "nobody", Change{Description: text("")}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if _, err := s.Update(t.Context(), space.Default, Change{Description: text("all of us")}); err != nil {
		t.Error(err)
	}
}
