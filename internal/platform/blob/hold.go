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

// holdFor is how long contents wait for their name at most: from the end of an upload to the commit that names it. It bounds what an
// upload that fails between the two leaves behind.
const holdFor = time.Hour

type hold struct {
	n     int       // uploads and namings at work; 0: the name is committed, but a reaper that looked for names before must still see the hold
	since time.Time // of the youngest
}

// holds keeps contents that were stored, or are being named, from the reaper. A name is safe in this way: who names contents first holds
// them and then looks whether they are there; the reaper looks for holds and removes under the same lock. So either the one sees that
// they are gone, or the other that they are held; a hold that ends while a reaper works counts for that reaper, who may have looked for
// names before the name was committed. Holds live in memory: one process uses the folder, and with it go its uploads.
type holds struct {
	mu     sync.Mutex
	by     map[Digest]hold
	frozen int
	reaps  int // reapers at work
}

func (h *holds) init() { h.by = map[Digest]hold{} }

func (h *holds) add(d Digest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[d] = hold{n: h.by[d].n + 1, since: time.Now()}
}

// Hold implements Store.
func (l *Local) Hold(d Digest) error {
	if !d.Valid() {
		return errs.Invalidf("blob.hold", "%q is not a SHA-256 digest", string(d))
	}
	l.holds.add(d)
	_, name := place(d)
	if _, err := l.root.Stat(name); err != nil {
		l.Settle(d)
		return fail("blob.hold", err)
	}
	return nil
}

// Settle implements Store.
func (l *Local) Settle(d Digest) {
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	h, ok := l.holds.by[d]
	if !ok {
		return
	}
	h.n = max(0, h.n-1)
	if h.n == 0 && l.holds.reaps == 0 {
		delete(l.holds.by, d)
		return
	}
	l.holds.by[d] = h
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
		maps.DeleteFunc(l.holds.by, func(_ Digest, h hold) bool { return h.n == 0 || time.Since(h.since) >= holdFor })
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
