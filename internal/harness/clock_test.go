//go:build linux

package harness

import (
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
