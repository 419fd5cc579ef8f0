//go:build linux

package harness

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// On a slow machine with many processes a look takes longer than the time between two. The next
// comes later then, so that the processes get most of the time.
func TestClockLeavesTime(t *testing.T) {
	t.Run("a look that takes long", func(t *testing.T) {
		c := newClock(time.Nanosecond)
		c.look()
		require.Equal(t, 50*time.Nanosecond, c.tick)
	})
	t.Run("a look that takes no time", func(t *testing.T) {
		c := newClock(24 * time.Hour)
		c.look()
		require.Equal(t, 24*time.Hour, c.tick)
	})
}

// The harness works between two lines, too. A program that has nothing to do then is not idle.
func TestClockOfHarness(t *testing.T) {
	before := runtime.GOMAXPROCS(4) // so that there is a thread for each
	defer runtime.GOMAXPROCS(before)
	var done atomic.Bool
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !done.Load() {
		}
	}()
	const looks = 20
	idle := func() int {
		n, c := 0, newClock(time.Millisecond)
		for range looks {
			last := c.idle
			time.Sleep(c.tick)
			c.look()
			if c.idle > last {
				n++
			}
		}
		return n
	}
	working := idle()
	done.Store(true)
	<-stopped
	require.Less(t, working, looks/2)
	require.Greater(t, idle(), looks/2)
}
