//go:build linux

package harness

import (
	"errors"
	"fmt"
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
	before   state
	lastPid  int
	timer    *time.Timer
	timedOut atomic.Bool
	failed   atomic.Bool   // a line of the script has
	over     chan struct{} // closed at the end
	quiet    chan struct{} // closed when nothing is killed any more
	waiting  string        // what was still running when the time was up
	left     []string      // what is on the host that was not, and the other way round
}

// beginVisit looks at the host, and starts the clock after which all that the script starts is killed.
func beginVisit(name string) (*visit, error) {
	before, err := hostState()
	v := &visit{name: name, before: before, lastPid: lastPid(), over: make(chan struct{}), quiet: make(chan struct{})}
	v.timer = time.AfterFunc(scriptTimeout(), func() {
		if !v.failed.Load() {
			v.waiting = whoWaits()
			v.timedOut.Store(true)
		}
		v.killUntilOver()
	})
	return v, err
}

// killUntilOver kills again and again: a script that expects a failure takes the first kill for one, and goes on with
// a line that may hang as well.
func (v *visit) killUntilOver() {
	defer close(v.quiet)
	for {
		killAll()
		select {
		case <-v.over:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// fail ends what the script has in the background, because a line of it has failed: testscript only interrupts that, and
// waits for it. A program that passes no signal on leaves the container behind, which holds the pipe of its output.
func (v *visit) fail() {
	v.failed.Store(true)
	killAll()
}

// killAll kills all processes of the throw-away host but this one (kill(2), "pid equals -1"): one that was left behind
// may hold the pipe on which its output is awaited.
func killAll() { _ = unix.Kill(-1, unix.SIGKILL) }

// tasks is how many processes and threads there were since the beginning. The host gives pids one after another.
func (v *visit) tasks() int { return lastPid() - v.lastPid }

// lastPid is the pid that was given last in this pid namespace (proc_loadavg(5)), or 0.
func lastPid() int {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return 0
	}
	pid, _ := strconv.Atoi(fields[len(fields)-1])
	return pid
}

// end says what is wrong with the host after the script, and makes the host as it was before. What a
// script that failed left behind is no news.
func (v *visit) end(failed bool) (complaints []string, err error) {
	close(v.over)
	if !v.timer.Stop() {
		<-v.quiet
	}
	if v.timedOut.Load() {
		complaints = append(complaints, fmt.Sprintf("not done after %s: %s", scriptTimeout(), v.waiting))
	}
	lines, err := leftovers(v.before)
	if len(lines) > 0 && !failed && len(complaints) == 0 {
		complaints = append(complaints, "the host is not as it was before:\n\t"+strings.Join(lines, "\n\t"))
		v.left = lines
	}
	return complaints, errors.Join(err, restore(v.before),
		os.RemoveAll(filepath.Join(os.Getenv(dirEnv), "work", "script-"+v.name)))
}
