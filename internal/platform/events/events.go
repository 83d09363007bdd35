// Package events is the event log: every change is told by an event inserted in the transaction of the change (outbox), numbered and
// chained by its hash (at once on SQLite, by one sequencer on PostgreSQL). The sequencer then enqueues a job for each listener, in order
// and in one transaction with its cursor. So an event is dispatched once, when it is in the chain, and a listener hears it at least once.
//
// The log is the audit trail: the chain shows when a past event was altered, removed or inserted.
package events

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/actor"
	"github.com/modelyard/modelyard/internal/platform/clock"
	"github.com/modelyard/modelyard/internal/platform/db"
	"github.com/modelyard/modelyard/internal/platform/errs"
	"github.com/modelyard/modelyard/internal/platform/id"
	"github.com/modelyard/modelyard/internal/platform/jobs"
)

//go:embed migrations
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() db.Migrations { return db.Migrations{Domain: "events", FS: migrations} }

// Resource is what an event is about, by kind and the id its users know ("model", "bike-demand").
type Resource struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Event is one entry of the log.
type Event struct {
	ID        string          `json:"id"`
	Seq       int64           `json:"seq"`
	Type      string          `json:"type"` // domain.noun.what_happened, e.g. registry.version.created
	Resource  Resource        `json:"resource"`
	Actor     actor.Actor     `json:"actor"`
	RequestID string          `json:"request_id,omitempty"`
	At        time.Time       `json:"at"`
	Data      json.RawMessage `json:"data"`
	PrevHash  string          `json:"prev_hash,omitempty"`
	Hash      string          `json:"hash,omitempty"`
}

// Decode reads the event's data into v, a struct of the listener's own.
func (e Event) Decode(v any) error {
	if err := json.Unmarshal(e.Data, v); err != nil {
		return errs.E(errs.Invalid, "events.decode", "data of event "+e.Type, err)
	}
	return nil
}

// Listener hears events. Types match exactly, or by prefix with a final "*". Events reach one listener in order unless one fails and
// is retried, so what a listener does must not depend on order alone.
type Listener struct {
	Name   string // unique, e.g. "monitor.endpoint_created"
	Types  []string
	Handle func(ctx context.Context, e Event) error
	// HandleAll is instead of Handle for listeners that hear many events and take little time for each: one job at a time goes through all
	// that came since the last one, some at once. When it fails it is given the same events again, one by one; one that is to be retried
	// holds up those behind it.
	HandleAll func(ctx context.Context, es []Event) error
}

func (l Listener) hears(typ string) bool {
	for _, t := range l.Types {
		if t == typ {
			return true
		}
		if p, ok := strings.CutSuffix(t, "*"); ok && strings.HasPrefix(typ, p) {
			return true
		}
	}
	return false
}

// Deps of a Log.
type Deps struct {
	DB    *db.DB
	Jobs  *jobs.Queue
	Clock clock.Clock
	Log   *slog.Logger
}

// Log is the event log.
type Log struct {
	d    Deps
	wake chan struct{}

	sequencing sync.Mutex
	mu         sync.RWMutex
	listeners  []Listener
	watchers   map[int]chan Event
	nextWatch  int
}

// NewLog makes the log; add listeners before Run.
func NewLog(d Deps) *Log {
	return &Log{d: d, wake: make(chan struct{}, 1), watchers: map[int]chan Event{}}
}

// Listen registers a listener.
func (l *Log) Listen(li Listener) {
	l.mu.Lock()
	l.listeners = append(l.listeners, li)
	l.mu.Unlock()
	l.d.Jobs.Handle("hear:"+li.Name, func(ctx context.Context, j jobs.Job) error {
		var ref struct{ Event string }
		if err := json.Unmarshal(j.Payload, &ref); err != nil {
			return errs.E(errs.Invalid, "events.hear", "payload", err)
		}
		if ref.Event == "" {
			return l.catchUp(ctx, li)
		}
		e, err := l.Get(ctx, ref.Event)
		if err != nil {
			return err
		}
		return li.Handle(ctx, e)
	}, jobs.Options{})
}

