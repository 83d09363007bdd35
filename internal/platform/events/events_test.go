package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/events"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

type yard struct {
	*events.Log
	t *testing.T
	d *db.DB
	q *jobs.Queue
}

func each(t *testing.T, test func(y yard)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), jobs.Migrations(), events.Migrations()); err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		q := jobs.NewQueue(jobs.Deps{DB: d, Clock: clock.System{}, Log: log})
		test(yard{events.NewLog(events.Deps{DB: d, Jobs: q, Clock: clock.System{}, Log: log}), t, d, q})
	})
}

// run starts the sequencer and the workers.
func (y yard) run() {
	ctx, cancel := context.WithCancel(y.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = y.Run(ctx) })
	wg.Go(func() { _ = y.q.Run(ctx) })
	y.t.Cleanup(func() { cancel(); wg.Wait() })
}

func (y yard) append(ctx context.Context, typ, id string, data any) error {
	return y.d.Write(ctx, func(tx *db.Tx) error { return y.Append(ctx, tx, typ, events.Resource{Kind: "thing", ID: id}, data) })
}

func (y yard) await(what string, done func() bool) {
	y.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			y.t.Fatalf("%s: nothing happened", what)
		}
	}
}

// all waits for n events in the chain and gives them in order.
func (y yard) all(n int) []events.Event {
	y.t.Helper()
	var es []events.Event
	y.await(fmt.Sprintf("%d events", n), func() bool {
		var err error
		if es, err = y.List(y.t.Context(), events.Filter{Ascending: true, Limit: 1000}); err != nil {
			y.t.Fatal(err)
		}
		return len(es) == n
	})
	return es
}

func TestAppendTellsWhoAndWhat(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.run()
		ctx := actor.WithRequest(actor.With(y.t.Context(), actor.Actor{Type: actor.User, ID: "ada"}), "req-1")
		if err := y.append(ctx, "shop.thing.made", "t1", map[string]int{"n": 7}); err != nil {
			y.t.Fatal(err)
		}
		boom := errors.New("boom")
		err := y.d.Write(ctx, func(tx *db.Tx) error {
			if err := y.Append(ctx, tx, "shop.thing.made", events.Resource{Kind: "thing", ID: "never"}, nil); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			y.t.Fatal(err)
		}
		e := y.all(1)[0]
		var data struct{ N int }
		if err := e.Decode(&data); err != nil || data.N != 7 {
			y.t.Errorf("data: %+v %v", data, err)
		}
		if e.Actor.String() != "user:ada" || e.RequestID != "req-1" || e.Resource.ID != "t1" || e.Seq != 1 || e.PrevHash != "" || len(e.Hash) != 64 {
			y.t.Errorf("%+v", e)
		}
		if got, err := y.Get(ctx, e.ID); err != nil || got.Hash != e.Hash {
			y.t.Errorf("%+v %v", got, err)
		}
		if _, err := y.Get(ctx, "none"); !errs.Is(err, errs.NotFound) {
			y.t.Errorf("an unknown event: %v", err)
		}
	})
}

