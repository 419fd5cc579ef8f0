//go:build linux

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// joinCgroup joins the cgroups of version 1, before anything that the command may start is born, and makes
// the cgroup the root of what the container sees (cgroup_namespaces(7)).
func joinCgroup(j *job) error {
	for _, fd := range j.tasks {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	if !has(unix.CLONE_NEWCGROUP) || !joinsLate() {
		return nil
	}
	trace("unshare cgroup")
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unshare %q: %w", "cgroup", err)
	}
	return nil
}

// applyPidsLimit sets the limit when the child will start no more threads: a Go program that cannot start
// one is lost. Those that it has go at execve(2).
func applyPidsLimit(j *job) error {
	for _, l := range limits {
		if l.controller != "pids" {
			continue
		}
		if _, err := unix.Write(j.pids[0], fmt.Append(nil, l.value)); err != nil {
			return fmt.Errorf("limit %d: %w", l.value, err)
		}
	}
	return nil
}

// fds are the descriptors of open files.
func fds(files []*os.File) (numbers []int) {
	for _, f := range files {
		numbers = append(numbers, int(f.Fd()))
	}
	return numbers
}