// catchUp has a HandleAll listener hear all events behind its cursor, and those that come soon after them: under a stream of events it
// goes on with few commits instead of ending and starting again, for a minute: what comes while it runs has a job of its own anyway.
func (l *Log) catchUp(ctx context.Context, li Listener) error {
	var failed error
	for rested, until := false, time.Now().Add(time.Minute); ; {
		var at int64
		if err := l.d.DB.QueryRow(ctx, "SELECT seq FROM event_cursor WHERE listener = ?", li.Name).Scan(&at); err != nil {
			return err
		}
		batch, err := l.list(ctx, Filter{After: at, Limit: heardBatch, Ascending: true})
		if err != nil || len(batch) == 0 && rested || time.Now().After(until) {
			return errors.Join(failed, err)
		}
		if rested = len(batch) < heardBatch; rested {
			select {
			case <-ctx.Done():
				return errors.Join(failed, ctx.Err())
			case <-time.After(lull):
			}
		}
		if len(batch) == 0 {
			continue
		}
		done, err := li.hear(ctx, batch, &failed)
		if done > 0 {
			e := l.d.DB.Write(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec("UPDATE event_cursor SET seq = ? WHERE listener = ?", done, li.Name)
				return err
			})
			err = errors.Join(err, e)
		}
		if err != nil {
			return err
		}
	}
}

// hear goes through events and gives the number of the last one that need not be heard again. Those that trying again would not mend
// are passed over, their errors added to failed.
func (li Listener) hear(ctx context.Context, batch []Event, failed *error) (done int64, err error) {
	heard := slices.DeleteFunc(slices.Clone(batch), func(e Event) bool { return !li.hears(e.Type) })
	if len(heard) == 0 || li.HandleAll(ctx, heard) == nil {
		return batch[len(batch)-1].Seq, nil
	}
	for _, e := range batch {
		if li.hears(e.Type) {
			err := li.HandleAll(ctx, []Event{e})
			switch errs.KindOf(err) {
			case errs.Invalid, errs.NotFound, errs.Precondition:
				*failed = errors.Join(*failed, err)
			default:
				if err != nil {
					return done, err
				}
			}
		}
		done = e.Seq
	}
	return done, nil
}

