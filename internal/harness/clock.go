//go:build linux

package harness

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A clock measures how much time the processes of the throw-away host had for their work, so that
// a slow or busy machine decides nothing. It goes on by the processor time that they used, and when
// none of them wants a processor or a disk: then they wait, and time is all that they wait for. It
// stands still while they have work to do and do not get a processor for it, because the machine is
// busy.
type clock struct {
	tick  time.Duration // between two looks, as it is meant to be
	least time.Duration // the shortest tick
	last  time.Time
	used  time.Duration // processor time, until then
	rest  time.Duration // that nobody used, on the whole machine
	had   time.Duration // what the clock shows
	idle  time.Duration // of that, when none of them wanted a processor

	// worker is the thread of this process that runs the script. What it has to do between two
	// lines is no idleness of the program. A clock without one looks at the processes only.
	worker *atomic.Int64
}

func newClock(tick time.Duration) *clock {
	return &clock{
		tick: tick, least: tick, last: time.Now(), used: processorTime(pidsInSight()),
		rest: restOfMachine(),
	}
}

// look looks at all processes, and returns what the clock shows. It is called at each tick. Where a
// look takes long, because there are many processes and the machine is slow, the next comes later,
// though not too late for somebody who waits: otherwise the looks would take the processes' time.
func (c *clock) look() time.Duration {
	begin := time.Now()
	defer func() { c.tick = min(max(c.least, 4*time.Since(begin)), 50*c.least) }()
	used, rest, busy, seen := c.work()
	at := time.Now()
	elapsed := min(at.Sub(c.last), 2*c.tick) // this process may have got no processor either
	c.last = at
	switch {
	case !seen: // then only time is left to go by
		c.had += elapsed
		return c.had
	case !busy:
		c.had += elapsed
		c.idle += elapsed
	case used > c.used:
		c.had += used - c.used
	case rest-c.rest > elapsed/2: // there would be one: a limit of their own keeps them from it
		c.had += elapsed
	}
	c.used, c.rest = used, rest
	return c.had
}

// work is what the processes of the throw-away host have used, what nobody used, and whether they
// want a processor. It is not seen without their /proc, which may go while it is read.
func (c *clock) work() (used, rest time.Duration, busy, seen bool) {
	if !isProcOurs() {
		return 0, 0, false, false
	}
	pids := pidsInSight()
	used, rest, busy = processorTime(pids), restOfMachine(), c.busy(pids)
	return used, rest, busy, isProcOurs()
}

// busy tells whether one of these processes wants a processor, or the thread that runs the script.
func (c *clock) busy(pids []int) bool {
	return wantProcessor(pids) || c.worker != nil &&
		wantsProcessor(os.Getpid(), strconv.FormatInt(c.worker.Load(), 10))
}

// isProcOurs tells whether /proc is that of the throw-away host. A program may have unmounted it,
// and below it is that of the machine.
func isProcOurs() bool {
	self, _ := os.Readlink("/proc/self")
	return self == strconv.Itoa(os.Getpid())
}

// userHZ is the unit of times in proc_pid_stat(5). The kernel converts to it for all programs.
const userHZ = 100

// processorTime is what these processes have used, but for this one.
func processorTime(pids []int) (sum time.Duration) {
	// Fields utime, stime, cutime and cstime of proc_pid_stat(5). Of this process only those of its
	// dead children count.
	ticks := int64(0)
	for _, pid := range pids {
		fields := []int{14, 15, 16, 17}
		if pid == os.Getpid() {
			fields = fields[2:]
		}
		for i, text := range statFields(pid) {
			if slices.Contains(fields, i) {
				n, _ := strconv.ParseInt(text, 10, 64)
				ticks += n
			}
		}
	}
	return time.Duration(ticks) * time.Second / userHZ
}

// restOfMachine is the time in which the processors of the machine had nothing to do: idle and
// iowait of /proc/stat (proc_stat(5)).
func restOfMachine() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(first)
	if len(fields) < 6 {
		return 0
	}
	idle, _ := strconv.ParseInt(fields[4], 10, 64)
	iowait, _ := strconv.ParseInt(fields[5], 10, 64)
	return time.Duration(idle+iowait) * time.Second / userHZ
}

