//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// parent makes what belongs to the host, starts the child in its namespaces, waits for it and takes back
// what it made. It returns the exit status of the container.
func parent() (status int, err error) {
	caught := catchSignals()
	group, err := newCgroup()
	defer func() {
		if removeErr := group.remove(); removeErr != nil {
			status, err = statusFailed, errors.Join(err, removeErr)
		}
	}()
	if err != nil {
		return statusFailed, err
	}
	start, startWriter, err := os.Pipe()
	if err != nil {
		return statusFailed, fmt.Errorf("pipe: %w", err)
	}
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return statusFailed, fmt.Errorf("pipe: %w", err)
	}

	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, os.Args[2:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{start, readyWriter}, group.files()...)
	// Should this process be killed, the kernel kills process 1 of the container, and with it all others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cloneNamespaces(cmd.SysProcAttr)
	group.cloneInto(cmd.SysProcAttr)
	if err := unix.Unshare(int(namespaces & unix.CLONE_NEWTIME)); err != nil {
		return statusFailed, fmt.Errorf("unshare %q: %w", "time", err)
	}
	if err := cmd.Start(); err != nil {
		return statusFailed, fmt.Errorf("clone %s: %w (without root it takes user namespaces)", namespaceNames(), errors.Unwrap(err))
	}
	start.Close()
	readyWriter.Close()
	_, err = startWriter.Write([]byte{byte(len(group.tasks))})
	startWriter.Close()
	go func() {
		// Earlier, a signal would meet the child and not the command. The end of the pipe is what counts.
		_, _ = ready.Read(make([]byte, 1))
		caught.forward(cmd.Process.Pid)
	}()
	_ = cmd.Wait() // exitStatus tells how it ended
	if err != nil && !errors.Is(err, unix.EPIPE) {
		return statusFailed, fmt.Errorf("start child: %w", err)
	}
	return exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
}

// exitStatus is what a shell makes of a status of wait(2).
func exitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
