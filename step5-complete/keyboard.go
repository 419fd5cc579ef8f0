//go:build linux

package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// makeRaw lets through what the caller types as it is (raw mode, termios(3)): the command's terminal makes lines and
// signals of it. It returns how the caller's terminal was before, or nil if there is none to change.
func makeRaw() (before *unix.Termios) {
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil || inBackground() {
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

// inBackground tells whether the caller's terminal is for another job of the shell. Who reads from it or changes it then
// is stopped by SIGTTIN or SIGTTOU (setpgid(2)).
func inBackground() bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}

// copyInput copies the standard input to the command's terminal. A job in the background has none.
func (t *terminal) copyInput() {
	if t == nil {
		return
	}
	if !inBackground() {
		_, _ = io.Copy(&keyboard{t, map[unix.Signal]bool{}}, os.Stdin)
	}
	// The end of the input, as one types it: ^D twice, because in the middle of a line the first only ends the line.
	_, _ = t.master.Write([]byte{4, 4})
}

// keyboard writes to the terminal, and notices who asks for the end of the command there.
type keyboard struct {
	*terminal
	asked map[unix.Signal]bool
}

func (k *keyboard) Write(typed []byte) (int, error) {
	settings, err := unix.IoctlGetTermios(int(k.master.Fd()), unix.TCGETS) // those of the other end
	if err == nil && settings.Lflag&unix.ISIG != 0 {
		for _, key := range typed {
			switch key {
			case 0: // turned off
			case settings.Cc[unix.VINTR]:
				k.ask(unix.SIGINT)
			case settings.Cc[unix.VQUIT]:
				k.ask(unix.SIGQUIT)
			}
		}
	}
	return k.master.Write(typed)
}

// ask does for a key what forward does for a signal: the second time it is KILL. The signal itself comes from the
// terminal. It is not for process 1 if a shell runs another job in the foreground (tcgetpgrp(3)).
func (k *keyboard) ask(s unix.Signal) {
	group, err := unix.IoctlGetInt(int(k.master.Fd()), unix.TIOCGPGRP)
	if err != nil || group != k.pid || handles(k.pid, s) || ignores(k.pid, s) {
		return
	}
	if k.asked[s] {
		_ = unix.Kill(k.pid, unix.SIGKILL) // an error: it is gone
	}
	k.asked[s] = true
}
