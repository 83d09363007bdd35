package blob

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"sync"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Ticket names one hold.
type Ticket uint64

// holdFor is how long contents wait for their name at most: from the end of an upload to the commit that names it. It bounds what an
// upload that fails between the two leaves behind.
const holdFor = time.Hour

type hold struct {
	ticket  Ticket
	since   time.Time
	settled bool // the name is committed; a reaper that looked for names before must still see the hold
}

// holds keeps contents that were stored, or are being named, from the reaper. A name is safe in this way: who names contents first holds
// them and then looks whether they are there; the reaper looks for holds and removes under the same lock. So either the one sees that
// they are gone, or the other that they are held; a hold that ends while a reaper works counts for that reaper, who may have looked for
// names before the name was committed. Holds live in memory: one process uses the folder, and with it go its uploads.
type holds struct {
	mu     sync.Mutex
	last   Ticket
	by     map[Digest]hold
	frozen int
	reaps  int // reapers at work
}

func (h *holds) init() { h.by = map[Digest]hold{} }

func (h *holds) add(d Digest) Ticket {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.by[d] = hold{ticket: h.last, since: time.Now()}
	return h.last
}

// Hold implements Store.
func (l *Local) Hold(d Digest) (Ticket, error) {
	if !d.Valid() {
		return 0, errs.Invalidf("blob.hold", "%q is not a SHA-256 digest", string(d))
	}
	t := l.holds.add(d)
	_, name := place(d)
	if _, err := l.root.Stat(name); err != nil {
		l.Settle(d, t)
		return 0, fail("blob.hold", err)
	}
	return t, nil
}

// Settle implements Store. A younger hold on the same contents goes on.
func (l *Local) Settle(d Digest, t Ticket) {
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	h, ok := l.holds.by[d]
	switch {
	case !ok || h.ticket > t:
	case l.holds.reaps > 0:
		h.settled = true
		l.holds.by[d] = h
	default:
		delete(l.holds.by, d)
	}
}

// Reaping implements Store.
func (l *Local) Reaping() (done func()) {
	l.holds.mu.Lock()
	l.holds.reaps++
	l.holds.mu.Unlock()
	return sync.OnceFunc(func() {
		l.holds.mu.Lock()
		defer l.holds.mu.Unlock()
		if l.holds.reaps--; l.holds.reaps > 0 {
			return
		}
		maps.DeleteFunc(l.holds.by, func(_ Digest, h hold) bool { return h.settled || time.Since(h.since) >= holdFor })
	})
}

// Freeze keeps all contents until thaw is called: a backup copies them.
func (l *Local) Freeze() (thaw func()) {
	add := func(n int) {
		l.holds.mu.Lock()
		l.holds.frozen += n
		l.holds.mu.Unlock()
	}
	add(1)
	return sync.OnceFunc(func() { add(-1) })
}

// Reap implements Store. The caller has seen that no name refers to the contents.
func (l *Local) Reap(_ context.Context, d Digest) (int64, bool, error) {
	if !d.Valid() {
		return 0, false, errs.Invalidf("blob.reap", "%q is not a SHA-256 digest", string(d))
	}
	_, name := place(d)
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	if h, ok := l.holds.by[d]; l.holds.frozen > 0 || ok && time.Since(h.since) < holdFor {
		return 0, false, nil
	}
	delete(l.holds.by, d)
	st, err := l.root.Stat(name)
	if err == nil {
		err = l.root.Remove(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, fail("blob.reap", err)
	}
	return st.Size(), true, nil
}
