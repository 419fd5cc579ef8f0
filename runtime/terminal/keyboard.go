//go:build linux

package terminal

import (
	"io"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// CopyInput copies the standard input to the command's terminal. A job in the background has none.
func (t *Terminal) CopyInput() {
	if t == nil || t.master == nil {
		return
	}
	if !t.caller.inBackground() {
		t.changes.Lock()
		t.hasInput = true
		t.changes.Unlock()
		_, _ = io.Copy(&keyboard{t, map[unix.Signal]bool{}}, input{t.caller})
	}
	// The end of the input, as one types it: ^D twice, because in the middle of a line the first
	// only ends the line.
	_, _ = t.master.Write([]byte{4, 4})
}

// input is the standard input. What is typed while the shell has another job in the foreground is
// not for the command.
type input struct{ callers }

func (i input) Read(b []byte) (n int, err error) {
	for {
		for i.inBackground() {
			time.Sleep(time.Second / 5)
		}
		_, err := unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, -1)
		if err == nil && !i.inBackground() {
			return files.Stdin.Read(b)
		}
	}
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
			case settings.Cc[unix.VSUSP]:
				k.stop()
			}
		}
	}
	return k.master.Write(typed)
}

// ask does for a key what Command.Pass does for a signal: the second time it is KILL. The signal
// itself comes from the terminal. It is not for process 1 if a shell runs another job in the
// foreground (tcgetpgrp(3)).
func (k *keyboard) ask(s unix.Signal) {
	if !k.isSpared(s) {
		return
	}
	if k.asked[s] {
		_ = unix.Kill(k.pid, unix.SIGKILL) // an error: it is gone
	}
	k.asked[s] = true
}

// stop has the runtime stop, and the command with it, as a job of the caller's shell.
func (k *keyboard) stop() {
	if k.isSpared(unix.SIGTSTP) {
		_ = unix.Kill(unix.Getpid(), unix.SIGTSTP) // an error is out of the question
	}
}

// isSpared tells whether a signal of the terminal is for process 1, which is spared it.
func (k *keyboard) isSpared(s unix.Signal) bool {
	group, err := unix.IoctlGetInt(int(k.master.Fd()), unix.TIOCGPGRP)
	return err == nil && group == k.pid && k.command.HasNothingToSay(s)
}
