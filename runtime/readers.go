//go:build linux

package main

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/signals"
)

// A pipe whose reader is gone ends most programs that write to it, by SIGPIPE; process 1 is spared
// that (pid_namespaces(7)), and may go on forever. The runtime has the same pipe: poll(2) says
// when the reader is gone, and the kernel counts what the command writes.

// readers are those of the standard output and the standard error of the command.
type readers struct {
	command *signals.Command
	pid     int
	watched []int // streams that have a reader
	gone    []int // streams that have none
	before  counts
	timeout int // milliseconds until the next look
}

// counts are what a process has written: how many calls, and how many bytes (proc_pid_io(5)).
type counts struct{ calls, bytes uint64 }

// watchReaders returns the streams to watch. A command that has a terminal of its own writes to
// that, and one that is not process 1 gets the signal.
func (h *thisHost) watchReaders(hasTerminal bool, command *signals.Command) *readers {
	r := &readers{command: command, pid: h.pid, timeout: -1}
	if hasTerminal || h.c.Init || !h.c.Namespaces.Has(unix.CLONE_NEWPID) {
		return r
	}
	for fd := 1; fd <= 2; fd++ {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			continue // closed
		}
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFSOCK:
			r.watched = append(r.watched, fd)
		}
	}
	return r
}

// fds are the streams that have a reader. That one goes poll(2) says without being asked.
func (r *readers) fds() (fds []unix.PollFd) {
	for _, fd := range r.watched {
		fds = append(fds, unix.PollFd{Fd: int32(fd)})
	}
	return fds
}

// look looks which streams have a reader, and at what the command has written since the last look.
// It returns after how many milliseconds it wants to look again, or -1.
func (r *readers) look() (timeout int) {
	const first, longest = 10, 1000
	watched, gone := r.watched, r.gone
	r.watched, r.gone = nil, nil
	for _, fd := range append(watched, gone...) {
		one := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(one, 0); err == nil && n == 1 {
			r.gone = append(r.gone, fd)
		} else {
			r.watched = append(r.watched, fd) // one may come again to a pipe with a name
		}
	}
	if len(r.gone) == 0 {
		return -1
	}
	now, known := written(r.pid)
	if len(r.gone) > len(gone) { // what was written until now may have been read
		r.before, r.timeout = now, first
	}
	calls, bytes := now.calls-r.before.calls, now.bytes-r.before.bytes
	r.before = now
	// A command without a reader for its errors only may write to the other stream.
	wrote := calls > 0 && (bytes == 0 || r.gone[0] == 1)
	if (wrote || !known) && r.command.HasNothingToSay(unix.SIGPIPE) {
		r.command.End(unix.SIGPIPE)
	}
	timeout = r.timeout
	r.timeout = min(2*r.timeout, longest)
	return timeout
}

// written returns what a process has written, if the kernel tells.
func written(pid int) (w counts, known bool) {
	text, err := files.Read("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		return w, false
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseUint(value, 10, 64)
		switch {
		case err != nil:
		case name == "syscw":
			w.calls, known = n, true
		case name == "wchar":
			w.bytes = n
		}
	}
	return w, known
}
