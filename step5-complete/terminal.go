//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ttyFlag is the value of -tty. Without the flag it is up to the standard streams: see wantTerminal.
var ttyFlag *bool

func init() {
	flag.BoolFunc("tty", "give the command a terminal of its own (default: if all standard streams are one)", func(s string) error {
		b, err := strconv.ParseBool(s)
		ttyFlag = &b
		return err
	})
}

// wantTerminal gives the same answer in the parent and in the child.
func wantTerminal() bool {
	if ttyFlag != nil {
		return *ttyFlag
	}
	return has(unix.CLONE_NEWNS) && isTerminal(0) && isTerminal(1) && isTerminal(2)
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// attend passes on what the command gets from outside as long as it runs: signals, and input and output if it has a
// terminal of its own. The caller calls restore at the end.
func attend(pid int, control *os.File, caught signals) (restore func(), err error) {
	restore = func() {}
	resize := func() {}
	if wantTerminal() {
		_, fds, err := receive(int(control.Fd()))
		if err != nil {
			return restore, fmt.Errorf("terminal: %w", err)
		}
		if len(fds) > 0 { // none: the child failed before, and says so
			master := os.NewFile(uintptr(fds[0]), "terminal")
			resize = func() { copySize(fds[0]) }
			restore = connect(pid, master)
		}
	}
	go func() {
		// Earlier, a signal would meet the child and not the command. The end of the socket is what counts.
		_, _, _ = receive(int(control.Fd()))
		control.Close()
		caught.forward(pid, resize)
	}()
	return restore, nil
}

// connect copies between the standard streams and the terminal of the command. What the caller types goes
// through as it is (raw mode, termios(3)): the other terminal makes lines and signals of it.
func connect(pid int, master *os.File) (restore func()) {
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err == nil {
		raw := *before
		raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		raw.Oflag &^= unix.OPOST
		raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		_ = unix.IoctlSetTermios(0, unix.TCSETS, &raw) // a terminal that went away meanwhile
	}
	go func() {
		_, _ = io.Copy(master, os.Stdin)
		_, _ = master.Write([]byte{4}) // the end of the input, as one types it: ^D
	}()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		buffer := make([]byte, 32*1024)
		var writeErr error
		for {
			n, err := master.Read(buffer)
			if err != nil { // EIO: no process has the other end open any more
				return
			}
			if writeErr != nil {
				continue // nobody reads the output: the command need not stop for that
			}
			if _, writeErr = os.Stdout.Write(buffer[:n]); writeErr != nil {
				hangUp(pid)
			}
		}
	}()
	return func() {
		<-copied
		if before != nil {
			_ = unix.IoctlSetTermios(0, unix.TCSETS, before)
		}
	}
}

// copySize tells the terminal of the command how large the caller's is (ioctl_tty(2)).
func copySize(master int) {
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size)
	}
}
