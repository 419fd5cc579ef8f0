//go:build linux

package harness

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// waits are the system calls in which a program waits, and how to say what for. The descriptor or
// process that is the first argument is told where that helps.
var waits = map[int]struct{ name, what string }{
	unix.SYS_READ:            {"read(2)", "for input from"},
	unix.SYS_WRITE:           {"write(2)", "for room to write to"},
	unix.SYS_WAIT4:           {"wait4(2)", forChild},
	unix.SYS_WAITID:          {"waitid(2)", forChild},
	unix.SYS_CLOCK_NANOSLEEP: {"clock_nanosleep(2)", "for time to pass"},
	unix.SYS_NANOSLEEP:       {"nanosleep(2)", "for time to pass"},
	unix.SYS_ACCEPT4:         {"accept4(2)", "for a connection"},
	unix.SYS_RECVMSG:         {"recvmsg(2)", "for a message"},
	unix.SYS_RECVFROM:        {"recvfrom(2)", "for a message"},
	unix.SYS_OPENAT:          {"openat(2)", "for the other end of a fifo"},
	unix.SYS_RT_SIGSUSPEND:   {"sigsuspend(2)", "for a signal"},
	unix.SYS_RT_SIGTIMEDWAIT: {"sigtimedwait(2)", "for a signal"},
	unix.SYS_FLOCK:           {"flock(2)", "for a lock on"},
	unix.SYS_EPOLL_PWAIT:     {"epoll_wait(2)", "for a descriptor to be ready"},
	unix.SYS_PPOLL:           {"ppoll(2)", "for a descriptor to be ready"},
	unix.SYS_PSELECT6:        {"pselect(2)", "for a descriptor to be ready"},
	unix.SYS_FUTEX:           {"futex(2)", "for another thread (a channel, a mutex, a WaitGroup)"},
}

const forChild = "for the end of a child process"

// idle are those in which some thread of every Go program waits; another thread tells more.
var idle = map[int]bool{unix.SYS_FUTEX: true, unix.SYS_EPOLL_PWAIT: true, unix.SYS_NANOSLEEP: true}

// ProcLost takes the place of what was still running if /proc of the host no longer shows that: a
// program has mounted something there, or unmounted it.
const ProcLost = "something was still running; without /proc nobody can tell what"

// A Process is one of the program under test that was still there when the time was up.
type Process struct {
	Command string // its command line, as in Waiting
	File    string // the path of what it executes
	// Above is the place of its parent in the list. The first one has none there.
	Above int
	// Init tells that it is process 1 of a pid namespace: that gets no signal for which it has no
	// handler, but for KILL and STOP from outside.
	Init bool
	// Waits tells that it was waiting for the end of a child.
	Waits bool
	// Sets of signals, as in proc_pid_status(5): the lowest bit is signal 1. Pending are those that
	// have come, and that all its threads block.
	Pending, Ignored, Caught uint64
}

// whoseSignals are the processes of the program that are still there: the first one, or the oldest
// one that is called as the scripts call it, and those below that.
func whoseSignals(first *firstProcess) (all []Process) {
	if !isProcOurs() {
		return nil
	}
	var line []int
	for _, pid := range pids() {
		switch raw, _ := os.ReadFile(procPath(pid, "cmdline")); {
		case statField(pid, 3) == "Z":
		case len(line) == 0 && (first.is(pid) || isCalledSo(string(raw))),
			slices.Contains(line, parentOf(pid)):
			p := processOf(pid)
			p.Above = max(0, slices.Index(line, parentOf(pid)))
			line, all = append(line, pid), append(all, p)
		}
	}
	return all
}

// isCalledSo tells whether a command line, as in proc_pid_cmdline(5), is one of the scripts.
func isCalledSo(raw string) bool {
	return strings.Contains(strings.ReplaceAll(raw, "\x00", " "), "container run ")
}

// A firstProcess is the first one of the program, to which a script sends a signal. It may execute
// something else then, and is called otherwise.
type firstProcess struct {
	pid   int
	start string // when it began: a number may be given again
}

