//go:build linux

// Package signals passes the signals that the runtime gets on to the command.
package signals

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// A Forwarder passes signals on to a process.
type Forwarder struct {
	pid   int
	asked map[unix.Signal]bool
}

// ForwardTo returns a Forwarder to a process.
func ForwardTo(pid int) *Forwarder { return &Forwarder{pid, map[unix.Signal]bool{}} }

// Pass passes a signal on. Process 1 of a pid namespace is not ended by a signal for which it has no
// handler (pid_namespaces(7)); whoever asks for its end a second time gets it, by KILL.
func (f *Forwarder) Pass(s Signal) {
	number := s.Signal
	if s.asksForEnd() && f.asked[number] && !Handles(f.pid, number) {
		number = unix.SIGKILL
	}
	_ = unix.Kill(f.pid, number) // an error: it is gone
	f.asked[s.Signal] = true
}

// HangUp tells the command that its terminal is gone. If it has nothing to say about that it ends,
// as it would outside of a pid namespace.
func HangUp(pid int) {
	s := unix.SIGHUP
	if !Handles(pid, s) && !Ignores(pid, s) {
		s = unix.SIGKILL
	}
	_ = unix.Kill(pid, s) // an error: it is gone
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
