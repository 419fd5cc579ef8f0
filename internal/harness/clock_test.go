//go:build linux

package harness

import (
	"os"
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
	before := runtime.GOMAXPROCS(4) // so that there is a thread for each goroutine
	defer runtime.GOMAXPROCS(before)
	var done atomic.Bool
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !done.Load() {
		}
	}()
	const looks = 20
	self, seen := []int{os.Getpid()}, 0
	for range looks {
		time.Sleep(time.Millisecond)
		if wantProcessor(self) {
			seen++
		}
	}
	done.Store(true)
	<-stopped
	require.Greater(t, seen, looks/2, "a moment without a thread passes")
	for wantProcessor(self) { // until nothing else works; the thread that looks does not count
		time.Sleep(time.Millisecond)
	}
}
