// Package jobs is the durable queue of background work: a job is a row, enqueued in the transaction of the change that asks for it,
// claimed under a lease, retried with back-off, and therefore done at least once: handlers are idempotent.
package jobs

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "jobs", FS: migrations} }

// State is where a job is in its life.
type State string

// The states of a job.
const (
	Ready   State = "ready"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed" // gave up after its last attempt
)

// Job is one piece of background work.
type Job struct {
	ID          string          `json:"id"`
	Kind        string          `json:"kind"`
	Group       string          `json:"group,omitempty"` // jobs of one group run one at a time
	Key         string          `json:"key,omitempty"`   // at most one unfinished job per kind and key
	Payload     json.RawMessage `json:"payload,omitempty"`
	State       State           `json:"state"`
	Attempt     int             `json:"attempt"`
	MaxAttempts int             `json:"max_attempts"`
	RunAt       time.Time       `json:"run_at"`
	CreatedAt   time.Time       `json:"created_at"`
	FinishedAt  *time.Time      `json:"finished_at,omitempty"`
	Error       string          `json:"error,omitempty"`
}

// New describes a job to enqueue.
type New struct {
	Kind    string
	Group   string
	Key     string
	Payload any
	RunAt   time.Time // zero: now
}

// Handler does a job. It must be idempotent. An error of kind Invalid, NotFound or Precondition is not retried: trying again would not
// mend it. Return Again to run the same job later without counting an attempt.
type Handler func(ctx context.Context, j Job) error

// Again asks for the job to be run once more after a delay; it is not a failure.
type Again struct{ After time.Duration }

func (a Again) Error() string { return fmt.Sprintf("again in %s", a.After) }

// Options of a kind of job.
type Options struct {
	MaxAttempts int           // default 8
	Timeout     time.Duration // of one attempt; default 10 min
}

type registration struct {
	handle Handler
	opts   Options
}

// Deps of a Queue.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	Slots int // jobs at a time; default 8
}

// Queue enqueues jobs and, while Run runs, does them.
type Queue struct {
	d     Deps
	owner string
	wake  chan struct{}

	mu     sync.RWMutex
	kinds  map[string]registration
	active map[string]bool // ids of the jobs that run here
}

// NewQueue makes a queue; register the kinds before Run.
func NewQueue(d Deps) *Queue {
	if d.Slots == 0 {
		d.Slots = 8
	}
	return &Queue{d: d, owner: id.New(), wake: make(chan struct{}, 1), kinds: map[string]registration{}, active: map[string]bool{}}
}

// Handle registers the handler of a kind.
func (q *Queue) Handle(kind string, h Handler, o Options) {
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 8
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.kinds[kind] = registration{h, o}
}

