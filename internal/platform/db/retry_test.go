package db

import (
	"testing"
	"time"
)

// TestRetryDelay: delays grow, are bounded, and differ between writers that collided.
func TestRetryDelay(t *testing.T) {
	t.Parallel()
	for attempt, most := range map[int]time.Duration{0: time.Millisecond, 3: 8 * time.Millisecond, 6: 64 * time.Millisecond, 19: 64 * time.Millisecond} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := retryDelay(attempt)
			if d < most/2 || d >= most {
				t.Fatalf("attempt %d: %s", attempt, d)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("attempt %d: %d different delays of 200", attempt, len(seen))
		}
	}
}
