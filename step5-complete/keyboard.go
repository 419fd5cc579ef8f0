//go:build linux

package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// makeRaw lets through what the caller types as it is (raw mode, termios(3)): the command's terminal makes lines and
// signals of it. It returns how the caller's terminal was before, or nil if there is none.
func makeRaw() (before *unix.Termios) {
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return nil
	}
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	_ = unix.IoctlSetTermios(0, unix.TCSETS, &raw) // a terminal that went away meanwhile
	return before
}

// copyInput copies the standard input to the command's terminal.
func (t *terminal) copyInput() {
	if t == nil {
		return
	}
	_, _ = io.Copy(t.master, os.Stdin)
	_, _ = t.master.Write([]byte{4}) // the end of the input, as one types it: ^D
}