// Enqueue adds a job inside the caller's transaction. When an unfinished job of the same kind and key exists, nothing is added: that
// one will see the change if it is still ready, and one more is added if it runs already.
func (q *Queue) Enqueue(tx *db.Tx, n New) error {
	payload, err := json.Marshal(n.Payload)
	if err != nil {
		return errs.E(errs.Internal, "jobs.enqueue", "payload of "+n.Kind, err)
	}
	q.mu.RLock()
	max := q.kinds[n.Kind].opts.MaxAttempts
	q.mu.RUnlock()
	if max == 0 {
		max = 8
	}
	now := q.d.Clock.Now()
	if n.RunAt.IsZero() {
		n.RunAt = now
	}
	if n.Key != "" {
		var have int
		err := tx.QueryRow("SELECT count(*) FROM job WHERE kind = ? AND job_key = ? AND state = ?", n.Kind, n.Key, string(Ready)).Scan(&have)
		if err != nil {
			return err
		}
		if have > 0 { // bring it forward if the new one is due earlier
			_, err := tx.Exec("UPDATE job SET run_at = ? WHERE kind = ? AND job_key = ? AND state = ? AND run_at > ?",
				clock.Micros(n.RunAt), n.Kind, n.Key, string(Ready), clock.Micros(n.RunAt))
			tx.AfterCommit(q.Wake)
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO job (id, kind, grp, job_key, payload, state, attempt, max_attempts, run_at, created_at, lease_owner, lease_until, error, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, '', 0, '', 0)`,
		id.New(), n.Kind, n.Group, n.Key, string(payload), string(Ready), max, clock.Micros(n.RunAt), clock.Micros(now))
	tx.AfterCommit(q.Wake)
	return err
}

// Wake makes the workers look for work now.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

const (
	lease     = 30 * time.Second
	idlePoll  = time.Second // how late a job of another process, or a delayed one, may start
	keepDone  = 24 * time.Hour
	keepFails = 30 * 24 * time.Hour
)

// Run does jobs until ctx ends, then waits for those that run.
func (q *Queue) Run(ctx context.Context) error {
	if q.d.DB.Engine() == db.SQLite { // one process per store: what was running when the last one died is nobody's
		if err := q.release(ctx, ""); err != nil && ctx.Err() == nil {
			return err
		}
	}
	g := new(errgroup.Group)
	slots := make(chan struct{}, q.d.Slots)
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	lastPurge := time.Time{}
	for ctx.Err() == nil {
		if now := q.d.Clock.Now(); now.Sub(lastPurge) > time.Hour {
			lastPurge = now
			q.purge(ctx, now)
		}
		for ctx.Err() == nil {
			slots <- struct{}{}
			j, reg, err := q.claim(ctx)
			if err != nil || j == nil {
				<-slots
				if err != nil && ctx.Err() == nil {
					q.d.Log.Error("cannot claim jobs", "error", err)
				}
				break
			}
			g.Go(func() error {
				defer func() { <-slots; q.Wake() }()
				q.do(ctx, *j, reg)
				return nil
			})
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-tick.C:
		}
	}
	err := g.Wait()
	return errors.Join(err, q.release(context.WithoutCancel(ctx), q.owner))
}

// release puts running jobs back: those of one owner, or all.
func (q *Queue) release(ctx context.Context, owner string) error {
	return q.d.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE job SET state = ?, lease_owner = '', lease_until = 0 WHERE state = ? AND (? = '' OR lease_owner = ?)",
			string(Ready), string(Running), owner, owner)
		return err
	})
}

// nextDue finds the job to run next: one whose worker died, else the one that has waited longest; sql.ErrNoRows when there is none. Two
// queries, as each can walk an index in order: with both in one, a long backlog is sorted anew for every job.
func nextDue(row func(query string, args ...any) *sql.Row, now int64) (id string, err error) {
	const free = ` AND (j.grp = '' OR NOT EXISTS (SELECT 1 FROM job r WHERE r.grp = j.grp AND r.state = 'running' AND r.id <> j.id AND r.lease_until >= ?))
		ORDER BY j.run_at, j.id LIMIT 1`
	err = row("SELECT j.id FROM job j WHERE j.state = 'running' AND j.lease_until < ?"+free, now, now).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = row("SELECT j.id FROM job j WHERE j.state = 'ready' AND j.run_at <= ?"+free, now, now).Scan(&id)
	}
	return id, err
}

// claim takes the next due job whose group is free, or none. Expired leases count as ready.
func (q *Queue) claim(ctx context.Context) (*Job, registration, error) {
	now := clock.Micros(q.d.Clock.Now())
	if _, err := nextDue(func(query string, args ...any) *sql.Row { return q.d.DB.QueryRow(ctx, query, args...) }, now); errors.Is(err, sql.ErrNoRows) {
		return nil, registration{}, nil // look before writing: idle polls cost no commit
	} else if err != nil {
		return nil, registration{}, err
	}
	var j *Job
	err := q.d.DB.Write(ctx, func(tx *db.Tx) error {
		j = nil
		jid, err := nextDue(tx.QueryRow, now)
		if ours := q.running(); err == nil && slices.Contains(ours, jid) {
			// It runs here, but nobody could tell: the database was away, or this machine slept.
			if err := q.renew(tx, ours, now); err != nil {
				return err
			}
			jid, err = nextDue(tx.QueryRow, now)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		row := tx.QueryRow("UPDATE job SET state = 'running', attempt = attempt + 1, lease_owner = ?, lease_until = ? WHERE id = ? RETURNING "+columns,
			q.owner, now+lease.Microseconds(), jid)
		got, err := scan(row)
		j = &got
		return err
	})
	if err != nil || j == nil {
		return nil, registration{}, err
	}
	q.mu.Lock()
	q.active[j.ID] = true
	reg, ok := q.kinds[j.Kind]
	q.mu.Unlock()
	if !ok {
		reg = registration{opts: Options{MaxAttempts: 1, Timeout: time.Second}, handle: func(context.Context, Job) error {
			return errs.E(errs.Precondition, "jobs.claim", "no handler for jobs of kind "+j.Kind, nil)
		}}
	}
	return j, reg, nil
}

func (q *Queue) running() []string {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return slices.Collect(maps.Keys(q.active))
}

// renew lengthens the leases of jobs that run here.
func (q *Queue) renew(tx *db.Tx, ids []string, now int64) error {
	for _, jobID := range ids {
		if _, err := tx.Exec("UPDATE job SET lease_until = ? WHERE id = ? AND lease_owner = ? AND state = 'running'", now+lease.Microseconds(), jobID, q.owner); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) do(ctx context.Context, j Job, reg registration) {
	defer func() {
		q.mu.Lock()
		delete(q.active, j.ID)
		q.mu.Unlock()
	}()
	run, cancel := context.WithTimeout(actor.With(ctx, actor.Actor{Type: actor.System, ID: j.Kind}), reg.opts.Timeout)
	defer cancel()
	stop := make(chan struct{})
	var beat sync.WaitGroup
	beat.Go(func() { q.heartbeat(ctx, j.ID, stop) })
	err := protect(run, reg.handle, j)
	close(stop)
	beat.Wait()
	if ctx.Err() != nil && err != nil {
		return // stopping: Run puts it back
	}
	if e := q.finish(context.WithoutCancel(ctx), j, err); e != nil {
		q.d.Log.Error("cannot record the end of a job", "job", j.ID, "kind", j.Kind, "error", e)
	}
}

func protect(ctx context.Context, h Handler, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.E(errs.Internal, "jobs.run", "the job panicked", fmt.Errorf("%v", p))
		}
	}()
	return h(ctx, j)
}

func (q *Queue) heartbeat(ctx context.Context, jobID string, stop <-chan struct{}) {
	t := time.NewTicker(lease / 3)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-t.C:
			_ = q.d.DB.Write(ctx, func(tx *db.Tx) error { return q.renew(tx, []string{jobID}, clock.Micros(q.d.Clock.Now())) })
		}
	}
}

func (q *Queue) finish(ctx context.Context, j Job, failure error) error {
	now := q.d.Clock.Now()
	state, runAt, msg, attempt := Done, j.RunAt, "", j.Attempt
	var again Again
	switch {
	case failure == nil:
	case errors.As(failure, &again):
		state, runAt, attempt = Ready, now.Add(again.After), j.Attempt-1
	default:
		msg = failure.Error()
		state, runAt = Ready, now.Add(backoff(j.Attempt))
		switch errs.KindOf(failure) {
		case errs.Invalid, errs.NotFound, errs.Precondition:
			state = Failed
		}
		if j.Attempt >= j.MaxAttempts {
			state = Failed
		}
		q.d.Log.Warn("job failed", "job", j.ID, "kind", j.Kind, "attempt", j.Attempt, "state", string(state), "error", msg)
	}
	finished := int64(0)
	if state == Done || state == Failed {
		finished = clock.Micros(now)
	}
	return q.d.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE job SET state = ?, run_at = ?, attempt = ?, error = ?, finished_at = ?, lease_owner = '', lease_until = 0 WHERE id = ? AND lease_owner = ?",
			string(state), clock.Micros(runAt), attempt, msg, finished, j.ID, q.owner)
		return err
	})
}

// backoff is 1, 2, 4... seconds, at most 5 minutes.
func backoff(attempt int) time.Duration {
	return min(time.Second<<min(attempt-1, 10), 5*time.Minute)
}

func (q *Queue) purge(ctx context.Context, now time.Time) {
	err := q.d.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("DELETE FROM job WHERE (state = 'done' AND finished_at < ?) OR (state = 'failed' AND finished_at < ?)",
			clock.Micros(now.Add(-keepDone)), clock.Micros(now.Add(-keepFails)))
		return err
	})
	if err != nil && ctx.Err() == nil {
		q.d.Log.Warn("cannot purge old jobs", "error", err)
	}
}

const columns = "id, kind, grp, job_key, payload, state, attempt, max_attempts, run_at, created_at, finished_at, error"

func scan(row interface{ Scan(...any) error }) (Job, error) {
	var j Job
	var state, payload string
	var runAt, created, finished int64
	err := row.Scan(&j.ID, &j.Kind, &j.Group, &j.Key, &payload, &state, &j.Attempt, &j.MaxAttempts, &runAt, &created, &finished, &j.Error)
	j.Payload, j.State, j.RunAt, j.CreatedAt = json.RawMessage(payload), State(state), clock.FromMicros(runAt), clock.FromMicros(created)
	if finished != 0 {
		t := clock.FromMicros(finished)
		j.FinishedAt = &t
	}
	return j, err
}

// List gives the newest jobs, unfinished ones first; state "" means all. Limit is 1 to 1000.
func (q *Queue) List(ctx context.Context, state State, limit int) ([]Job, error) {
	rows, err := q.d.DB.Query(ctx, "SELECT "+columns+` FROM job WHERE (? = '' OR state = ?)
		ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'ready' THEN 1 WHEN 'failed' THEN 2 ELSE 3 END, id DESC LIMIT ?`, string(state), string(state), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Job{}
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, rows.Err()
}

// Retry puts a failed job back into the queue.
func (q *Queue) Retry(ctx context.Context, jobID string) error {
	return q.d.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("UPDATE job SET state = 'ready', attempt = 0, error = '', run_at = ?, finished_at = 0 WHERE id = ? AND state = 'failed'",
			clock.Micros(q.d.Clock.Now()), jobID)
		if err == nil && n == 0 {
			return errs.NotFoundf("jobs.retry", "no failed job %s", jobID)
		}
		tx.AfterCommit(q.Wake)
		return err
	})
}
