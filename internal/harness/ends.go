//go:build linux

package harness

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
)

// This file has what is told of the ends of processes: a signal ended one, its words did not
// arrive, or its parent could not wait for it.

// falls are the signals that the kernel sends a process for what it does, and those that a process
// sends to itself or its family. Others may be the harness's.
var falls = []unix.Signal{
	unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGFPE, unix.SIGSYS, unix.SIGABRT, unix.SIGALRM,
	unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU, unix.SIGXFSZ,
}

// noteFalls notes the processes of a program that such a signal ended, and whichever signal ended
// the command.
func (c *Conduct) noteFalls(r inject.Result, words []string) {
	files, command := executing(r.Calls, words)
	for _, end := range r.Ends {
		ofHarness := end.Signal == unix.SIGKILL && r.Hung != ""
		if command >= 0 && end.Process == command && !ofHarness {
			c.CommandEnd = unix.SignalName(end.Signal)
		}
		if !slices.Contains(falls, end.Signal) || command >= 0 && end.Process >= command {
			continue
		}
		f := Fall{Signal: unix.SignalName(end.Signal), By: files[end.Process]}
		if name := inject.Name(end.Birth.Number); end.Birth.Text != "" {
			f.Birth = withFlags(name, end.Birth)
			f.HasStack = name == "clone" && end.Birth.Args[1] != 0
			f.OfStack = f.HasStack && end.OfStack
			const waits = unix.CLONE_VM | unix.CLONE_VFORK
			f.Shares = name == "clone" && end.Birth.Args[0]&waits == unix.CLONE_VM
			if _, known := files[end.Process]; !known { // it made no call
				f.By = files[end.Birth.Process]
			}
		}
		for _, call := range slices.Backward(r.Calls) {
			name := inject.Name(call.Number)
			tells := slices.Contains(telling, name) || writing(name)
			if call.Process == end.Process && tells && !isOurs(firstText(call.Text)) {
				f.Last = withFlags(name, call)
				break
			}
		}
		c.Falls = append(c.Falls, f)
	}
}

// executing returns the file that each process executed last, if that is not the program itself,
// and the number of the first process of the command, or -1.
func executing(calls []inject.Call, words []string) (files map[int]string, command int) {
	files, command = map[int]string{}, -1
	for _, call := range calls {
		if _, known := files[call.Process]; !known {
			files[call.Process] = files[call.Parent]
		}
		if call.Errno == 0 && strings.HasPrefix(inject.Name(call.Number), "execve") {
			files[call.Process] = firstText(call.Text)
			if command < 0 && isCommand(files[call.Process], words) {
				command = call.Process
			}
		}
	}
	return files, command
}

// noteUnseen notes what the children of a program wrote to descriptor 2, as far as it did not
// arrive. What the command says is its own business.
func (c *Conduct) noteUnseen(r inject.Result, words []string) {
	const most = 16 << 10
	files, command := executing(r.Calls, words)
	said := map[int]string{}
	var processes []int
	for _, call := range r.Calls {
		p := call.Process
		if p == 0 || !writing(inject.Name(call.Number)) || call.Args[0] != 2 ||
			len(call.Words) == 0 || command >= 0 && p >= command ||
			len(said[p]) > most {
			continue
		}
		if _, known := said[p]; !known {
			processes = append(processes, p)
		}
		said[p] += call.Words[0]
	}
	for _, p := range processes {
		var lines []string
		for line := range strings.Lines(said[p]) {
			if !strings.Contains(r.Stderr+r.Stdout, strings.TrimSpace(line)) {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			c.Unseen = append(c.Unseen, Unseen{By: files[p], Text: strings.Join(lines, "")})
		}
	}
}

// noteChildless finds out why wait(2) did not find a child that the process had. A parent
// is told of the end of a child only if SIGCHLD is the signal of that end, unless its wait asks for
// others, too (__WALL); and not if it ignores SIGCHLD, or says that it wants no child to wait for
// (wait(2), NOTES).
func (c *Conduct) noteChildless(calls []inject.Call) {
	const noChild = unix.CLONE_THREAD | unix.CLONE_VFORK
	ignores, silent, told := map[int]string{}, map[int]string{}, map[int]string{}
	last := "" // the call that had told of a child to the process that found none, the last time
	for _, call := range calls {
		p, options := call.Process, call.Args[2]
		if _, known := ignores[p]; !known {
			ignores[p] = ignores[call.Parent]
		}
		name := inject.Name(call.Number)
		switch {
		case name == "execve" && call.Errno == 0: // what was before is another program's business
			delete(told, p)
		case name == "rt_sigaction" && call.Args[0] == uint64(unix.SIGCHLD):
			if len(call.Words) > 0 { // otherwise it only asks
				ignores[p] = forgetting(call.Words)
			}
		case name == "clone" && call.Errno == 0 && call.Args[0]&noChild == 0 &&
			call.Args[0]&0xff != uint64(unix.SIGCHLD):
			silent[p] = withFlags(name, call)
		}
		if name == "waitid" {
			options = call.Args[3]
		}
		all, other := options&unix.WALL != 0, options&unix.WCLONE != 0
		switch {
		case name != "wait4" && name != "waitid":
		case call.Errno == 0 && !toldOfEnd(name, call, options):
		case call.Errno == 0:
			told[p] = name + "(2)"
			if all || other {
				delete(silent, p)
			}
		case call.Errno != unix.ECHILD:
		case silent[p] != "" && !all && !other:
			c.Childless = silent[p]
		case ignores[p] != "":
			c.Childless = fmt.Sprintf("rt_sigaction(SIGCHLD, %s)", ignores[p])
		case other && !all && told[p] == "":
			c.Childless = name + "(__WCLONE)"
		default:
			last = told[p]
		}
	}
	if c.Childless == "" {
		c.Childless = last
	}
}

// toldOfEnd tells whether a wait(2) that succeeded has told of the end of a child, and the child is
// gone: with WNOHANG it returns 0 where none has ended yet, and waitid(2) always does; with others
// of its options it may tell of a child that was stopped or goes on, or keep the child (WNOWAIT).
func toldOfEnd(name string, call inject.Call, options uint64) bool {
	const others = unix.WUNTRACED | unix.WCONTINUED | unix.WNOWAIT
	if name == "waitid" {
		return options&(others|unix.WNOHANG) == 0
	}
	return call.Result > 0 && options&others == 0
}

// forgetting is what a process asked for if the kernel is to forget its children as soon as they
// have ended, or nothing. The words are the handler of SIGCHLD, and the flags (sigaction(2)).
func forgetting(words []string) string {
	const ignore, noChildWait = "1", 2
	if words[0] == ignore {
		return "SIG_IGN"
	}
	if len(words) > 1 {
		if flags, err := strconv.ParseUint(words[1], 10, 64); err == nil && flags&noChildWait != 0 {
			return "SA_NOCLDWAIT"
		}
	}
	return ""
}
