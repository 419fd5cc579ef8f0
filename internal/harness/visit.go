//go:build linux

package harness

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// visit is the stay of one script on the throw-away host.
type visit struct {
	name     string
	limit    time.Duration // how long it may be
	before   state
	lastPid  int
	line     atomic.Int64 // of the script, which runs now
	worker   atomic.Int64 // the thread that runs it
	timedOut atomic.Bool
	failed   atomic.Bool   // a line of the script has
	over     chan struct{} // closed at the end
	quiet    chan struct{} // closed when nothing more is killed
	waiting  string        // what was still running when the time was up
	there    []Process     // those of the program that were, and
	hung     int           // the line that ran then
	left     []string      // what is on the host that was not, and the other way round

	// first is that of the program when the script sent it a signal.
	first atomic.Pointer[firstProcess]
}

// untouched is the state of the host when the last script has left it as it was: nobody has been
// here since. It is nil when the host has to be looked at.
var untouched state

// beginVisit looks at the host, and begins to watch the clock. When the time is up all that the
// script has started is killed.
func beginVisit(name string, limit time.Duration) (v *visit, err error) {
	before := untouched
	if untouched = nil; before == nil {
		before, err = hostState()
	}
	v = &visit{
		name:    name,
		limit:   limit,
		before:  before,
		lastPid: lastPid(),
		over:    make(chan struct{}),
		quiet:   make(chan struct{}),
	}
	go v.watch()
	return v, err
}

// longest is how many times the limit of a script may pass on the clock on the wall. It is for a
// process that wants a disk, say, and never gets it.
const longest = 20

// watch ends the script when its time is up.
func (v *visit) watch() {
	defer close(v.quiet)
	limit, start := v.limit, time.Now()
	const tick = 200 * time.Millisecond
	select {
	case <-v.over: // as most scripts are by then
		return
	case <-time.After(tick):
	}
	for c := v.clock(tick); ; {
		select {
		case <-v.over:
			return
		case <-time.After(c.tick):
		}
		// A slow processor takes long for its work, but none for waiting.
		if c.look() > limit || c.idle > limit/3 || time.Since(start)/longest > limit {
			break
		}
	}
	if !v.failed.Load() {
		v.waiting, v.there, v.hung = whoWaits(), whoseSignals(v.first.Load()), int(v.line.Load())
		v.timedOut.Store(true)
	}
	// Again and again: something may just be starting.
	for {
		killAll()
		select {
		case <-v.over:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// clock is one that also looks at the thread that runs the script.
func (v *visit) clock(tick time.Duration) *clock {
	c := newClock(tick)
	c.worker = &v.worker
	return c
}

// fail ends what the script has in the background, because a line of it has failed: testscript only
// interrupts that, and waits for it. A program that passes no signal on leaves the container
// behind, which holds the pipe of its output.
func (v *visit) fail() {
	v.failed.Store(true)
	killAll()
}

// killAll kills all processes of the throw-away host but this one (kill(2), "pid equals -1"): one
// that was left behind may hold the pipe on which its output is awaited.
func killAll() { _ = unix.Kill(-1, unix.SIGKILL) }

// tasks is how many processes and threads there were since the beginning. The host gives pids one
// after another.
func (v *visit) tasks() int { return lastPid() - v.lastPid }

// lastPid is the pid that was given last in this pid namespace (proc_loadavg(5)), or 0.
func lastPid() int {
	fields := strings.Fields(readStat("/proc/loadavg"))
	if len(fields) == 0 {
		return 0
	}
	pid, _ := strconv.Atoi(fields[len(fields)-1])
	return pid
}

// look says what is wrong with the host after the script. What a script that failed left behind is
// no complaint. From now on nothing is killed because the time is up.
func (v *visit) look(failed bool) (complaints []string, err error) {
	close(v.over)
	<-v.quiet
	if v.timedOut.Load() {
		complaints = append(complaints, "the time was up: "+v.waiting)
	}
	if !failed && len(complaints) == 0 {
		if v.left, err = leftovers(v.before); len(v.left) > 0 {
			complaints = append(complaints, notAsBefore(v.left))
		}
	}
	return complaints, err
}

// notAsBefore is the complaint about a host on which something was left behind.
func notAsBefore(left []string) string {
	return "the host is not as it was before:\n\t" + strings.Join(left, "\n\t")
}

// end makes the host as it was before the script, if it is dirty.
func (v *visit) end(dirty bool) (err error) {
	if dirty {
		err = restore(v.before)
	} else {
		untouched = v.before
	}
	spareRootfs().keep()
	for _, dir := range []string{"script-" + v.name, "again"} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(now().Dir, "work", dir)))
	}
	return err
}
