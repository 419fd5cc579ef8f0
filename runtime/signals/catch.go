//go:build linux

package signals

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Package os/signal hands each signal through a thread and two channels, and needs a quarter of a
// millisecond until it does. It also keeps to itself who sent a signal. So this package has a
// handler of its own, which writes what the kernel says about the signal to a pipe (siginfo_t of
// sigaction(2)); whoever waits for other things in poll(2) can wait for that, too.

// A Signal is one that this process got.
type Signal struct {
	unix.Signal
	// ByKernel: it is from the kernel, as those of the keys of a terminal, and no process sent it.
	ByKernel bool
}

// Caught are the signals that this process got, in their order, from the first one that came after
// Catch.
type Caught struct {
	// Ignored are the signals that the caller ignores. The child does too, and the command would,
	// because clone(2) and execve(2) leave it so. A shell ignores some for a background command,
	// whose traps would not work.
	Ignored []unix.Signal
	pipe    int      // the end to read
	waiting []Signal // those that Interrupted has seen
}

// handled is what the handlers need: the pipe, and the handler that Go has for a fault of this
// program.
var handled struct{ pipe, fault uintptr }

// handle and handleFault are handlers of signals, in assembly, and restore is how amd64 returns
// from them (rt_sigreturn(2)). addresses returns where they are.
//
//lint:ignore U1000 addresses returns where it is
func handle()

//lint:ignore U1000 addresses returns where it is
func handleFault()

//lint:ignore U1000 addresses returns where it is
func restore()

func addresses() (handler, faultHandler, restorer uintptr)

// sigaction is the kernel's struct.
type sigaction struct{ handler, flags, restorer, mask uintptr }

const (
	sigIgn     = 1          // SIG_IGN
	saSiginfo  = 4          // SA_SIGINFO
	saOnStack  = 0x08000000 // SA_ONSTACK: the stack of a goroutine may be too small
	saRestorer = 0x04000000 // SA_RESTORER
	saRestart  = 0x10000000 // SA_RESTART
	last       = 64         // SIGRTMAX
	infoSize   = 128        // of siginfo_t
)

// Catch has all signals caught that can be passed on, so that none ends this process before it has
// cleaned up.
func Catch() (*Caught, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	c := &Caught{pipe: pipe[0]}
	handled.pipe = uintptr(pipe[1])
	handler, faultHandler, restorer := addresses()
	for s := unix.Signal(1); s <= last; s++ {
		action := sigaction{
			handler:  handler,
			flags:    saSiginfo | saOnStack | saRestorer | saRestart,
			restorer: restorer,
			mask:     ^uintptr(0),
		}
		isFault := false
		switch s {
		case unix.SIGTTIN, unix.SIGTTOU:
			action.flags &^= saRestart // whoever reads from a terminal is to ask whether it may
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD:
			continue
		case unix.SIGURG, unix.SIGPIPE:
			continue // Go sends the one to itself, and write(2) the other
		case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS:
			action.handler, isFault = faultHandler, true
		}
		before, err := change(s, &action)
		if err != nil {
			return nil, err
		}
		if isFault {
			handled.fault = before.handler
		}
		if before.handler == sigIgn {
			c.Ignored = append(c.Ignored, s)
			if err := leaveIgnored(s); err != nil {
				return nil, err
			}
		}
	}
	// The caller may block some. Those that this thread does not are for this process.
	none := uintptr(0)
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("sigprocmask: %w", errno)
	}
	return c, nil
}

// leaveIgnored has a signal ignored that the caller ignores and the command is not to get: HUP
// under nohup(1), and those of job control where there is none (signal(7)).
func leaveIgnored(s unix.Signal) (err error) {
	switch s {
	case unix.SIGHUP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		_, err = change(s, &sigaction{handler: sigIgn})
	}
	return err
}

// change sets what is done at a signal, if action is not nil, and returns what was done before
// (rt_sigaction(2)).
func change(s unix.Signal, action *sigaction) (before sigaction, err error) {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s),
		uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	if errno != 0 {
		return before, fmt.Errorf("sigaction %s: %w", unix.SignalName(s), errno)
	}
	return before, nil
}

// FD is a descriptor that is readable when Next has a signal.
func (c *Caught) FD() int { return c.pipe }

// Next returns the next signal, if there is one.
func (c *Caught) Next() (s Signal, ok bool) {
	if len(c.waiting) > 0 {
		s, c.waiting = c.waiting[0], c.waiting[1:]
		return s, true
	}
	return c.read()
}

func (c *Caught) read() (s Signal, ok bool) {
	var info struct {
		number, errno, code, _ int32
		pid                    int32 // of the sender, if code is 0
		_                      [infoSize - 20]byte
	}
	for {
		n, err := unix.Read(c.pipe, (*[infoSize]byte)(unsafe.Pointer(&info))[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || n != infoSize:
			return s, false
		case unix.Signal(info.number) == unix.SIGXFSZ && int(info.pid) == unix.Getpid(),
			unix.Signal(info.number) == unix.SIGXCPU && info.code > 0:
			// What this process writes, or how long it works, does not concern the command.
		default:
			return Signal{unix.Signal(info.number), info.code > 0}, true
		}
	}
}

func (c *Caught) readAll() {
	for s, ok := c.read(); ok; s, ok = c.read() {
		c.waiting = append(c.waiting, s)
	}
}

// Await waits for the next signal.
func (c *Caught) Await() Signal {
	for {
		if s, ok := c.Next(); ok {
			return s
		}
		// An error is a reason to look again.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.pipe), Events: unix.POLLIN}}, -1)
	}
}

// Interrupted returns an error if a signal came that asks for the end of this process. All are
// there for Next afterwards.
func (c *Caught) Interrupted() error {
	c.readAll()
	for _, s := range c.waiting {
		if asksForEnd(s.Signal) {
			return Interrupt{s.Signal}
		}
	}
	return nil
}

// Interrupt is the error that a signal asked for the end.
type Interrupt struct{ unix.Signal }

func (i Interrupt) Error() string { return "interrupted by " + unix.SignalName(i.Signal) }

// StopBy stops this process as a signal does that it does not catch, and returns when it goes on.
// Signals to stop that came before no longer count, nor does the one by which it goes on
// (SIGCONT of signal(7)). In a group without a shell that would let it go on it does not stop.
func (c *Caught) StopBy(s unix.Signal) {
	runtime.LockOSThread() // the thread that is to notice
	defer runtime.UnlockOSThread()
	for _, number := range []unix.Signal{unix.SIGCONT, s} {
		before, err := change(number, &sigaction{})
		if err != nil {
			return
		}
		defer func() { _, _ = change(number, &before) }()
	}
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), s) // an error is out of the question
	c.readAll()
	c.waiting = slices.DeleteFunc(c.waiting, func(s Signal) bool { return Stops(s.Signal) })
}

// Stops tells whether a signal stops a process that does not catch it.
func Stops(s unix.Signal) bool {
	return s == unix.SIGTSTP || s == unix.SIGTTIN || s == unix.SIGTTOU
}
