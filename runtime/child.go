//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/signals"
)

// Two things take more than a list of system calls: to be the init of a container, and to copy
// files with the rights of its root. For these this program is executed in the container, as
// `container child init CMD...` and `container child copy FROM TO`.

// childPipe is the descriptor of a pipe to the runtime in such a program. The init closes it when
// it is ready for signals. The standard error of the copy is that pipe too, and so it is the
// runtime that reports what went wrong.
const childPipe = 3

func child(args []string) (status int, err error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(childPipe, &fs); err != nil && err != unix.EBADF {
		return statusFailed, fmt.Errorf("child: fstatfs %d: %w", childPipe, err)
	}
	if fs.Type != unix.PIPEFS_MAGIC || len(args) < 2 {
		return statusFailed, errors.New("child: only the runtime itself starts it")
	}
	unix.CloseOnExec(childPipe)
	switch {
	case args[0] == "init":
		return runInit(args[1:])
	case args[0] == "copy" && len(args) == 3:
		if err := rootfs.CopyOnce(args[1], args[2]); err != nil {
			return statusFailed, err
		}
		return 0, nil
	}
	return statusFailed, fmt.Errorf("child: unknown %q", args[0])
}

// runInit is process 1 in place of the command, with the same rights: it passes signals on to it
// and waits for every process whose parent is gone, as pid_namespaces(7) asks of an init. When the
// command ends it returns its status, and the kernel ends what is left.
func runInit(command []string) (status int, err error) {
	caught, err := signals.Catch()
	if err != nil {
		return statusFailed, err
	}
	unix.Close(childPipe)
	path, err := lookPath(command[0])
	if err != nil {
		return execStatus(err)
	}
	pid, err := syscall.ForkExec(path, command,
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		failure := execError(command[0], err)
		if failure.Cause == unix.ENOENT {
			failure.Hint = noInterpreter
		}
		return execStatus(failure)
	}
	go func() {
		for {
			// A signal of the container's terminal is not only for this process: its group has it,
			// and the command is in it. HUP is for the leader of the session.
			if s := caught.Await(); !s.ByKernel || s.Signal == unix.SIGHUP {
				_ = unix.Kill(pid, s.Signal) // an error: it is gone
			}
		}
	}()
	for {
		var ws unix.WaitStatus
		ended, err := unix.Wait4(-1, &ws, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return statusFailed, fmt.Errorf("wait4: %w", err)
		}
		if ended == pid {
			return exitStatus(ws), nil
		}
	}
}

// lookPath finds the command as the list of a container without an init does.
func lookPath(command string) (path string, err error) {
	paths := candidates(command, os.Environ())
	cause := error(unix.ENOENT)
	for _, path := range paths {
		var stat unix.Stat_t
		err := unix.Stat(path, &stat)
		if err == nil {
			err = unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
		}
		if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = unix.EACCES
		}
		switch err {
		case nil:
			return path, nil
		case unix.ENOENT, unix.ENOTDIR:
		case unix.EACCES:
			cause = err
		default:
			return "", execError(command, err)
		}
	}
	return "", execError(command, cause)
}

// execError says why a command was not executed, as the list of a container without an init does.
func execError(command string, err error) *plan.Error {
	errno, _ := err.(unix.Errno)
	e := &plan.Error{What: "exec", Object: command, Cause: errno}
	for _, why := range whyNotExecuted {
		if why.errno == errno {
			e.Hint = why.hint
		}
	}
	return e
}

// ready returns the end of a pipe that the init closes when it is ready for signals.
func (h *thisHost) ready() (plan.FD, error) {
	if err := unix.Pipe2(h.isReady[:], unix.O_CLOEXEC); err != nil {
		return plan.FD{}, fmt.Errorf("pipe: %w", err)
	}
	return h.plan.Open(h.isReady[1], "ready"), nil
}

