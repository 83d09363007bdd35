package up

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// room is how many bytes are allocated, at least, between two garbage collections.
const room = 64 << 20

// giveRoom keeps the collector from running ten times a second under load where only some 20 MiB live: that takes a tenth of the time of a
// write. Where more than room lives it is Go's own rule, as much again as lives.
func giveRoom(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for percent := 0; ; {
		metrics.Read(live)
		now := 100 * room / max(int(live[0].Value.Uint64()), room/4) //nolint:gosec // a heap's size
		if now = max(now, 100); now != percent {
			percent = now
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
