package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// TestStoreBatchListener: a listener that takes batches hears every event in order by a job or two, also those behind one that it refuses; a
// listener without Batch has a job for each.
func TestStoreBatchListener(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const events = 120
		c, log := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), slog.New(slog.DiscardHandler)
		q := jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: log})
		l := NewLog(Deps{DB: d, Jobs: q, Clock: c, Log: log})
		if err := d.Migrate(t.Context(), jobs.Migrations(), Migrations()); err != nil {
			t.Fatal(err)
		}
		var heardTogether, heardSingly []string
		together, singly := make(chan struct{}), make(chan struct{})
		note := func(list *[]string, done chan struct{}) func(context.Context, Event) error {
			return func(_ context.Context, e Event) error { // the jobs of one listener run one at a time
				if *list = append(*list, e.Resource.ID); len(*list) == events {
					close(done)
				}
				if e.Resource.ID == "7" {
					return errs.Invalidf("test", "not this one")
				}
				return nil
			}
		}
		one := note(&heardTogether, together)
		l.Listen(Listener{Name: "together", Types: []string{"test.*"}, HandleAll: func(ctx context.Context, es []Event) error {
			if len(es) > 1 && slices.ContainsFunc(es, func(e Event) bool { return e.Resource.ID == "7" }) {
				return errs.Invalidf("test", "not these")
			}
			var failed error
			for _, e := range es {
				failed = errors.Join(failed, one(ctx, e))
			}
			return failed
		}})
		l.Listen(Listener{Name: "singly", Types: []string{"test.*"}, Handle: note(&heardSingly, singly)})
		var want []string
		err := d.Write(t.Context(), func(tx *db.Tx) error {
			want = nil
			for i := range events {
				want = append(want, fmt.Sprint(i))
				if err := l.Append(t.Context(), tx, "test.thing.happened", Resource{Kind: "thing", ID: fmt.Sprint(i)}, struct{}{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- l.Run(ctx) }()
		go func() { ended <- q.Run(ctx) }()
		<-together
		<-singly
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !slices.Equal(heardTogether, want) || !slices.Equal(heardSingly, want) {
			t.Errorf("heard %v and %v", heardTogether, heardSingly)
		}
		var n int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM job WHERE kind = 'hear:together'").Scan(&n); err != nil || n < 1 || n > 2 {
			t.Errorf("%d jobs for %d events in batches (%v)", n, events, err)
		}
	})
}