// TestChain: many writers at once make one chain without gaps, and any change of the past shows.
func TestChain(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.run()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 15 {
					if err := y.append(y.t.Context(), "shop.thing.made", fmt.Sprint(w), i); err != nil {
						y.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		prev := ""
		for i, e := range y.all(120) {
			if e.Seq != int64(i+1) || e.PrevHash != prev {
				y.t.Fatalf("event %d has the number %d", i+1, e.Seq)
			}
			prev = e.Hash
		}
		if n, err := y.Verify(y.t.Context()); err != nil || n != 120 {
			y.t.Fatalf("%d %v", n, err)
		}
		for _, change := range []struct{ do, undo string }{
			{"UPDATE event SET data = '99' WHERE seq = 50", ""},
			{"UPDATE event SET actor_id = 'mallory' WHERE seq = 50", ""},
			{"UPDATE event SET at = at + 1 WHERE seq = 50", "UPDATE event SET at = at - 1 WHERE seq = 50"},
			{"UPDATE event SET seq = 1000 WHERE seq = 120", "UPDATE event SET seq = 120 WHERE seq = 1000"},
			{"DELETE FROM event WHERE seq = 50", ""},
		} {
			e := y.all(120)[49]
			exec := func(q string, args ...any) {
				err := y.d.Write(y.t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(q, args...); return err })
				if err != nil {
					y.t.Fatal(err)
				}
			}
			exec(change.do)
			if _, err := y.Verify(y.t.Context()); !errs.Is(err, errs.Precondition) {
				y.t.Errorf("%s: %v", change.do, err)
			}
			if change.undo != "" {
				exec(change.undo)
				continue
			}
			exec("DELETE FROM event WHERE seq = 50")
			exec(`INSERT INTO event (id, seq, type, resource_kind, resource_id, actor_type, actor_id, request_id, at, data, prev_hash, hash) VALUES (?, 50, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ID, e.Type, e.Resource.Kind, e.Resource.ID, string(e.Actor.Type), e.Actor.ID, e.RequestID, clock.Micros(e.At), string(e.Data), e.PrevHash, e.Hash)
		}
		if _, err := y.Verify(y.t.Context()); err != nil {
			y.t.Errorf("put back as it was: %v", err)
		}
	})
}

// TestWaitingEventsGetTheirPlaces: events without a place (all new ones on PostgreSQL, those of an older version on SQLite) are chained behind
// those that have one.
func TestWaitingEventsGetTheirPlaces(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		if err := y.append(y.t.Context(), "shop.thing.made", "first", nil); err != nil {
			y.t.Fatal(err)
		}
		y.all(1)
		const n = 60
		err := y.d.Write(y.t.Context(), func(tx *db.Tx) error {
			for i := range n {
				if _, err := tx.Exec(`INSERT INTO event (id, seq, type, resource_kind, resource_id, actor_type, actor_id, request_id, at, data, prev_hash, hash)
					VALUES (?, NULL, 'shop.thing.made', 'thing', ?, 'system', '', '', 1, '{}', '', '')`, fmt.Sprintf("old-%03d", i), fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			y.t.Fatal(err)
		}
		for i, e := range y.all(1 + n) {
			if e.Seq != int64(i+1) || i > 0 && e.Resource.ID != fmt.Sprint(i-1) {
				y.t.Fatalf("event %d: %+v", i+1, e)
			}
		}
		if got, err := y.Verify(y.t.Context()); err != nil || got != 1+n {
			y.t.Fatalf("%d %v", got, err)
		}
	})
}

func TestListenersHearWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		var mu sync.Mutex
		heard := map[string][]string{}
		failed := false
		listen := func(name string, types ...string) {
			y.Listen(events.Listener{Name: name, Types: types, Handle: func(_ context.Context, e events.Event) error {
				mu.Lock()
				defer mu.Unlock()
				if name == "flaky" && !failed {
					failed = true
					return errs.E(errs.Unavailable, "test", "once", nil)
				}
				heard[name] = append(heard[name], e.Type)
				return nil
			}})
		}
		listen("exact", "shop.thing.made")
		listen("prefix", "shop.*")
		listen("two", "shop.thing.made", "bank.*")
		listen("flaky", "bank.account.opened")
		y.run()
		for _, typ := range []string{"shop.thing.made", "shop.thing.sold", "bank.account.opened", "other.x.y"} {
			if err := y.append(y.t.Context(), typ, "1", nil); err != nil {
				y.t.Fatal(err)
			}
		}
		want := map[string][]string{"exact": {"shop.thing.made"}, "prefix": {"shop.thing.made", "shop.thing.sold"}, "two": {"shop.thing.made", "bank.account.opened"}, "flaky": {"bank.account.opened"}}
		y.await("all hear", func() bool {
			mu.Lock()
			defer mu.Unlock()
			for name, w := range want {
				if !slices.Equal(heard[name], w) {
					return false
				}
			}
			return true
		})
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.run()
		for i := range 6 {
			if err := y.append(y.t.Context(), []string{"shop.thing.made", "bank.thing.made"}[i%2], fmt.Sprint(i%3), i); err != nil {
				y.t.Fatal(err)
			}
		}
		y.all(6)
		for name, c := range map[string]struct {
			f    events.Filter
			want []int64
		}{
			"newest first": {events.Filter{Limit: 2}, []int64{6, 5}},
			"older":        {events.Filter{Limit: 2, After: 5}, []int64{4, 3}},
			"ascending":    {events.Filter{Limit: 2, After: 4, Ascending: true}, []int64{5, 6}},
			"by type":      {events.Filter{Limit: 9, TypePrefix: "bank."}, []int64{6, 4, 2}},
			"by resource":  {events.Filter{Limit: 9, Resource: events.Resource{Kind: "thing", ID: "0"}}, []int64{4, 1}},
			"by both":      {events.Filter{Limit: 9, TypePrefix: "shop.thing", Resource: events.Resource{Kind: "thing", ID: "0"}}, []int64{1}},
		} {
			es, err := y.List(y.t.Context(), c.f)
			if err != nil {
				y.t.Fatal(err)
			}
			var seqs []int64
			for _, e := range es {
				seqs = append(seqs, e.Seq)
			}
			if !slices.Equal(seqs, c.want) {
				y.t.Errorf("%s: %v, want %v", name, seqs, c.want)
			}
		}
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		ch, stop := y.Watch()
		y.run()
		if err := y.append(y.t.Context(), "shop.thing.made", "1", nil); err != nil {
			y.t.Fatal(err)
		}
		if e := <-ch; e.Type != "shop.thing.made" || e.Seq != 1 {
			y.t.Errorf("%+v", e)
		}
		stop()
		if err := y.append(y.t.Context(), "shop.thing.made", "2", nil); err != nil {
			y.t.Fatal(err)
		}
		y.all(2)
		select {
		case e := <-ch:
			y.t.Errorf("after stop: %+v", e)
		default:
		}
	})
}
