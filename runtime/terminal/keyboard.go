//go:build linux

package terminal

import (
	"io"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/signals"
)

// inBackground tells whether the caller's terminal is for another job of the shell. A process that
// reads from it or changes it then is stopped by SIGTTIN or SIGTTOU (setpgid(2)).
func inBackground() bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}

// CopyInput copies the standard input to the command's terminal. A job in the background has none.
func (t *Terminal) CopyInput() {
	if t == nil || t.master == nil {
		return
	}
	if !inBackground() {
		_, _ = io.Copy(&keyboard{t, map[unix.Signal]bool{}}, files.Stdin)
	}
	// The end of the input, as one types it: ^D twice, because in the middle of a line the first
	// only ends the line.
	_, _ = t.master.Write([]byte{4, 4})
}

// keyboard writes to the terminal, and notices a user who asks for the end of the command there.
type keyboard struct {
	*Terminal
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

// ask does for a key what Forward does for a signal: the second time it is KILL. The signal itself
// comes from the terminal. It is not for process 1 if a shell runs another job in the foreground
// (tcgetpgrp(3)).
func (k *keyboard) ask(s unix.Signal) {
	group, err := unix.IoctlGetInt(int(k.master.Fd()), unix.TIOCGPGRP)
	if err != nil || group != k.pid || signals.Handles(k.pid, s) || signals.Ignores(k.pid, s) {
		return
	}
	if k.asked[s] {
		_ = unix.Kill(k.pid, unix.SIGKILL) // an error: it is gone
	}
	k.asked[s] = true
}
