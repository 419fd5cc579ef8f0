//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Descriptors that the child inherits after the standard streams.
const (
	controlFd    = 3 // its end of a socket to the parent; execve(2) closes it, and the parent notices
	executableFd = 4 // see executable
)

// job is what the parent has prepared on the host when it tells the child to go on.
type job struct {
	tasks            []int // cgroups of version 1: the files to join them by
	pids             []int // the file for the limit of processes, if there is one
	trees            []int // what openTrees opened, if the parent has to do it
	address, gateway string
}

func newControl() (parent, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}

// send passes the descriptors on together with the text (unix(7), SCM_RIGHTS).
func (j *job) send(control *os.File) error {
	text := fmt.Appendf(nil, "%d %d %d %q %q", len(j.tasks), len(j.pids), len(j.trees), j.address, j.gateway)
	rights := unix.UnixRights(slices.Concat(j.tasks, j.pids, j.trees)...)
	if err := unix.Sendmsg(int(control.Fd()), text, rights, nil, unix.MSG_NOSIGNAL); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("start child: %w", err)
	}
	return nil // the child is gone: its status tells
}

// receiveJob waits for the parent. Pdeathsig is no help when the parent dies before it is set; the end of
// the socket is.
func receiveJob() (*job, error) {
	text, fds, err := receive(controlFd)
	if err != nil || len(text) == 0 {
		return nil, errors.Join(errors.New("start child: the parent is gone"), err)
	}
	var tasks, pids, trees int
	j := &job{}
	if _, err := fmt.Sscanf(string(text), "%d %d %d %q %q", &tasks, &pids, &trees, &j.address, &j.gateway); err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	if len(fds) != tasks+pids+trees {
		return nil, fmt.Errorf("start child: %d descriptors of %d", len(fds), tasks+pids+trees)
	}
	j.tasks, j.pids, j.trees = fds[:tasks], fds[tasks:tasks+pids], fds[tasks+pids:]
	return j, nil
}

func receive(socket int) (text []byte, fds []int, err error) {
	text, rights := make([]byte, 256), make([]byte, unix.CmsgSpace(4*253)) // 253: the kernel's SCM_MAX_FD
	n, rightsLen, _, _, err := unix.Recvmsg(socket, text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || rightsLen == 0 {
		return text[:max(n, 0)], nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	if err != nil {
		return nil, nil, err
	}
	fds, err = unix.ParseUnixRights(&messages[0])
	return text[:n], fds, err
}

// dieWithParent sets Pdeathsig again, which the kernel forgets at a change of ids (prctl(2)). Has the parent
// gone meanwhile, the end of the socket is there to be read.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set parent death signal: %w", err)
	}
	if n, _ := unix.Poll([]unix.PollFd{{Fd: controlFd}}, 0); n > 0 {
		return errors.New("start child: the parent is gone")
	}
	return nil
}
