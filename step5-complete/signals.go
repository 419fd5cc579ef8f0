//go:build linux

package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signals are those that the runtime got and the command is to get.
type signals chan os.Signal

// catchSignals collects signals, so that none ends the runtime before it has cleaned up. The channel ready is closed when
// it does: Go takes its time, and other things can be done meanwhile.
func catchSignals() (caught signals, ready chan struct{}) {
	caught, ready = make(signals, 64), make(chan struct{})
	go func() {
		signal.Notify(caught, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT)
		if !signal.Ignored(unix.SIGHUP) { // as under nohup(1), which is for the command too
			signal.Notify(caught, unix.SIGHUP)
		}
		// Caught and dropped: write(2) to a pipe without a reader returns EPIPE then, and does not end the runtime.
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
		close(ready)
	}()
	return caught, ready
}

// defaultSignals has the command begin with the default action for each signal, and with none blocked. Those that the
// caller ignores, as a shell does for a background command, or blocks would stay so (execve(2)), and traps of a shell would
// not work.
func defaultSignals() {
	var action [4]uintptr // a struct sigaction of zeros: SIG_DFL
	for s := uintptr(1); s < 32; s++ {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0) // EINVAL: KILL and STOP
	}
	var none uint64 // a signal set
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
}

// forward passes signals on to a process, for ever. Process 1 of a pid namespace is not ended by a signal
// for which it has no handler (pid_namespaces(7)); who asks for the end a second time gets it, by KILL.
// The kernel tells the command itself when its own terminal changes its size.
func (caught signals) forward(pid int, resize func()) {
	asked := map[os.Signal]bool{}
	for s := range caught {
		ends := s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGHUP || s == unix.SIGQUIT
		if s == unix.SIGWINCH {
			resize()
		}
		switch {
		case ends && asked[s] && !handles(pid, s.(unix.Signal)):
			_ = unix.Kill(pid, unix.SIGKILL) // an error: it is gone, here and below
		default:
			_ = unix.Kill(pid, s.(unix.Signal))
		}
		asked[s] = true
	}
}

// hangUp tells the command that its terminal is gone. If it has nothing to say about that it ends, as it would outside of
// a pid namespace.
func hangUp(pid int) {
	s := unix.SIGHUP
	if !handles(pid, s) && !ignores(pid, s) {
		s = unix.SIGKILL
	}
	_ = unix.Kill(pid, s) // an error: it is gone
}

// handles tells whether a process has a handler for a signal, and ignores whether it ignores it (proc_pid_status(5)).
func handles(pid int, s unix.Signal) bool { return signalSet(pid, "SigCgt")>>(s-1)&1 == 1 }
func ignores(pid int, s unix.Signal) bool { return signalSet(pid, "SigIgn")>>(s-1)&1 == 1 }

func signalSet(pid int, name string) (set uint64) {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, mask, _ := strings.Cut(string(status), name+":\t")
	mask, _, _ = strings.Cut(mask, "\n")
	set, _ = strconv.ParseUint(mask, 16, 64)
	return set
}
