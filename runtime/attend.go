//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/signals"
	"container.example/workshop/runtime/terminal"
)

// attend is all that the runtime does while the command runs: it passes signals on, until process 1
// has ended.
func (h *thisHost) attend(t *terminal.Terminal) error {
	pidfd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", h.pid, err)
	}
	defer unix.Close(pidfd)
	if h.c.Init {
		h.awaitReady()
	}
	if t != nil {
		go t.CopyInput()
	}
	command := signals.ForwardTo(h.pid)
	for timeout := forgetAfter; ; {
		fds := []unix.PollFd{
			{Fd: int32(pidfd), Events: unix.POLLIN},
			{Fd: int32(h.signals.FD()), Events: unix.POLLIN},
		}
		switch n, err := unix.Poll(fds, timeout); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n == 0:
			h.forget()
			timeout = -1
		}
		if fds[0].Revents != 0 {
			return nil
		}
		for s, ok := h.signals.Next(); ok; s, ok = h.signals.Next() {
			if s.Signal == unix.SIGWINCH {
				t.Resize()
			}
			command.Pass(s)
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