// findFirst finds the oldest process that is called as the scripts call the program, or nil.
func findFirst() *firstProcess {
	for _, pid := range pids() {
		if raw, _ := os.ReadFile(procPath(pid, "cmdline")); isCalledSo(string(raw)) {
			return &firstProcess{pid, startOf(pid)}
		}
	}
	return nil
}

// is tells whether a process is the first one. That may be nil, which is not known.
func (f *firstProcess) is(pid int) bool {
	return f != nil && f.pid == pid && f.start == startOf(pid)
}

// startOf is when a process began.
func startOf(pid int) string { return statField(pid, 22) }

// processOf is what is known of a process and its signals.
func processOf(pid int) Process {
	p := Process{Command: commandLine(pid), Waits: waitsForChild(pid), Pending: ^uint64(0)}
	p.File, _ = os.Readlink(procPath(pid, "exe"))
	numbers := strings.Fields(ofStatus(procPath(pid, "status"), "NSpid"))
	n := len(numbers)
	p.Init = n > depth(os.Getpid()) && numbers[n-1] == "1"
	set := func(file, name string) uint64 {
		signals, _ := strconv.ParseUint(ofStatus(file, name), 16, 64)
		return signals
	}
	p.Ignored = set(procPath(pid, "status"), "SigIgn")
	p.Caught = set(procPath(pid, "status"), "SigCgt")
	tasks, _ := filepath.Glob(procPath(pid, "task/*/status"))
	for _, task := range append(tasks, procPath(pid, "status")) {
		p.Pending &= set(task, "ShdPnd") & set(task, "SigBlk")
	}
	return p
}

// ofStatus is a line of a file as in proc_pid_status(5), or nothing.
func ofStatus(file, name string) string {
	status, _ := os.ReadFile(file)
	_, line, _ := strings.Cut("\n"+string(status), "\n"+name+":")
	line, _, _ = strings.Cut(line, "\n")
	return strings.TrimSpace(line)
}

