//go:build linux

package main

// Chapter g: A terminal of its own. The command gets a pseudo-terminal of the container (pty(7)),
// and the parent copies between that and the caller's terminal.

import (
	"flag"
	"io"
	"os"
	"os/signal"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

var tty = flag.Bool("tty", term.IsTerminal(0) && term.IsTerminal(1) && term.IsTerminal(2),
	"give the command a terminal of its own")

// mountTerminals mounts the file system of pseudo-terminals. Each mount has its own (devpts(7)).
func mountTerminals() {
	must(os.MkdirAll("/dev/pts", 0o755), "make")
	const flags = unix.MS_NOSUID | unix.MS_NOEXEC
	err := unix.Mount("devpts", "/dev/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620")
	must(err, "mount devpts on /dev/pts")
	must(os.RemoveAll("/dev/ptmx"), "replace")
	must(os.Symlink("pts/ptmx", "/dev/ptmx"), "make")
}

// openTerminal makes a pseudo-terminal of the container the standard streams of this process, and
// sends the parent the other end of it.
func openTerminal() {
	if !*tty {
		return
	}
	control, terminal, err := pty.Open()
	must(err, "open a terminal")
	_ = pty.InheritSize(os.Stdin, terminal) // an error: the caller has no terminal, and no size
	must(sendFile(os.NewFile(childSocket, "socket"), int(control.Fd())), "send the terminal")
	// The first terminal of a new session becomes its controlling one: Ctrl-C there is for the
	// processes of this session. And no process in it can type into the caller's terminal
	// (TIOCSTI).
	_, err = unix.Setsid()
	must(err, "setsid")
	must(unix.IoctlSetInt(int(terminal.Fd()), unix.TIOCSCTTY, 0), "TIOCSCTTY")
	for fd := range 3 {
		must(unix.Dup3(int(terminal.Fd()), fd, 0), "dup3")
	}
}

// remote is the parent's end of the container's terminal.
type remote struct {
	copied chan bool   // closed when all output is copied
	before *term.State // of the caller's terminal
}

// attachTerminal copies what is typed to the container's terminal and its output back. The caller's
// terminal becomes raw: what a key means is decided by the container's.
func attachTerminal(socket *os.File) (r remote) {
	if !*tty {
		return r
	}
	fd, err := receiveFile(int(socket.Fd()))
	if err != nil || fd < 0 {
		return r // the child has failed, and says why
	}
	control := os.NewFile(uintptr(fd), "terminal")
	r.before, _ = term.MakeRaw(0) // an error: it is not a terminal
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	go func() {
		for range resized {
			_ = pty.InheritSize(os.Stdin, control)
		}
	}()
	r.copied = make(chan bool)
	go func() {
		io.Copy(os.Stdout, control) // ends with an error when the last process has closed it
		close(r.copied)
	}()
	go func() {
		io.Copy(control, os.Stdin)
		control.Write([]byte{4}) // what Ctrl-D sends: the end of the input
	}()
	return r
}

// detach waits for the rest of the output, and gives the caller's terminal back as it was.
func (r remote) detach() {
	if r.copied != nil {
		<-r.copied
	}
	if r.before != nil {
		term.Restore(0, r.before)
	}
}
