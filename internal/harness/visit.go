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
	waiting  string   // what was still running when the time was up
	left     []string // what is on the host that was not, and the other way round
}

// beginVisit looks at the host, and starts the clock after which all that the script started is killed.
func beginVisit(name string) (*visit, error) {
	before, err := hostState()
	v := &visit{name: name, before: before, lastPid: lastPid()}
	v.timer = time.AfterFunc(scriptTimeout(), func() {
		v.waiting = whoWaits()
		v.timedOut.Store(true)
		// All of them: one that was left behind may hold the pipe on which its output is awaited.
		_ = unix.Kill(-1, unix.SIGKILL)
	})
	return v, err
}

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
	v.timer.Stop()
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
