//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// child is process 1 of the container. It changes what the new namespaces copied from the host, and then
// becomes the command. When that works it does not return.
func child() (status int, err error) {
	caught := catchSignals() // from the terminal: the container is made or not, but not half of it
	unix.Umask(0)            // directories and devices get the modes that are written here
	pidsFd, err := syncWithParent()
	if err != nil {
		return statusFailed, err
	}
	if err := unix.Unshare(int(namespaces & unix.CLONE_NEWCGROUP)); err != nil {
		return statusFailed, fmt.Errorf("unshare %q: %w", "cgroup", err)
	}
	if has(unix.CLONE_NEWUTS) {
		if err := unix.Sethostname([]byte(*hostname)); err != nil {
			return statusFailed, fmt.Errorf("sethostname %q: %w", *hostname, err)
		}
	}
	if has(unix.CLONE_NEWNET) {
		if err := loopbackUp(); err != nil {
			return statusFailed, fmt.Errorf("set up interface %q: %w", "lo", err)
		}
	}
	if has(unix.CLONE_NEWNS) {
		if err := enterRootfs(*rootfs); err != nil {
			return statusFailed, err
		}
	}
	setEnvironment()
	// The command gets descriptors 0, 1 and 2, and none of those that are open here (close_range(2)).
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return statusFailed, fmt.Errorf("close_range %d: %w", 3, err)
	}
	path, err := exec.LookPath(flag.Arg(0))
	if err != nil {
		return execFailed(err)
	}
	if err := applyPidsLimit(pidsFd); err != nil {
		return statusFailed, err
	}
	if *withInit {
		return runInit(path, caught)
	}
	return execFailed(unix.Exec(path, flag.Args(), os.Environ()))
}

// execFailed returns the status, as in a shell, and the error for a command that did not start.
func execFailed(err error) (int, error) {
	status := statusNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		status = statusNotFound
	}
	if lookup := (*exec.Error)(nil); errors.As(err, &lookup) {
		err = lookup.Err
	}
	return status, fmt.Errorf("exec %q: %w", flag.Arg(0), err)
}
