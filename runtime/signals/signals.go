//go:build linux

// Package signals passes the signals that the runtime gets on to the command.
package signals

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// A Command is the process to which signals are passed on. Without an init it is process 1 of a pid
// namespace, which is not ended by a signal for which it has no handler (pid_namespaces(7)).
type Command struct {
	pid     int
	asked   map[unix.Signal]bool
	instead atomic.Int32 // the signal of which it got KILL
}

// To returns the command with that pid.
func To(pid int) *Command { return &Command{pid: pid, asked: map[unix.Signal]bool{}} }

// Pass passes a signal on. Whoever asks for the end of a command that says nothing about it gets it
// the second time, by KILL. HUP says that the terminal is gone, and nobody is there to ask again;
// nor is there a second ALRM of a timer that the caller has set (alarm(2), execve(2)).
func (c *Command) Pass(signal Signal) {
	s := signal.Signal
	switch {
	case s == unix.SIGHUP, s == unix.SIGALRM && signal.ByKernel:
		c.End(s)
		return
	case asksForEnd(s) && c.asked[s] && c.HasNothingToSay(s):
		s = unix.SIGKILL
	}
	c.asked[s] = true
	c.send(s)
}

// End ends a command that has nothing to say about a signal, as the signal would if the command
// were not process 1.
func (c *Command) End(s unix.Signal) {
	if c.HasNothingToSay(s) {
		c.instead.Store(int32(s))
		s = unix.SIGKILL
	}
	c.send(s)
}

func (c *Command) send(s unix.Signal) { _ = unix.Kill(c.pid, s) } // an error: it is gone

// Stop and Continue do so with all processes of its group, as the keys of a terminal and the shell
// do. Process 1 is not spared STOP from outside.
func (c *Command) Stop()     { _ = unix.Kill(-c.pid, unix.SIGSTOP) }
func (c *Command) Continue() { _ = unix.Kill(-c.pid, unix.SIGCONT) }

// HasStopped tells whether process 1 has stopped, or ended. A process that got STOP may still take
// what it was waiting for in a read(2), until it has a processor.
func (c *Command) HasStopped() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.pid, &info,
		unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err != nil && !errors.Is(err, unix.EINTR) || info.Signo != 0
}

// HasNothingToSay tells whether a command neither handles nor ignores a signal.
func (c *Command) HasNothingToSay(s unix.Signal) bool {
	return !Handles(c.pid, s) && !Ignores(c.pid, s)
}

// Status returns the exit status of the command, which that of a shell is. One that got KILL in
// place of another signal was ended by that.
func (c *Command) Status(status int) int {
	if instead := c.instead.Load(); instead != 0 && status == 128+int(unix.SIGKILL) {
		return 128 + int(instead)
	}
	return status
}

func asksForEnd(s unix.Signal) bool {
	switch s {
	case unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT:
		return true
	}
	return false
}

// Handles tells whether a process has a handler for a signal, and Ignores whether it ignores it
// (proc_pid_status(5)).
func Handles(pid int, s unix.Signal) bool { return set(pid, "SigCgt")>>(s-1)&1 == 1 }
func Ignores(pid int, s unix.Signal) bool { return set(pid, "SigIgn")>>(s-1)&1 == 1 }

func set(pid int, name string) (signals uint64) {
	status, _ := files.Read("/proc/" + strconv.Itoa(pid) + "/status") // none: it is gone
	_, mask, _ := strings.Cut(status, name+":\t")
	mask, _, _ = strings.Cut(mask, "\n")
	signals, _ = strconv.ParseUint(mask, 16, 64)
	return signals
}
