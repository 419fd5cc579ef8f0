//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The descriptors that the child inherits after the standard streams.
const (
	startFd = 3 // a pipe from the parent, who says how many descriptors there are from tasksFd on
	readyFd = 4 // a pipe to the parent, who keeps signals back until it is closed: by execve(2), or by init
	tasksFd = 5 // the files by which to join cgroups of version 1, and then the one for the limit of processes
)

// syncWithParent waits for the word of the parent to start, and joins the cgroups of version 1. Whatever
// the command starts is born there.
// It returns the descriptor for applyPidsLimit.
func syncWithParent() (pidsFd int, err error) {
	// Pdeathsig is no help when the parent dies before it is set; the end of the pipe is.
	var count [1]byte
	if n, err := unix.Read(startFd, count[:]); n != 1 {
		return 0, errors.Join(errors.New("start child: the parent is gone"), err)
	}
	for fd := tasksFd; fd < tasksFd+int(count[0]); fd++ {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return 0, fmt.Errorf("join cgroup: %w", err)
		}
	}
	return tasksFd + int(count[0]), nil
}

// applyPidsLimit sets the limit when the child will start no more threads: a Go program that cannot start
// one is lost. Those that it has go at execve(2).
func applyPidsLimit(pidsFd int) error {
	for _, l := range limits {
		if l.controller != "pids" {
			continue
		}
		if _, err := unix.Write(pidsFd, fmt.Append(nil, l.value)); err != nil {
			return fmt.Errorf("limit %d: %w", l.value, err)
		}
	}
	return nil
}
