package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/db/dbtest"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

// yard is a queue with a fake clock; run starts its workers.
type yard struct {
	*jobs.Queue
	t *testing.T
	d *db.DB
	c *clock.Fake
}

func each(t *testing.T, test func(y yard)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), jobs.Migrations()); err != nil {
			t.Fatal(err)
		}
		c := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		test(yard{jobs.NewQueue(jobs.Deps{DB: d, Clock: c, Log: slog.New(slog.DiscardHandler), Slots: 4}), t, d, c})
	})
}

func (y yard) run() (stop func()) {
	ctx, cancel := context.WithCancel(y.t.Context())
	done := make(chan error, 1)
	go func() { done <- y.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			y.t.Errorf("run: %v", err)
		}
	})
	y.t.Cleanup(stop)
	return stop
}

func (y yard) enqueue(n jobs.New) {
	y.t.Helper()
	if err := y.d.Write(y.t.Context(), func(tx *db.Tx) error { return y.Enqueue(tx, n) }); err != nil {
		y.t.Fatal(err)
	}
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

func (y yard) only() jobs.Job {
	y.t.Helper()
	js, err := y.List(y.t.Context(), "", 10)
	if err != nil || len(js) != 1 {
		y.t.Fatalf("%d jobs, %v", len(js), err)
	}
	return js[0]
}

func TestJobIsDone(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		got := make(chan string, 1)
		y.Handle("greet", func(ctx context.Context, j jobs.Job) error {
			var p struct{ Name string }
			if err := json.Unmarshal(j.Payload, &p); err != nil {
				return err
			}
			got <- p.Name + " by " + actor.From(ctx).String()
			return nil
		}, jobs.Options{})
		y.run()
		y.enqueue(jobs.New{Kind: "greet", Payload: map[string]string{"Name": "ada"}})
		if g := <-got; g != "ada by system:greet" {
			y.t.Errorf("got %q", g)
		}
		y.await("it is done", func() bool { return y.only().State == jobs.Done })
		if j := y.only(); j.Attempt != 1 || j.FinishedAt == nil || j.Error != "" {
			y.t.Errorf("%+v", j)
		}
	})
}

func TestNothingIsEnqueuedByAFailedWrite(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		boom := errors.New("boom")
		err := y.d.Write(y.t.Context(), func(tx *db.Tx) error {
			if err := y.Enqueue(tx, jobs.New{Kind: "x"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			y.t.Fatal(err)
		}
		if js, err := y.List(y.t.Context(), "", 10); err != nil || len(js) != 0 {
			y.t.Errorf("%v %v", js, err)
		}
	})
}

func TestFailureIsRetriedWithBackOff(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		var calls atomic.Int64
		y.Handle("flaky", func(context.Context, jobs.Job) error {
			if calls.Add(1) < 3 {
				return errs.E(errs.Unavailable, "test", "not now", nil)
			}
			return nil
		}, jobs.Options{})
		y.run()
		y.enqueue(jobs.New{Kind: "flaky"})
		for n := int64(1); n < 3; n++ {
			y.await("an attempt fails", func() bool { j := y.only(); return int64(j.Attempt) == n && j.State == jobs.Ready && j.Error != "" })
			if wait := y.only().RunAt.Sub(y.c.Now()); wait != time.Second<<(n-1) {
				y.t.Errorf("attempt %d waits %s", n, wait)
			}
			y.c.Advance(time.Second << (n - 1))
			y.Wake()
		}
		y.await("it is done", func() bool { return y.only().State == jobs.Done })
	})
}

func TestWhatTryingAgainDoesNotMend(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"invalid": errs.Invalidf("test", "never"), "gone": errs.NotFoundf("test", "gone"), "panic": nil, "last attempt": errs.E(errs.Unavailable, "test", "x", nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(y yard) {
				y.Handle("bad", func(context.Context, jobs.Job) error {
					if failure == nil {
						panic("ouch")
					}
					return failure
				}, jobs.Options{MaxAttempts: 1})
				stop := y.run()
				y.enqueue(jobs.New{Kind: "bad"})
				y.await("it has failed", func() bool { return y.only().State == jobs.Failed })
				stop()
				j := y.only()
				if j.Attempt != 1 || j.Error == "" {
					y.t.Errorf("%+v", j)
				}
				if err := y.Retry(y.t.Context(), j.ID); err != nil || y.only().State != jobs.Ready {
					y.t.Errorf("retry: %v, %+v", err, y.only())
				}
				if err := y.Retry(y.t.Context(), j.ID); !errs.Is(err, errs.NotFound) {
					y.t.Errorf("retry of a job that has not failed: %v", err)
				}
			})
		})
	}
}

func TestUnknownKindFails(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.run()
		y.enqueue(jobs.New{Kind: "nobody"})
		y.await("it has failed", func() bool { return y.only().State == jobs.Failed })
	})
}

func TestKeyKeepsOneUnfinished(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		later := y.c.Now().Add(time.Hour)
		y.enqueue(jobs.New{Kind: "k", Key: "a", RunAt: later})
		y.enqueue(jobs.New{Kind: "k", Key: "a", RunAt: later.Add(time.Hour)}) // later: changes nothing
		if j := y.only(); !j.RunAt.Equal(later) {
			y.t.Errorf("due at %s", j.RunAt)
		}
		y.enqueue(jobs.New{Kind: "k", Key: "a"}) // earlier: brings it forward
		if j := y.only(); !j.RunAt.Equal(y.c.Now()) {
			y.t.Errorf("due at %s", j.RunAt)
		}
		y.enqueue(jobs.New{Kind: "k", Key: "b"})
		if js, err := y.List(y.t.Context(), jobs.Ready, 10); err != nil || len(js) != 2 {
			y.t.Errorf("%d jobs, %v", len(js), err)
		}
	})
}