// wantProcessor tells whether a thread of these processes, but for this one, wants a processor.
func wantProcessor(pids []int) bool {
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		// filepath.Glob would read each of these directories, too.
		tasks, _ := os.ReadDir(procPath(pid, "task")) // none: it has gone
		for _, task := range tasks {
			if wantsProcessor(pid, task.Name()) {
				return true
			}
		}
	}
	return false
}

// wantsProcessor tells whether a thread of a process runs, waits for a processor (R), for a disk
// (D) or for the one who traces it (t), or is just dying (X).
func wantsProcessor(pid int, thread string) bool {
	fields := splitStat(readStat(procPath(pid, filepath.Join("task", thread, "stat"))))
	return len(fields) > 3 && strings.Contains("RDtX", fields[3])
}

// pidsInSight are the ids of all processes of the throw-away host. Dead ones are not buried here.
func pidsInSight() (pids []int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// statFields are the fields of proc_pid_stat(5), at their numbers there. They are none if the
// process has gone.
func statFields(pid int) []string {
	return splitStat(readStat(procPath(pid, "stat")))
}

// readStat reads a short file of /proc, in a third of the system calls that os.ReadFile makes. It
// is nothing if the process has gone.
func readStat(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	text := make([]byte, 1<<10)
	n, _ := unix.Read(fd, text)
	return string(text[:max(0, n)])
}

func splitStat(text string) []string {
	begin, rest, found := strings.Cut(text, " (")
	end := strings.LastIndex(rest, ") ") // the name may have blanks and brackets in it
	if !found || end < 0 {
		return nil
	}
	return append([]string{"", begin, rest[:end]}, strings.Fields(rest[end+2:])...)
}

// enoughOf tells when the processes of the host have had so much time, or have waited for so long
// of it, unless it is over before.
func enoughOf(limit, idle time.Duration, over <-chan struct{}) <-chan struct{} {
	reached := make(chan struct{})
	go func() {
		c := newClock(50 * time.Millisecond)
		for c.had < limit && c.idle < idle {
			select {
			case <-over:
				return
			case <-time.After(c.tick):
				c.look()
			}
		}
		close(reached)
	}()
	return reached
}

// afterIdle hands out a signal when the processes of the host have waited for a part of the time
// for that, and it has begun what they are to do. It tells when they have waited for all of this
// time, or have had as much as the limit, after that or before it has begun, unless it is over
// before.
func afterIdle(signal unix.Signal, begun func() bool, limit, idle time.Duration,
	over <-chan struct{},
) (signals <-chan unix.Signal, enough <-chan struct{}) {
	sent, reached := make(chan unix.Signal), make(chan struct{})
	go func() {
		for c := newClock(50 * time.Millisecond); c.idle < idle/8 || !begun(); c.look() {
			if c.idle >= idle || c.had >= limit {
				close(reached)
				return
			}
			select {
			case <-over:
				return
			case <-time.After(c.tick):
			}
		}
		select {
		case sent <- signal:
		case <-over:
			return
		}
		select {
		case <-enoughOf(limit, idle, over):
			close(reached)
		case <-over:
		}
	}()
	return sent, reached
}

// patienceWithOthers is how long a line waits for something that another process is to do: two
// seconds of its time, and more where a script may take longer than a minute, because the user
// knows that the processor is slow.
func patienceWithOthers(timeout time.Duration) time.Duration {
	return max(2*time.Second, timeout/30)
}

// eventually waits for a condition, until the processes of the host had all the time that they need
// for it, or over tells that nobody is left who could bring it about.
func eventually(condition, over func() bool) bool {
	c := newClock(10 * time.Millisecond)
	for patience := patienceWithOthers(now().Timeout); c.look() < patience; {
		last := over()
		if condition() {
			return true
		}
		if last {
			return false
		}
		time.Sleep(c.tick)
	}
	return condition()
}
