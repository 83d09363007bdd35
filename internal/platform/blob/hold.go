package blob

import (
	"context"
	"errors"
	"io/fs"
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
	since   time.Time
	upload  bool // by an upload whose ticket nobody carries: the next name that is given to the contents ends it
	settled bool // the name is committed; a reaper that looked for names before must still see the hold
}

// holds keeps contents that were stored, or are being named, from the reaper. A name is safe in this way: who names contents first holds
// them and then looks whether they are there; the reaper looks for holds and removes under the same lock. So either the one sees that
// they are gone, or the other that they are held; a hold that ends while a reaper works counts for that reaper, who may have looked for
// names before the name was committed. Holds live in memory: one process uses the folder, and with it go its uploads.
type holds struct {
	mu     sync.Mutex
	last   Ticket
	by     map[Digest]map[Ticket]hold
	frozen int
	reaps  int // reapers at work
}

func (h *holds) init() { h.by = map[Digest]map[Ticket]hold{} }

func (h *holds) add(d Digest, upload bool) Ticket {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	if h.by[d] == nil {
		h.by[d] = map[Ticket]hold{}
	}
	h.by[d][h.last] = hold{since: time.Now(), upload: upload}
	return h.last
}

// held reports whether contents are held. The caller has the lock.
func (h *holds) held(d Digest) bool {
	for _, x := range h.by[d] {
		if time.Since(x.since) < holdFor {
			return true
		}
	}
	return false
}

// end ends a hold. The caller has the lock.
func (h *holds) end(d Digest, t Ticket) {
	x, ok := h.by[d][t]
	switch {
	case !ok:
	case h.reaps > 0:
		x.settled, x.upload = true, false
		h.by[d][t] = x
	default:
		h.drop(d, t)
	}
}

func (h *holds) drop(d Digest, t Ticket) {
	if delete(h.by[d], t); len(h.by[d]) == 0 {
		delete(h.by, d)
	}
}

// Hold implements Store.
func (l *Local) Hold(d Digest) (Ticket, error) {
	if !d.Valid() {
		return 0, errs.Invalidf("blob.hold", "%q is not a SHA-256 digest", string(d))
	}
	t := l.holds.add(d, false)
	_, name := place(d)
	if _, err := l.root.Stat(name); err != nil {
		l.Release(d, t)
		return 0, fail("blob.hold", err)
	}
	return t, nil
}

// Settle implements Store.
func (l *Local) Settle(d Digest, t Ticket) {
	h := &l.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(d, t)
	oldest := Ticket(0)
	for u, x := range h.by[d] {
		if x.upload && (oldest == 0 || u < oldest) {
			oldest = u
		}
	}
	if oldest != 0 && oldest < t {
		h.end(d, oldest)
	}
}

// Release implements Store.
func (l *Local) Release(d Digest, t Ticket) {
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	l.holds.end(d, t)
}

// Reaping implements Store.
func (l *Local) Reaping() (done func()) {
	h := &l.holds
	h.mu.Lock()
	h.reaps++
	h.mu.Unlock()
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.reaps--; h.reaps > 0 {
			return
		}
		for d, by := range h.by {
			for t, x := range by {
				if x.settled || time.Since(x.since) >= holdFor {
					h.drop(d, t)
				}
			}
		}
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
	if l.holds.frozen > 0 || l.holds.held(d) {
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
