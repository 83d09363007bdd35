package tracking

import (
	"container/list"
	"context"
	"sync"
)

// runCache keeps runs as they were read, until a write changes them. A read that began before a write is not kept.
type runCache struct {
	limit int // bytes, as estimated

	mu      sync.Mutex
	bytes   int
	byID    map[string]*list.Element
	recent  *list.List          // of *cachedRun, the last used first
	reading map[string]*reading // by run; dropped by a write
}

type cachedRun struct {
	run   Run
	bytes int
}

// reading marks a read that is under way. It has a size, so that each has an address of its own.
type reading struct{ _ byte }

func newRunCache(limit int) *runCache {
	return &runCache{limit: limit, byID: map[string]*list.Element{}, recent: list.New(), reading: map[string]*reading{}}
}

// get gives the runs that are there, and the ids of those to read. mark goes back with put.
func (c *runCache) get(ids []string, found map[string]Run) (missing []string, mark *reading) {
	mark = new(reading)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if e, ok := c.byID[id]; ok {
			c.recent.MoveToFront(e)
			found[id] = e.Value.(*cachedRun).run //nolint:forcetypeassert // the list holds nothing else
			continue
		}
		if c.reading[id] != mark { // once, though it is asked for twice
			missing = append(missing, id)
		}
		c.reading[id] = mark
	}
	return missing, mark
}

// put keeps what was read, but for the runs that were written meanwhile.
func (c *runCache) put(runs []Run, asked []string, mark *reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range runs {
		if c.reading[r.ID] == mark {
			c.add(r)
		}
	}
	for _, id := range asked {
		if c.reading[id] == mark {
			delete(c.reading, id)
		}
	}
}

// keep takes a run that was just made: nobody can have written to it yet.
func (c *runCache) keep(r Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(r)
}

func (c *runCache) add(r Run) {
	size := weight(r)
	if c.byID[r.ID] != nil || size > c.limit/16 {
		return
	}
	c.byID[r.ID] = c.recent.PushFront(&cachedRun{r, size})
	for c.bytes += size; c.bytes > c.limit; {
		c.remove(c.recent.Back())
	}
}

func (c *runCache) remove(e *list.Element) {
	r := c.recent.Remove(e).(*cachedRun) //nolint:forcetypeassert // the list holds nothing else
	delete(c.byID, r.run.ID)
	c.bytes -= r.bytes
}

// drop forgets a run that was written.
func (c *runCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reading, id)
	if e, ok := c.byID[id]; ok {
		c.remove(e)
	}
}

func (c *runCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = 0
	c.recent.Init()
	clear(c.byID)
	clear(c.reading)
}

// weight estimates the memory of a run in bytes.
func weight(r Run) int {
	n := 512 + 128*len(r.Metrics) + 48*len(r.ModelInputs) + 48*len(r.ModelOutputs)
	for _, m := range r.Metrics {
		n += len(m.Key)
	}
	for _, p := range r.Params {
		n += 48 + len(p.Key) + len(p.Value)
	}
	for _, t := range r.Tags {
		n += 48 + len(t.Key) + len(t.Value)
	}
	for _, in := range r.Inputs {
		n += 256 + len(in.Name) + len(in.Source) + len(in.Schema) + len(in.Profile)
	}
	return n
}

// maxCached is the largest page that goes through the cache: a larger one would push everything else out.
const maxCached = 2000

// cachedRuns gives runs in the order of the ids, without those that are not there. What they hold is shared: read it only.
func (st *store) cachedRuns(ctx context.Context, ids []string) ([]Run, error) {
	if len(ids) > maxCached {
		return st.runsByID(ctx, once(ids))
	}
	found := make(map[string]Run, len(ids))
	missing, mark := st.cache.get(ids, found)
	if len(missing) > 0 {
		runs, err := st.runsByID(ctx, missing)
		st.cache.put(runs, missing, mark)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			found[r.ID] = r
		}
	}
	out := make([]Run, 0, len(ids))
	for _, id := range ids {
		if r, ok := found[id]; ok {
			out = append(out, r)
		}
	}
	return out, nil
}
