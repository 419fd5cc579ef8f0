//go:build linux

package terminal

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// callers is the terminal of the caller: a standard stream that is one, or -1.
type callers int

// findCallers looks at all standard streams: any of them may be a pipe or a file.
func findCallers() callers {
	for fd := range 3 {
		if term.IsTerminal(fd) {
			return callers(fd)
		}
	}
	return -1
}

func (c callers) size() (*unix.Winsize, error) {
	return unix.IoctlGetWinsize(int(c), unix.TIOCGWINSZ)
}

func (c callers) settings() (*unix.Termios, error) {
	return unix.IoctlGetTermios(int(c), unix.TCGETS)
}

// inBackground tells whether the terminal is for another job of the shell. A process that reads
// from it or changes it then is stopped by SIGTTIN or SIGTTOU (setpgid(2)).
func (c callers) inBackground() bool {
	group, err := unix.IoctlGetInt(int(c), unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}

// InBackground tells whether the standard input is a terminal that is for another job of the shell.
func InBackground() bool { return callers(0).inBackground() }