// pids are the processes of the host, but for this one, in the order of their numbers.
func pids() (all []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(filepath.Base(entry)); err == nil && pid != os.Getpid() {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all
}

// whoWaits says which process of the program was still there, and what it was waiting for: the last
// in line, because those above it wait for it. A process of the script is not in that line.
func whoWaits() string {
	if !isProcOurs() {
		return ProcLost
	}
	living, dead := map[int][]int{}, map[int][]int{} // the children of each
	container, last, count := 0, 0, 0
	for _, pid := range pids() {
		parent := parentOf(pid)
		if statField(pid, 3) == "Z" {
			dead[parent] = append(dead[parent], pid)
			continue
		}
		living[parent] = append(living[parent], pid)
		if exe, _ := os.Readlink(procPath(pid, "exe")); isProgram(pid, exe) {
			container = pid
			count++
		}
		last = pid
	}
	if container != 0 {
		last = container
	}
	for len(living[last]) > 0 {
		last = living[last][len(living[last])-1]
	}
	gone := ""
	// Where nothing of the program is there any longer, the last one may be its command.
	if first := cmp.Or(container, last); first != 0 && starterGone(first) {
		gone = "; " + StarterGone
	}
	switch {
	case count > 20:
		return fmt.Sprintf("%d processes of the program were running: does it start itself again "+
			"and again?", count)
	case last == 0:
		return "nothing was running at that moment"
	case container != 0 && last != container:
		if waitsForChild(container) {
			return fmt.Sprintf("%s was waiting for %s, which was %s", commandLine(container),
				commandLine(last), doing(last)) + gone
		}
		return fmt.Sprintf("%s was %s, and below it %s was %s", commandLine(container),
			doing(container), commandLine(last), doing(last)) + gone
	}
	text := fmt.Sprintf("%s was %s", commandLine(last), doing(last)) + gone
	if len(dead[last]) > 0 {
		// It may have come to this one when its own parent ended.
		text += fmt.Sprintf(", and its child, process %d, was dead: nobody waited for it (wait(2))",
			dead[last][0])
	}
	return text
}

// StarterGone is said of a container that goes on when the process that had made it has ended.
const StarterGone = "the process that had started it was gone"

// starterGone tells whether the process has ended that started a container: process 1 of the
// throw-away host is its parent then, and it is in another pid namespace. What a script starts is
// in none.
func starterGone(pid int) bool {
	for parentOf(pid) != os.Getpid() {
		if pid = parentOf(pid); pid == 0 {
			return false
		}
	}
	return depth(pid) > depth(os.Getpid())
}

// depth is in how many pid namespaces a process has a number, of those that can be seen from here.
func depth(pid int) int {
	return len(strings.Fields(ofStatus(procPath(pid, "status"), "NSpid")))
}

// isProgram tells whether a process is one of the program under test.
func isProgram(pid int, exe string) bool {
	if strings.HasSuffix(exe, "/bin/container") || exe == now().Program {
		return true
	}
	line := commandLine(pid) // a script: sh .../bin/container run ...
	return strings.Contains(line, "container run ") || strings.HasPrefix(line, "`/proc/self/exe ")
}

// waitsForChild tells whether a thread of a process waits for the end of a child.
func waitsForChild(pid int) bool {
	tasks, _ := filepath.Glob(procPath(pid, "task/*/syscall"))
	return slices.ContainsFunc(tasks, func(task string) bool {
		text, _ := os.ReadFile(task) // none: it is gone
		number, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.Atoi(number)
		return err == nil && waits[n].what == forChild
	})
}

// doing says what a process is doing.
func doing(pid int) string {
	best := ""
	tasks, _ := filepath.Glob(procPath(pid, "task/*/syscall"))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		fields := strings.Fields(string(text))
		if err != nil || len(fields) < 2 {
			if strings.HasPrefix(string(text), "running") {
				return "running all the time, in a loop without end perhaps"
			}
			continue
		}
		number, _ := strconv.Atoi(fields[0])
		wait, known := waits[number]
		switch {
		case !known && best == "":
			best = fmt.Sprintf("in system call number %d", number)
		case !known, idle[number] && best != "":
		default:
			object := ""
			switch wait.what[strings.LastIndexByte(wait.what, ' ')+1:] {
			case "from", "to", "on":
				object = " " + descriptor(pid, fields[1])
			}
			best = fmt.Sprintf("in %s, waiting %s%s", wait.name, wait.what, object)
			if !idle[number] {
				return best
			}
		}
	}
	if statField(pid, 3) == "T" {
		return "stopped by a signal"
	}
	if best == "" {
		return "still running"
	}
	return best
}

// descriptor names the file descriptor that a system call got as its argument in hexadecimal.
func descriptor(pid int, hex string) string {
	fd, err := strconv.ParseInt(strings.TrimPrefix(hex, "0x"), 16, 32)
	if err != nil {
		return "a descriptor"
	}
	names := map[int64]string{0: "standard input", 1: "standard output", 2: "standard error"}
	name := names[fd]
	if name == "" {
		name = fmt.Sprintf("descriptor %d", fd)
	}
	if target, err := os.Readlink(procPath(pid, "fd/"+strconv.FormatInt(fd, 10))); err == nil {
		target, _, _ = strings.Cut(target, ":[") // pipe:[1234]
		name += " (" + target + ")"
	}
	return name
}

func commandLine(pid int) string {
	text, _ := os.ReadFile(procPath(pid, "cmdline"))
	line := strings.ReplaceAll(strings.TrimRight(string(text), "\x00"), "\x00", " ")
	line = strings.ReplaceAll(line, filepath.Join(now().Dir, "bin")+"/", "")
	if i := strings.Index(line, " container run "); i >= 0 && !strings.Contains(line[:i], " ") {
		line = line[i+1:] // without the interpreter of a script
	}
	if line == "" {
		line = "process " + strconv.Itoa(pid)
	}
	if runes := []rune(line); len(runes) > 60 {
		line = string(runes[:57]) + "..."
	}
	return "`" + line + "`"
}

// statField is a field of proc_pid_stat(5), by its number there.
func statField(pid, n int) string {
	if fields := statFields(pid); n < len(fields) {
		return fields[n]
	}
	return ""
}

func parentOf(pid int) int {
	ppid, _ := strconv.Atoi(statField(pid, 4))
	return ppid
}

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}
