//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// runInit is process 1 in place of the command, with the same privileges: it passes signals on to it and
// waits for every process whose parent is gone, as pid_namespaces(7) asks of an init. When the command
// ends it returns its status, and the kernel ends what is left.
func runInit() (status int, err error) {
	caught, ready := catchSignals()
	<-ready
	unix.Close(controlFd) // the parent waits for this to pass signals on
	path, err := exec.LookPath(flag.Arg(0))
	if err != nil {
		return execFailed(err)
	}
	pid, err := syscall.ForkExec(path, flag.Args(), &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return execFailed(err)
	}
	go caught.forward(pid, func() {})
	return wait(pid)
}

// wait waits for a child to end and returns its exit status. In an init it also reaps the others, whose parents are gone.
func wait(pid int) (status int, err error) {
	for {
		var ws unix.WaitStatus
		ended, err := unix.Wait4(-1, &ws, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return statusFailed, fmt.Errorf("wait: %w", err)
		}
		if ended == pid {
			return exitStatus(ws), nil
		}
	}
}

// exitStatus is what a shell makes of a status of wait(2).
func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
