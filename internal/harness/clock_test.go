//go:build linux

package harness

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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

// The harness works between two lines, too. A program that has nothing to do then is not idle. What
// other threads of the harness do, those that look at the clock among them, is no work.
func TestClockOfHarness(t *testing.T) {
	before := runtime.GOMAXPROCS(4) // so that there is a thread for each goroutine
	defer runtime.GOMAXPROCS(before)
	var worker atomic.Int64
	var done atomic.Bool
	defer done.Store(true)
	working, ended, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		worker.Store(int64(unix.Gettid()))
		close(working)
		for !done.Load() {
		}
		<-ended
		close(stopped)
	}()
	<-working
	c := newClock(time.Millisecond)
	c.worker = &worker
	own := []int{os.Getpid()} // others on this machine may be busy
	require.Eventually(t, func() bool { return c.busy(own) }, time.Minute, time.Millisecond,
		"only between two turns of its goroutine it waits")
	c.worker = nil
	require.False(t, c.busy(own))

	done.Store(true)
	require.Eventually(t, func() bool {
		return !wantsProcessor(os.Getpid(), strconv.FormatInt(worker.Load(), 10))
	}, time.Minute, time.Millisecond, "a thread that waits")
	close(ended)
	<-stopped
}

// TestClockOfScript has a script that is at work: its clock looks at the thread that runs it.
func TestClockOfScript(t *testing.T) {
	s := &trial{visit: &visit{}}
	busy := false
	s.Run("", func(testscript.T) { busy = s.clock(time.Millisecond).busy([]int{os.Getpid()}) })
	require.True(t, busy)
}

// TestPatienceWithOthers waits longer only where a script may take longer than usual.
func TestPatienceWithOthers(t *testing.T) {
	for timeout, patience := range map[time.Duration]time.Duration{
		0:                2 * time.Second,
		time.Second:      2 * time.Second,
		time.Minute:      2 * time.Second,
		15 * time.Minute: 30 * time.Second,
	} {
		require.Equal(t, patience, patienceWithOthers(timeout), timeout)
	}
}

// TestEnoughOf ends what is at work for too long, and not only what waits.
func TestEnoughOf(t *testing.T) {
	stop, over := make(chan struct{}), make(chan struct{})
	defer close(stop)
	work := exec.Command("sh", "-c", "while :; do :; done")
	require.NoError(t, work.Start())
	defer func() { _, _ = work.Process.Kill(), work.Wait() }()
	<-enoughOf(time.Millisecond, 1000*time.Hour, stop)
	_, enough := afterIdle(unix.SIGTERM, func() bool { return false }, time.Millisecond,
		1000*time.Hour, stop)
	<-enough
	close(over)
	select {
	case <-enoughOf(1000*time.Hour, 1000*time.Hour, over):
		require.Fail(t, "it was over before")
	case <-enoughOf(time.Millisecond, 1000*time.Hour, stop):
	}
}
