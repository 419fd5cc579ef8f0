//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
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

// terminal is that of the command, seen from outside (pty(7)).
type terminal struct {
	pid           int // of the command
	master, slave *os.File
	before        *unix.Termios // of the caller's terminal, if there is one
	copied        chan error
}

// attend passes on what the command gets from outside as long as it runs: signals, and input and output if it has a
// terminal of its own. It returns the exit status.
func attend(pid int, control *os.File, caught signals) (status int, err error) {
	var t *terminal // without one its methods do nothing
	if wantTerminal() {
		if t, err = receiveTerminal(pid, control); err != nil {
			_ = unix.Kill(pid, unix.SIGKILL) // an error: it is gone
		}
	}
	go func() {
		// Earlier, a signal or a key would meet the child and not the command. The end of the socket is what counts.
		_, _, _ = receive(int(control.Fd()))
		control.Close()
		go t.copyInput()
		caught.forward(pid, t.resize)
	}()
	status, waitErr := wait(pid)
	if closeErr := t.close(); closeErr != nil {
		status, err = statusFailed, errors.Join(err, closeErr)
	}
	return status, errors.Join(err, waitErr)
}

func receiveTerminal(pid int, control *os.File) (*terminal, error) {
	_, fds, err := receive(int(control.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if len(fds) < 2 { // the child failed before, and says so
		return nil, nil
	}
	t := &terminal{pid: pid, master: os.NewFile(uintptr(fds[0]), "terminal"), slave: os.NewFile(uintptr(fds[1]), "terminal")}
	t.copied = make(chan error, 1)
	t.before = makeRaw()
	go t.copyOutput()
	return t, nil
}

// close copies the rest of the output and leaves the caller's terminal as it was.
func (t *terminal) close() error {
	if t == nil {
		return nil
	}
	t.slave.Close()
	err := <-t.copied
	if t.before != nil && !inBackground() {
		_ = unix.IoctlSetTermios(0, unix.TCSETS, t.before)
	}
	if err != nil && !errors.Is(err, unix.EPIPE) { // who closes a pipe does so on purpose
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}
