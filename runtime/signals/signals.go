//go:build linux

// Package signals passes the signals that the runtime gets on to the command.
package signals

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// Caught are signals that the runtime got and the command is to get.
type Caught struct {
	C chan os.Signal
	// Ready is closed when no signal ends the runtime any more. Go takes its time for that, and
	// other things can be done meanwhile.
	Ready chan struct{}
	// Ignored are the signals that the caller ignores, when Ready is closed. The child does too,
	// and the command would, because clone(2) and execve(2) leave it so. A shell ignores some for a
	// background command, whose traps would not work.
	Ignored []unix.Signal
}

// Catch collects signals, so that none ends the runtime before it has cleaned up.
func Catch() *Caught {
	c := &Caught{C: make(chan os.Signal, 64), Ready: make(chan struct{})}
	go func() {
		c.Ignored = ignored() // before signals are caught that were ignored
		signal.Notify(c.C, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
			unix.SIGWINCH, unix.SIGCONT)
		if !signal.Ignored(unix.SIGHUP) { // as under nohup(1), which is for the command too
			signal.Notify(c.C, unix.SIGHUP)
		}
		// Caught and dropped: write(2) to a pipe without a reader returns EPIPE then, and does not
		// end the runtime.
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
		close(c.Ready)
	}()
	return c
}

// Forward passes signals on to a process, forever. Process 1 of a pid namespace is not ended by a
// signal for which it has no handler (pid_namespaces(7)); whoever asks for its end a second time
// gets it, by KILL. resize is called when the caller's terminal has another size: the kernel tells
// the command itself when its own terminal has.
func (c *Caught) Forward(pid int, resize func()) {
	asked := map[os.Signal]bool{}
	for s := range c.C {
		ends := s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGHUP || s == unix.SIGQUIT
		if s == unix.SIGWINCH {
			resize()
		}
		number := s.(unix.Signal)
		if ends && asked[s] && !Handles(pid, number) {
			number = unix.SIGKILL
		}
		_ = unix.Kill(pid, number) // an error: it is gone
		asked[s] = true
	}
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

func ignored() (signals []unix.Signal) {
	const last = 64 // SIGRTMAX
	for s := unix.Signal(1); s <= last; s++ {
		var action struct{ handler, flags, restorer, mask uintptr }
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), 0,
			uintptr(unsafe.Pointer(&action)), 8, 0, 0)
		if errno == 0 && action.handler == sigIgn {
			signals = append(signals, s)
		}
	}
	return signals
}

const sigIgn = 1 // SIG_IGN
