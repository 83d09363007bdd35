package dataset

import (
	"sync"

	"github.com/modelyard/modelyard/internal/table"
)

// cacheBytes bounds the frames that are kept, by their estimated size.
const cacheBytes = 64 << 20

// frameCache keeps the frames that were opened last. Frames never change, so they are shared.
type frameCache struct {
	mu    sync.Mutex
	limit int64
	used  int64
	order []cached // oldest use first
}

type cached struct {
	digest string
	frame  *table.Frame
	bytes  int64
}

func newFrameCache(limit int64) *frameCache { return &frameCache{limit: limit} }

func (c *frameCache) get(digest string) *table.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.order {
		if e.digest == digest {
			c.order = append(append(c.order[:i:i], c.order[i+1:]...), e)
			return e.frame
		}
	}
	return nil
}

func (c *frameCache) put(digest string, f *table.Frame) {
	size := frameBytes(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.limit/2 {
		return
	}
	for _, e := range c.order {
		if e.digest == digest {
			return
		}
	}
	c.order, c.used = append(c.order, cached{digest, f, size}), c.used+size
	for c.used > c.limit {
		c.used -= c.order[0].bytes
		c.order = c.order[1:]
	}
}

// frameBytes estimates the memory of a frame.
func frameBytes(f *table.Frame) int64 {
	var n int64
	for _, c := range f.Columns() {
		n += int64(c.Len()) * 8
		for _, s := range c.Strings() {
			n += int64(len(s)) + 8
		}
	}
	return n
}