// self opens this program for the init. The container can get at the file by /proc/PID/exe, and
// must not be able to write to it (CVE-2019-5736): so it is executed from a mount that is
// read-only. An ordinary user cannot make one here, but the child can.
func (h *thisHost) self() (plan.FD, error) {
	const name = "this program"
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/exe",
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err == nil {
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &readOnly); err != nil {
			return plan.FD{}, fmt.Errorf("mount_setattr %q: %w", "/proc/self/exe", err)
		}
		return h.plan.Open(fd, name), nil
	}
	path, pathErr := os.Readlink("/proc/self/exe")
	if !errors.Is(err, unix.EPERM) || pathErr != nil {
		return plan.FD{}, fmt.Errorf("open_tree %q: %w", "/proc/self/exe", err)
	}
	p := h.plan
	p.Asked("init", path)
	if !h.c.Namespaces.Has(unix.CLONE_NEWNS) {
		return p.Openat2(plan.CWD, path, unix.O_PATH, 0), nil
	}
	tree := p.Name(p.OpenTree(plan.CWD, path, 0), name)
	p.MountSetattr(tree, 0, readOnly)
	return tree, nil
}

// copyRootfs has this program copy the rootfs, as root of the container and in its mount namespace.
func (h *thisHost) copyRootfs(from, to string) error {
	if err := errors.Join(h.plan.Release(), h.plan.Await()); err != nil {
		return err
	}
	if err := h.runInside("copy", from, to); err != nil {
		return fmt.Errorf("copy %q: %w", h.c.Top(), err)
	}
	return nil
}

// runInside executes this program as root in the namespaces of the child, and waits for its end.
// The error is what it wrote.
func (h *thisHost) runInside(args ...string) error {
	p, err := plan.New(nil)
	if err != nil {
		return err
	}
	defer p.Free()
	p.InterruptBy(h.signals.Interrupted)
	inside, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", h.pid, err)
	}
	defer unix.Close(inside)
	self, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", "/proc/self/exe", err)
	}
	defer unix.Close(self)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	writeInside(p, h.c, p.Open(h.own, "runtime"), p.Open(inside, "container"),
		p.Open(self, "this program"), p.Open(pipe[1], "pipe"), args)
	err = p.Release()
	pid := 0
	if err == nil {
		pid, err = p.Start(0, -1)
	}
	if err != nil {
		unix.Close(pipe[1])
		return fmt.Errorf("clone: %w", err)
	}
	err = p.Executed()
	unix.Close(pipe[1])
	if err == nil {
		err = awaitInput(pipe[0], h.signals)
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) // an error: it is gone
		_, _ = wait(pid)
		return err
	}
	said, _ := files.ReadFD(pipe[0])
	status, err := wait(pid)
	switch failed := p.Failed(); {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case said != "":
		return errors.New(strings.TrimPrefix(strings.TrimSpace(said), "container: "))
	case status != 0:
		return fmt.Errorf("exit status %d", status)
	}
	return nil
}

// writeInside writes the list of calls for runInside.
func writeInside(
	p *plan.Plan,
	c *config.Container,
	runtime, inside, self, pipe plan.FD,
	args []string,
) {
	p.About("enter container", "")
	namespaces := uintptr(unix.CLONE_NEWNS)
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		namespaces |= unix.CLONE_NEWUSER
	}
	p.DieWithParent(runtime)
	p.Setns(inside, namespaces)
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		p.Setresgid(0)
		p.Setresuid(0)
		p.DieWithParent(runtime)
	}
	p.About("exec", "container child")
	p.Hint(unix.EACCES, "others must be allowed to execute this program: chmod go+rx")
	p.UnblockSignals()
	p.CloseRange(childPipe)
	p.Unshare(unix.CLONE_FILES)
	p.Dup3(pipe, p.Open(childPipe, "child's pipe"), 0)
	p.Dup3(pipe, p.Open(2, "stderr"), 0)
	p.Execveat(self, p.Array(append([]string{"container", "child"}, args...)), p.Array(nil))
}
