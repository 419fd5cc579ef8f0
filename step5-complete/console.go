//go:build linux

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal gives the command a pseudo-terminal of the container's own devpts (pty(7)) for its standard
// streams, and the other end of it, the master, to the parent. With it goes one more descriptor of this end: see copyOutput.
func openTerminal(*job) error {
	if !wantTerminal() {
		return nil
	}
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", "/dev/pts/ptmx", err)
	}
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("number of terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil { // unlock
		return fmt.Errorf("unlock terminal: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", number)
	slave, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", name, err)
	}
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, size) // or else no size is known
	}
	if err := bindConsole(name); err != nil {
		return err
	}
	if err := unix.Sendmsg(controlFd, []byte("terminal"), unix.UnixRights(master, slave), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("hand over terminal: %w", err)
	}
	unix.Close(master)
	trace("setsid, TIOCSCTTY %s", name) // the session is new since clone
	if err := unix.IoctlSetInt(slave, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("set controlling terminal %q: %w", name, err)
	}
	for fd := range 3 {
		if err := unix.Dup3(slave, fd, 0); err != nil {
			return fmt.Errorf("dup %q: %w", name, err)
		}
	}
	u, err := lookUpUser("")
	if err != nil {
		return err
	}
	return os.Chown(name, u.uid, -1) // the group is tty: only it may write to somebody's terminal
}

// bindConsole makes /dev/console the terminal. /dev is a file system of this child's own making.
func bindConsole(name string) error {
	if err := unix.Mknod("/dev/console", unix.S_IFREG|0o600, 0); err != nil {
		return fmt.Errorf("make %q: %w", "/dev/console", err)
	}
	if err := unix.Mount(name, "/dev/console", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %q: %w", "/dev/console", err)
	}
	return nil
}
