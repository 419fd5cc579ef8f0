//go:build linux

// Package terminal gives the command a terminal of its own, and connects it with that of the caller
// (pty(7)).
package terminal

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/signals"
)

// IsWanted tells whether the command gets a terminal of its own.
func IsWanted(c *config.Container) bool {
	switch c.Terminal {
	case config.TerminalYes:
		return true
	case config.TerminalNo:
		return false
	}
	return c.Namespaces.Has(unix.CLONE_NEWNS) && term.IsTerminal(0) && term.IsTerminal(1) &&
		term.IsTerminal(2)
}

// A Terminal is that of the command, seen from outside.
type Terminal struct {
	opened        opened
	pid           int // of the command
	command       *signals.Command
	master, slave *os.File
	caller        callers
	copied        chan error

	changes   sync.Mutex  // of the caller's terminal, and of what follows
	before    *term.State // the settings of that terminal, if they were changed
	hasInput  bool        // the command gets what is typed there
	awaited   bool        // resumeInForeground waits
	suspended bool        // the settings stay as they are
}

// opened are the descriptors that the child opens: both ends of the terminal. The parent has them
// too.
type opened struct{ master, slave plan.FD }

// Open adds the calls that open a terminal of the container's own devpts and make it the console.
// The first one of a new devpts is number 0.
func Open(p *plan.Plan) *Terminal {
	const name = "/dev/pts/0"
	p.About("open terminal", "/dev/pts/ptmx")
	const flags = unix.O_RDWR | unix.O_NOCTTY
	master := p.Name(p.Openat2(plan.CWD, "/dev/pts/ptmx", flags, unix.RESOLVE_NO_SYMLINKS),
		"master")
	p.Unlock(master)
	p.About("open terminal", name)
	slave := p.Name(p.Openat2(plan.CWD, name, flags, unix.RESOLVE_NO_SYMLINKS), "terminal")
	caller := findCallers()
	if size, err := caller.size(); err == nil {
		p.SetWinsize(slave, *size) // otherwise no size is known
	}
	if settings, err := caller.settings(); err == nil {
		p.SetTermios(slave, *settings) // of keys, most of all
	}
	p.About("make console", "/dev/console")
	p.Fchdir(p.Openat2(plan.CWD, "/dev", unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS))
	p.Mknodat(plan.CWD, "console", 0o600)
	p.Bind("pts/0", "console")
	p.Chdir("/")
	return &Terminal{opened: opened{master, slave}, caller: caller}
}

// Take adds the calls that make the terminal that of the child, which leads a session, and its
// standard streams. From here on the child has descriptors of its own: 0 to 2 of the runtime stay
// what they are.
func (t *Terminal) Take(p *plan.Plan, uid int) {
	p.About("take terminal", "/dev/pts/0")
	p.Fchown(t.opened.slave, uid, -1) // the group is tty: only it may write to somebody's terminal
	p.Unshare(unix.CLONE_FILES)
	p.Ioctl(t.opened.slave, unix.TIOCSCTTY, 0)
	for fd := range 3 {
		p.Dup3(t.opened.slave, p.Open(fd, [...]string{"stdin", "stdout", "stderr"}[fd]), 0)
	}
}

// LeaveKeyboard adds the calls that give the child /dev/null in place of a standard input that is
// the terminal of the caller. A job in the background that reads from it is stopped by SIGTTIN; but
// only in the session whose terminal it is (setpgid(2)), and the child has left that.
func LeaveKeyboard(p *plan.Plan) {
	p.About("leave keyboard", "/dev/null")
	null := p.Name(p.Openat2(plan.CWD, "/dev/null", unix.O_RDONLY, unix.RESOLVE_NO_SYMLINKS),
		"/dev/null")
	p.Unshare(unix.CLONE_FILES)
	p.Dup3(null, p.Open(0, "stdin"), 0)
}

// Opened are the descriptors that Connect takes over.
func (t *Terminal) Opened() []plan.FD {
	if t == nil {
		return nil
	}
	return []plan.FD{t.opened.master, t.opened.slave}
}

// Connect takes over the ends of the terminal that the child has opened, and copies the output of
// the command, which has that pid. The input follows with CopyInput.
func (t *Terminal) Connect(p *plan.Plan, pid int, command *signals.Command) {
	if t == nil {
		return
	}
	master, err := p.Result(t.opened.master)
	slave, slaveErr := p.Result(t.opened.slave)
	if err != nil || slaveErr != nil {
		return // the list tells
	}
	t.pid, t.command = pid, command
	t.master = os.NewFile(uintptr(master), "terminal")
	t.slave = os.NewFile(uintptr(slave), "terminal")
	t.copied = make(chan error, 1)
	t.Resume()
	go t.copyOutput()
}

// copyOutput copies to the standard output until no process has the other end open: then it gets
// EIO. The slave that is open here lets that happen only when the command has ended, even if it
// closes the terminal and opens it again.
func (t *Terminal) copyOutput() {
	buffer := make([]byte, 32*1024)
	var writeErr error
	for {
		n, err := t.master.Read(buffer)
		if errors.Is(err, unix.EIO) {
			t.copied <- writeErr
			return
		}
		if err != nil {
			t.command.End(unix.SIGHUP) // nobody reads what it writes
			t.copied <- errors.Join(err, writeErr)
			return
		}
		if writeErr != nil {
			continue // the command need not stop for that
		}
		if _, writeErr = files.Stdout.Write(buffer[:n]); writeErr != nil {
			t.command.End(unix.SIGHUP)
		}
	}
}

// Resize tells the terminal of the command how large the caller's is (ioctl_tty(2)).
func (t *Terminal) Resize() {
	if t == nil || t.master == nil {
		return
	}
	if size, err := t.caller.size(); err == nil {
		_ = unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, size)
	}
}

// Resume has the keys of the caller's terminal go to the command as they are typed: at once, or as
// soon as this job of the shell is in the foreground, of which no signal tells a job that runs
// already. Suspend leaves that terminal as it was.
func (t *Terminal) Resume() {
	if t == nil {
		return
	}
	t.changes.Lock()
	t.suspended = false
	t.resume()
	t.changes.Unlock()
	t.Resize()
}

func (t *Terminal) resume() {
	switch {
	case t.before != nil || t.suspended || !term.IsTerminal(0):
	case !t.caller.inBackground():
		t.before, _ = term.MakeRaw(0) // an error: a terminal that went away meanwhile
	case t.hasInput && !t.awaited:
		t.awaited = true
		go t.resumeInForeground()
	}
}

func (t *Terminal) resumeInForeground() {
	for t.caller.inBackground() {
		time.Sleep(time.Second / 5)
	}
	t.changes.Lock()
	t.awaited = false
	t.resume()
	t.changes.Unlock()
	t.Resize()
}

func (t *Terminal) Suspend() {
	if t == nil {
		return
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	t.suspended = true
	if t.before != nil && !t.caller.inBackground() {
		_ = term.Restore(0, t.before)
		t.before = nil
	}
}

// Close copies the rest of the output and leaves the caller's terminal as it was. Whoever is to
// read the output may not do so: then it ends with the error of interrupted, if that returns one.
func (t *Terminal) Close(interrupted func() error) error {
	if t == nil || t.master == nil {
		return nil
	}
	t.slave.Close()
	var err error
	for copied := false; !copied && err == nil; {
		select {
		case err = <-t.copied:
			copied = true
		case <-time.After(time.Second / 10):
			err = interrupted()
		}
	}
	t.Suspend()
	if err != nil && !errors.Is(err, unix.EPIPE) { // whoever closes a pipe does so on purpose
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}
