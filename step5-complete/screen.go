//go:build linux

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// copyOutput copies to the standard output until no process has the other end open any more: then it gets EIO. The slave
// that is open here lets that happen only when the command has ended, even if it closes the terminal and opens it again.
func (t *terminal) copyOutput() {
	buffer := make([]byte, 32*1024)
	var writeErr error
	for {
		n, err := t.master.Read(buffer)
		if err != nil {
			t.copied <- writeErr
			return
		}
		if writeErr != nil {
			continue // the command need not stop for that
		}
		if _, writeErr = os.Stdout.Write(buffer[:n]); writeErr != nil {
			hangUp(t.pid)
		}
	}
}

// resize tells the terminal of the command how large the caller's is (ioctl_tty(2)).
func (t *terminal) resize() {
	if t == nil {
		return
	}
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, size)
	}
}
