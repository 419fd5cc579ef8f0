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
	unix.Umask(0) // directories and devices get the modes that are written here
	j, err := receiveJob()
	if err != nil {
		return statusFailed, err
	}
	for _, step := range []func(*job) error{
		joinCgroup, becomeRoot, nameHost, connectNetwork, enterRootfs, setEnvironment, openTerminal,
	} {
		if err := step(j); err != nil {
			return statusFailed, err
		}
	}
	// The command gets descriptors 0, 1 and 2, and none of those that are open here (close_range(2)).
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return statusFailed, fmt.Errorf("close_range %d: %w", 3, err)
	}
	if *withInit { // it has the last word to the parent: see runInit
		if _, err := unix.FcntlInt(controlFd, unix.F_SETFD, 0); err != nil {
			return statusFailed, fmt.Errorf("fcntl %d: %w", controlFd, err)
		}
	}
	if err := dropPrivileges(); err != nil {
		return statusFailed, err
	}
	path, args, err := commandLine()
	if err != nil {
		return execFailed(err)
	}
	if err := applyPidsLimit(j); err != nil {
		return statusFailed, err
	}
	trace("execve %s", path)
	defaultSignals()
	return execFailed(unix.Exec(path, args, os.Environ()))
}

func nameHost(*job) error {
	if !has(unix.CLONE_NEWUTS) {
		return nil
	}
	trace("sethostname %s", *hostname)
	if err := unix.Sethostname([]byte(*hostname)); err != nil {
		return fmt.Errorf("sethostname %q: %w", *hostname, err)
	}
	return nil
}

// commandLine is what to execute: the command, or this program as its init.
func commandLine() (path string, args []string, err error) {
	path, err = exec.LookPath(flag.Arg(0))
	if *withInit {
		return "/proc/self/exe", append([]string{"container", "init", "--"}, flag.Args()...), err
	}
	return path, flag.Args(), err
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
