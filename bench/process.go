//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// contestant is one way to run a command in the rootfs. In its arguments CMD is replaced by the
// command, and ID by a name that no other container has.
type contestant struct {
	name  string
	args  []string
	files []string // open as descriptors from 3 on
	// dir is above the working directories, one for each command: runc and crun want config.json
	// there. Empty: the working directory does not matter.
	dir string
}

// A process of a contestant is ready to be started: when the clock runs, only the kernel works. So
// package os/exec has no part in it.
type process struct {
	path  string
	args  []string
	attr  syscall.ProcAttr
	files []int
	pid   int
}

// prepare makes a process ready. Its standard streams are /dev/null.
func (b *bench) prepare(c contestant, command ...string) (p *process, err error) {
	null := b.null.Fd()
	p = &process{attr: syscall.ProcAttr{Dir: b.dir, Env: b.env, Files: []uintptr{null, null, null}}}
	for _, arg := range c.args {
		switch arg {
		case "CMD":
			p.args = append(p.args, command...)
		case "ID":
			b.lastID++
			p.args = append(p.args, fmt.Sprintf("bench-%d-%d", os.Getpid(), b.lastID))
		default:
			p.args = append(p.args, arg)
		}
	}
	if c.dir != "" {
		p.attr.Dir = filepath.Join(c.dir, command[0])
	}
	p.path = p.args[0]
	if !strings.Contains(p.path, "/") {
		if p.path, err = exec.LookPath(p.path); err != nil {
			return nil, err
		}
	}
	for _, file := range c.files {
		fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			p.closeFiles()
			return nil, fmt.Errorf("open %q: %w", file, err)
		}
		p.files = append(p.files, fd)
		p.attr.Files = append(p.attr.Files, uintptr(fd))
	}
	return p, nil
}

func (p *process) start() (err error) {
	p.pid, err = syscall.ForkExec(p.path, p.args, &p.attr)
	return err
}

// wait waits for the end of the process. It may leave others behind: see waitForOthers.
func (p *process) wait() error {
	var status unix.WaitStatus
	if _, err := wait4(p.pid, &status); err != nil {
		return err
	}
	switch {
	case status.Signaled():
		return fmt.Errorf("killed: %v", status.Signal())
	case status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}

// waitForOthers waits for the processes that the ones before have left to this process, the nearest
// subreaper (PR_SET_CHILD_SUBREAPER of prctl(2)): bubblewrap ends before its process 1 does.
func waitForOthers() error {
	for {
		if _, err := wait4(-1, nil); errors.Is(err, unix.ECHILD) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// wait4 is wait4(2) for children of this thread, to which the kernel gives those of nobody.
func wait4(pid int, status *unix.WaitStatus) (ended int, err error) {
	for {
		ended, err = unix.Wait4(pid, status, unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return ended, err
		}
	}
}

func (p *process) closeFiles() {
	for _, fd := range p.files {
		unix.Close(fd)
	}
	p.files = nil
}

// output runs a command, not for the clock, and returns what it prints.
func (b *bench) output(c contestant, command ...string) (text string, err error) {
	p, err := b.prepare(c, command...)
	if err != nil {
		return "", err
	}
	defer p.closeFiles()
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	p.attr.Files[1], p.attr.Files[2] = w.Fd(), w.Fd()
	err = p.start()
	w.Close()
	if err != nil {
		return "", err
	}
	said, readErr := io.ReadAll(r)
	if err := errors.Join(p.wait(), readErr); err != nil {
		return "", failure(p.args[0], err, string(said))
	}
	return string(said), nil
}

// stayOnBridge starts a container on the bridge. It ends with its input, and so with this program,
// however that ends. It is the child of another thread: waitForOthers does not wait for it.
func (b *bench) stayOnBridge() (leave func(), err error) {
	p, err := b.prepare(b.container("", "-net", "bridge"), "cat")
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p.attr.Files[0] = r.Fd()
	started, ended := make(chan error), make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- p.start()
		ended <- p.wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	return func() { _, _ = w.Close(), <-ended }, nil
}