// Append tells of a change, inside its transaction. ctx gives the actor and the request. SQLite has one writer at a time, so the event
// gets its place in the chain at once; on PostgreSQL that would make all writers wait for each other, and the sequencer gives it.
func (l *Log) Append(ctx context.Context, tx *db.Tx, typ string, r Resource, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return errs.E(errs.Internal, "events.append", "data of "+typ, err)
	}
	e := Event{ID: id.New(), Type: typ, Resource: r, Actor: actor.From(ctx), RequestID: actor.Request(ctx), At: l.d.Clock.Now(), Data: b}
	var seq any // NULL: waits for the sequencer
	if tx.Engine() == db.SQLite {
		h, err := headOf(tx)
		if err != nil {
			return err
		}
		h.chain(&e)
		seq = e.Seq
	}
	_, err = tx.Exec(`INSERT INTO event (id, seq, type, resource_kind, resource_id, actor_type, actor_id, request_id, at, data, prev_hash, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, seq, e.Type, r.Kind, r.ID, string(e.Actor.Type), e.Actor.ID, e.RequestID, clock.Micros(e.At), string(b), e.PrevHash, e.Hash)
	tx.AfterCommit(l.Wake)
	return err
}

// head is the end of the chain.
type head struct {
	seq  int64
	hash string
}

func headOf(tx *db.Tx) (h head, err error) {
	err = tx.QueryRow("SELECT seq, hash FROM event WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1").Scan(&h.seq, &h.hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return h, err
}

// chain gives an event the next place.
func (h *head) chain(e *Event) {
	e.Seq, e.PrevHash = h.seq+1, h.hash
	e.Hash = e.chainHash()
	h.seq, h.hash = e.Seq, e.Hash
}

// Wake makes the sequencer look for new events now.
func (l *Log) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

const (
	sequenceBatch  = 500
	numberedAtOnce = 25                    // events whose places one statement writes
	breath         = 20 * time.Millisecond // between two sequencings: a stream of events is sequenced, and committed, in groups
	heardBatch     = 200                   // events that a HandleAll listener is given at once
	lull           = 50 * time.Millisecond // how long such a listener waits for more
	idlePoll       = time.Second           // how late events of another process may be sequenced
	dispatched     = ""                    // the cursor of the dispatch itself: how far events became jobs of listeners
)

// Run sequences and dispatches until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for {
		for {
			n, err := l.sequence(ctx)
			if err != nil && ctx.Err() == nil {
				l.d.Log.Error("cannot sequence events", "error", err)
			}
			if err != nil || n < sequenceBatch {
				break
			}
		}
		rest := time.After(breath)
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-rest:
		}
	}
}

// sequence numbers what waits and dispatches what was not dispatched yet; it gives the number of events dispatched. Events are read before
// the transaction, which holds up every writer of SQLite; another sequencer on the same PostgreSQL may be faster, and is left the batch.
func (l *Log) sequence(ctx context.Context) (int, error) {
	l.sequencing.Lock() // watchers are told in order
	defer l.sequencing.Unlock()
	if err := l.number(ctx); err != nil {
		return 0, err
	}
	var from int64
	if err := l.d.DB.QueryRow(ctx, "SELECT seq FROM event_cursor WHERE listener = ?", dispatched).Scan(&from); err != nil {
		return 0, err
	}
	batch, err := l.list(ctx, Filter{After: from, Limit: sequenceBatch, Ascending: true})
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	err = l.d.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("UPDATE event_cursor SET seq = ? WHERE listener = ? AND seq = ?", batch[len(batch)-1].Seq, dispatched, from)
		if err != nil || n == 0 {
			return err
		}
		return l.dispatch(tx, batch)
	})
	if err == nil {
		l.tell(batch)
	}
	return len(batch), err
}

// number gives those that wait their places. The serializable transactions of PostgreSQL make a second sequencer collide and retry, so there
// is one order whoever does it. On SQLite only events of an older version wait.
func (l *Log) number(ctx context.Context) error {
	var wait bool
	if err := l.d.DB.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM event WHERE seq IS NULL)").Scan(&wait); err != nil || !wait {
		return err
	}
	return l.d.DB.Write(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query("SELECT "+columns+" FROM event WHERE seq IS NULL ORDER BY id LIMIT ?", sequenceBatch)
		if err != nil {
			return err
		}
		waiting, err := collect(rows)
		if err != nil || len(waiting) == 0 {
			return err
		}
		h, err := headOf(tx)
		if err != nil {
			return err
		}
		for len(waiting) > 0 {
			n := 1
			if len(waiting) >= numberedAtOnce {
				n = numberedAtOnce // two texts of statements in all
			}
			args := make([]any, 0, 4*n)
			for _, e := range waiting[:n] {
				h.chain(&e)
				args = append(args, e.ID, strconv.FormatInt(e.Seq, 10), e.PrevHash, e.Hash)
			}
			_, err := tx.Exec("UPDATE event SET seq = CAST(v.column2 AS BIGINT), prev_hash = v.column3, hash = v.column4 FROM (VALUES (?, ?, ?, ?)"+
				strings.Repeat(", (?, ?, ?, ?)", n-1)+") AS v WHERE event.id = v.column1", args...)
			if err != nil {
				return err
			}
			waiting = waiting[n:]
		}
		return nil
	})
}

func (l *Log) dispatch(tx *db.Tx, batch []Event) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, li := range l.listeners {
		for i, e := range batch {
			if !li.hears(e.Type) {
				continue
			}
			job := jobs.New{Kind: "hear:" + li.Name, Group: li.Name, Payload: struct{ Event string }{e.ID}}
			if li.HandleAll != nil {
				job.Key, job.Payload = li.Name, struct{}{}
				if _, err := tx.Exec("INSERT INTO event_cursor (listener, seq) VALUES (?, ?) ON CONFLICT (listener) DO NOTHING", li.Name, batch[i].Seq-1); err != nil {
					return err
				}
			}
			if err := l.d.Jobs.Enqueue(tx, job); err != nil {
				return err
			}
			if li.HandleAll != nil {
				break // one job for all
			}
		}
	}
	return nil
}

// chainHash is SHA-256 over the event's fields, each preceded by its length, and the previous hash.
func (e Event) chainHash() string {
	h := sha256.New()
	for _, s := range []string{e.PrevHash, strconv.FormatInt(e.Seq, 10), e.ID, e.Type, e.Resource.Kind, e.Resource.ID, string(e.Actor.Type),
		e.Actor.ID, e.RequestID, strconv.FormatInt(clock.Micros(e.At), 10), string(e.Data)} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Verify walks the whole chain. It returns the number of events, and Precondition naming the first one that does not fit.
func (l *Log) Verify(ctx context.Context) (int64, error) {
	prev, seq := "", int64(0)
	for {
		batch, err := l.list(ctx, Filter{After: seq, Limit: 1000, Ascending: true})
		if err != nil || len(batch) == 0 {
			return seq, err
		}
		for _, e := range batch {
			if e.Seq != seq+1 || e.PrevHash != prev || e.chainHash() != e.Hash {
				return seq, errs.E(errs.Precondition, "events.verify", "the chain breaks at event "+strconv.FormatInt(seq+1, 10), nil).
					WithHint("an entry was changed, removed or inserted outside of Modelyard; compare with a backup")
			}
			seq, prev = e.Seq, e.Hash
		}
	}
}

const columns = "id, coalesce(seq, 0), type, resource_kind, resource_id, actor_type, actor_id, request_id, at, data, prev_hash, hash"

func collect(rows *sql.Rows) ([]Event, error) {
	defer func() { _ = rows.Close() }()
	out := []Event{}
	for rows.Next() {
		var e Event
		var at int64
		var typ, data string
		if err := rows.Scan(&e.ID, &e.Seq, &e.Type, &e.Resource.Kind, &e.Resource.ID, &typ, &e.Actor.ID, &e.RequestID, &at, &data, &e.PrevHash, &e.Hash); err != nil {
			return nil, err
		}
		e.Actor.Type, e.At, e.Data = actor.Type(typ), clock.FromMicros(at), json.RawMessage(data)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Get reads one event by id.
func (l *Log) Get(ctx context.Context, eventID string) (Event, error) {
	rows, err := l.d.DB.Query(ctx, "SELECT "+columns+" FROM event WHERE id = ?", eventID)
	if err != nil {
		return Event{}, err
	}
	es, err := collect(rows)
	if err == nil && len(es) == 0 {
		return Event{}, errs.NotFoundf("events.get", "no event %s", eventID)
	}
	if err != nil {
		return Event{}, err
	}
	return es[0], nil
}

// Filter chooses events of the chain. Empty fields do not filter; TypePrefix "registry." means all of that domain.
type Filter struct {
	TypePrefix string
	Resource   Resource
	After      int64 // events behind this number in the reading direction; 0: from the start
	Limit      int
	Ascending  bool
}

// List reads events of the chain, newest first unless Ascending, up to all that was told of before the call.
func (l *Log) List(ctx context.Context, f Filter) ([]Event, error) {
	_, _ = l.sequence(ctx) // a store that cannot be written now has its older events still
	return l.list(ctx, f)
}

func (l *Log) list(ctx context.Context, f Filter) ([]Event, error) {
	q, args := "SELECT "+columns+" FROM event WHERE seq IS NOT NULL", []any{}
	add := func(cond string, v any) { q += " AND " + cond; args = append(args, v) }
	if f.TypePrefix != "" {
		add("type LIKE ?", f.TypePrefix+"%") // types hold letters, dots and underscores only
	}
	if f.Resource.Kind != "" {
		add("resource_kind = ?", f.Resource.Kind)
	}
	if f.Resource.ID != "" {
		add("resource_id = ?", f.Resource.ID)
	}
	order := " ORDER BY seq DESC LIMIT ?"
	if f.Ascending {
		add("seq > ?", f.After)
		order = " ORDER BY seq LIMIT ?"
	} else if f.After > 0 {
		add("seq < ?", f.After)
	}
	rows, err := l.d.DB.Query(ctx, q+order, append(args, f.Limit)...)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

// Watch gives sequenced events as they come, for live pages. A watcher that does not keep up misses events rather than slow others.
// Call stop when done.
func (l *Log) Watch() (ch <-chan Event, stop func()) {
	c := make(chan Event, 256)
	l.mu.Lock()
	n := l.nextWatch
	l.nextWatch++
	l.watchers[n] = c
	l.mu.Unlock()
	return c, func() {
		l.mu.Lock()
		delete(l.watchers, n)
		l.mu.Unlock()
	}
}

func (l *Log) tell(batch []Event) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, e := range batch {
		for _, c := range l.watchers {
			select {
			case c <- e:
			default:
			}
		}
	}
}
