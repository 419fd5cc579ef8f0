//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/signals"
	"container.example/workshop/runtime/terminal"
)

// attend is all that the runtime does while the command runs, until process 1 has ended.
func (h *thisHost) attend(m made, command *signals.Command) error {
	pidfd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", h.pid, err)
	}
	defer unix.Close(pidfd)
	if h.c.Init {
		h.awaitReady()
	}
	if m.terminal != nil {
		go m.terminal.CopyInput()
	}
	readers := h.watchReaders(m.terminal != nil, command)
	for timeout, forgot := forgetAfter, false; ; {
		fds := append([]unix.PollFd{
			{Fd: int32(pidfd), Events: unix.POLLIN},
			{Fd: int32(h.signals.FD()), Events: unix.POLLIN},
		}, readers.fds()...)
		switch n, err := unix.Poll(fds, timeout); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n == 0 && !forgot:
			h.forget()
			forgot = true
		}
		if fds[0].Revents != 0 {
			return nil
		}
		for s, ok := h.signals.Next(); ok; s, ok = h.signals.Next() {
			h.pass(s, m, command)
		}
		if timeout = readers.look(); timeout == -1 && !forgot {
			timeout = forgetAfter
		}
	}
}

// awaitReady waits until the init is there for signals.
func (h *thisHost) awaitReady() {
	unix.Close(h.isReady[1])
	for {
		n, err := unix.Read(h.isReady[0], make([]byte, 1))
		if n <= 0 && !errors.Is(err, unix.EINTR) {
			return // its end
		}
	}
}

// pass passes a signal on to the command, or does what it means for both: TTIN and TTOU of the
// kernel are about what the runtime does with the caller's terminal, and an init handles them all.
func (h *thisHost) pass(s signals.Signal, m made, command *signals.Command) {
	switch {
	case s.Signal == unix.SIGWINCH:
		m.terminal.Resize()
		command.Pass(s)
	case !signals.Stops(s.Signal):
		command.Pass(s)
	case s.ByKernel && (s.Signal != unix.SIGTSTP || h.c.Init),
		command.HasNothingToSay(s.Signal):
		h.stop(s.Signal, m, command)
	default:
		command.Pass(s)
	}
}

// stop stops the command and the runtime until the shell has them go on. With a command that is not
// process 1 the kernel would do that.
func (h *thisHost) stop(s unix.Signal, m made, command *signals.Command) {
	// Until it has stopped the command may read a line that is meant for the shell. CONT from
	// somebody else may have taken the STOP back (signal(7)).
	for command.Stop(); !command.HasStopped() && h.signals.Interrupted() == nil; command.Stop() {
		time.Sleep(time.Millisecond)
	}
	m.terminal.Suspend()
	h.signals.StopBy(s)
	if m.hasKeyboard { // in the background it would read from the shell's: see LeaveKeyboard
		_ = awaitForeground(h.signals) // a signal is passed on
	}
	m.terminal.Resume()
	command.Continue()
}

// awaitForeground stops this process as long as its terminal is for another job of the shell, or
// until a signal asks for its end.
func awaitForeground(caught *signals.Caught) error {
	for terminal.InBackground() {
		if err := caught.Interrupted(); err != nil {
			return err
		}
		caught.StopBy(unix.SIGTTIN)
		time.Sleep(time.Second / 10) // if there is no shell
	}
	return nil
}

// awaitInput waits until there is something to read, or the end of it, or a signal that asks for
// the end of the runtime.
func awaitInput(fd int, caught *signals.Caught) error {
	for {
		fds := []unix.PollFd{
			{Fd: int32(fd), Events: unix.POLLIN},
			{Fd: int32(caught.FD()), Events: unix.POLLIN},
		}
		_, err := unix.Poll(fds, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if err := caught.Interrupted(); err != nil {
			return err
		}
		if err == nil && fds[0].Revents != 0 {
			return nil
		}
	}
}
