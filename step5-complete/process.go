//go:build linux

package main

// Chapter a: The command is process 1. The child does not start the command: it becomes the command
// by execve(2), which replaces the program and keeps the process. What the kernel keeps besides is
// the caller's, and not for the command: environment, open files, umask.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// childSocket is the child's end of the socket: the first descriptor after the standard streams.
const childSocket = 3

// connect gives cmd one end of a pair of sockets, and returns the other end (socketpair(2)).
func connect(cmd *exec.Cmd) *os.File {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(err, "socketpair")
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(fds[1]), "socket")}
	return os.NewFile(uintptr(fds[0]), "socket")
}

// prepare does for the child what only a process of the host can do, and lets the child go on.
func prepare(cmd *exec.Cmd, cgroup string, socket *os.File) error {
	if err := joinCgroup(cgroup, cmd.Process.Pid); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	if err := connectNetwork(cmd); err != nil { // h
		return err // h
	} // h
	if err := letGo(socket); err != nil {
		return err
	}
	if err := sendRootfs(cmd, socket); err != nil { // f
		return err // f
	} // f
	return nil
}

// letGo lets the child go on.
func letGo(socket *os.File) error {
	_, err := socket.Write([]byte("go"))
	return err
}

// waitForParent waits until the parent lets this process go on. If the parent is gone, the read
// returns no bytes.
func waitForParent() {
	n, err := unix.Read(childSocket, make([]byte, 2))
	if n == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	must(err, "wait for the parent")
}

// setEnvironment gives the command an environment of its own, but for the kind of the terminal, and
// the usual umask(2).
func setEnvironment() {
	term := os.Getenv("TERM")
	os.Clearenv()
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("HOME", "/root")
	os.Setenv("HOSTNAME", *hostname)
	os.Setenv("TERM", term)
	unix.Umask(0o022)
}

// closeDescriptors makes execve(2) close all but the standard streams. A directory of the host that
// is open here would be a way out (CVE-2024-21626).
func closeDescriptors() {
	must(unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC), "close_range")
}

// become puts the command in the place of this program: it is process 1 from now on.
func become(command []string) {
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = unix.Exec(path, command, os.Environ()) // returns only with an error
	}
	status := 126
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		status = 127
	}
	fail(status, "exec %q: %v", command[0], cause(err))
}