// TestKeyWhileItRuns: a job that runs already may have looked too early, so one more is added.
func TestKeyWhileItRuns(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		started, goOn := make(chan struct{}, 4), make(chan struct{})
		var calls atomic.Int64
		y.Handle("k", func(context.Context, jobs.Job) error {
			calls.Add(1)
			started <- struct{}{}
			<-goOn
			return nil
		}, jobs.Options{})
		y.run()
		y.enqueue(jobs.New{Kind: "k", Key: "a", Group: "g"})
		<-started
		y.enqueue(jobs.New{Kind: "k", Key: "a", Group: "g"})
		y.enqueue(jobs.New{Kind: "k", Key: "a", Group: "g"})
		close(goOn)
		y.await("both are done", func() bool {
			js, err := y.List(y.t.Context(), jobs.Done, 10)
			return err == nil && len(js) == 2
		})
		if calls.Load() != 2 {
			y.t.Errorf("%d calls", calls.Load())
		}
	})
}

// TestGroupRunsOneAtATime: jobs of one group follow each other in order, those of others run beside them.
func TestGroupRunsOneAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		var mu sync.Mutex
		running, most := map[string]int{}, map[string]int{}
		order := map[string][]string{}
		y.Handle("g", func(_ context.Context, j jobs.Job) error {
			mu.Lock()
			running[j.Group]++
			most[j.Group] = max(most[j.Group], running[j.Group])
			order[j.Group] = append(order[j.Group], string(j.Payload))
			mu.Unlock()
			mu.Lock()
			running[j.Group]--
			mu.Unlock()
			return nil
		}, jobs.Options{})
		want := []string{}
		for i := range 12 {
			for _, g := range []string{"a", "b"} {
				y.enqueue(jobs.New{Kind: "g", Group: g, Payload: i})
			}
			want = append(want, fmt.Sprint(i))
		}
		y.run()
		y.await("all are done", func() bool {
			js, err := y.List(y.t.Context(), jobs.Done, 100)
			return err == nil && len(js) == 24
		})
		for _, g := range []string{"a", "b"} {
			if most[g] != 1 || !slices.Equal(order[g], want) {
				y.t.Errorf("group %s: %d at a time, %v", g, most[g], order[g])
			}
		}
	})
}

func TestAgainCountsNoAttempt(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		var calls atomic.Int64
		y.Handle("again", func(context.Context, jobs.Job) error {
			if calls.Add(1) < 4 {
				return jobs.Again{After: time.Minute}
			}
			return nil
		}, jobs.Options{MaxAttempts: 1})
		y.run()
		y.enqueue(jobs.New{Kind: "again"})
		for n := int64(1); n < 4; n++ {
			y.await("it asks to run again", func() bool { return calls.Load() == n && y.only().State == jobs.Ready })
			y.c.Advance(time.Minute)
			y.Wake()
		}
		y.await("it is done", func() bool { return y.only().State == jobs.Done })
	})
}

// TestStopPutsRunningJobsBack: what a stop interrupts is done by the next workers.
func TestStopPutsRunningJobsBack(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		started := make(chan struct{}, 2)
		y.Handle("long", func(ctx context.Context, j jobs.Job) error {
			started <- struct{}{}
			if j.Attempt > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, jobs.Options{})
		stop := y.run()
		y.enqueue(jobs.New{Kind: "long"})
		<-started
		stop()
		if j := y.only(); j.State != jobs.Ready {
			y.t.Fatalf("after the stop it is %s", j.State)
		}
		y.run()
		y.await("it is done", func() bool { return y.only().State == jobs.Done })
	})
}

func TestOldJobsAreForgotten(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		y.Handle("k", func(context.Context, jobs.Job) error { return nil }, jobs.Options{})
		stop := y.run()
		y.enqueue(jobs.New{Kind: "k"})
		y.await("it is done", func() bool { return y.only().State == jobs.Done })
		stop()
		y.c.Advance(25 * time.Hour)
		y.run()
		y.await("it is forgotten", func() bool {
			js, err := y.List(y.t.Context(), "", 10)
			return err == nil && len(js) == 0
		})
	})
}

// TestLateLeaseIsRenewed: a job whose lease ran out while it runs here (the machine slept, the database was away) is not started again,
// and the next of its group still waits for it.
func TestLateLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	each(t, func(y yard) {
		var starts, other atomic.Int32
		begun, end := make(chan struct{}, 8), make(chan struct{})
		y.Handle("long", func(context.Context, jobs.Job) error { starts.Add(1); begun <- struct{}{}; <-end; return nil }, jobs.Options{})
		y.Handle("next", func(context.Context, jobs.Job) error { other.Add(1); return nil }, jobs.Options{})
		y.Handle("free", func(context.Context, jobs.Job) error { begun <- struct{}{}; return nil }, jobs.Options{})
		y.run()
		y.enqueue(jobs.New{Kind: "long", Group: "g"})
		<-begun
		y.c.Advance(time.Minute)
		y.enqueue(jobs.New{Kind: "next", Group: "g"})
		y.enqueue(jobs.New{Kind: "free"}) // done once the queue has looked at all three
		<-begun
		if starts.Load() != 1 || other.Load() != 0 {
			y.t.Errorf("the job was started %d times, the next of its group %d times", starts.Load(), other.Load())
		}
		close(end)
		y.await("the next of the group", func() bool { return other.Load() == 1 })
		if starts.Load() != 1 {
			y.t.Errorf("the job was started %d times", starts.Load())
		}
	})
}
