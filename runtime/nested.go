//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
)

// The host may be a container itself, or another place where not all is as on a host.

// checkProc makes sure that /proc is of the pid namespace that this process is in: it looks up the
// child by its number there, and in another one that is a process which has nothing to do with it.
func checkProc() error {
	switch self, err := os.Readlink("/proc/self"); {
	case errors.Is(err, unix.ENOENT) && unix.Access("/proc/uptime", unix.F_OK) != nil:
		return errors.New("/proc: no proc file system is mounted there (mount -t proc proc /proc)")
	case err != nil && !errors.Is(err, unix.ENOENT):
		return fmt.Errorf("/proc: %w", err)
	case self != strconv.Itoa(os.Getpid()): // proc_pid(5), /proc/self
		return errors.New("/proc: shows another pid namespace, where this process has another " +
			"number (unshare --mount-proc mounts the right one)")
	}
	return nil
}

// cloneError says why the child could not be made: clone3(2) uses few numbers for many reasons.
func cloneError(err error, namespaces config.Namespaces) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM) && os.Geteuid() != 0:
		hint = "without root it takes user namespaces"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSYS):
		hint = "in a container it takes the right to make others: -cap-add ALL, or --privileged; " +
			"in a chroot there are no user namespaces: use -ns without user"
	case errors.Is(err, unix.EINVAL):
		hint = "the kernel does not have all of these: ls /proc/self/ns"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		hint = tooMany(namespaces)
	case errors.Is(err, unix.EAGAIN):
		hint = "the caller may have no more processes: ulimit nproc, or pids.max of its cgroup"
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("clone %s: %w%s", namespaces, err, hint)
}

// tooMany is what ENOSPC means to a namespace (namespaces(7), "The /proc/sys/user directory").
func tooMany(namespaces config.Namespaces) string {
	return fmt.Sprintf("not the disk: see /proc/sys/user/max_*_namespaces, for %s", namespaces)
}
