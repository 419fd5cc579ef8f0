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

// parent starts the child in its namespaces, prepares what belongs to the host, waits for the end and
// takes back what it made. It returns the exit status of the container.
func parent() (status int, err error) {
	if err := checkDescriptors(); err != nil {
		return statusFailed, err
	}
	group := &cgroup{}
	defer func() {
		if removeErr := group.remove(); removeErr != nil {
			status, err = statusFailed, errors.Join(err, removeErr)
		}
	}()
	caught := make(signals, 64)
	if cgroupV2() && len(limits) > 0 { // the child is born in it; those of version 1 it joins
		caught.catch()
		if err := group.make(); err != nil {
			return statusFailed, err
		}
	}
	cmd, control, err := startChild(group)
	if err != nil {
		return statusFailed, err
	}
	caught.catch() // while the child starts: until here a signal ends both, and nothing is left
	port, err := prepare(cmd.Process.Pid, group, control)
	defer func() {
		if leaveErr := port.leave(); leaveErr != nil {
			status, err = statusFailed, errors.Join(err, leaveErr)
		}
	}()
	if err != nil {
		_ = cmd.Process.Kill() // an error: it is gone
		_ = cmd.Wait()
		return statusFailed, err
	}
	restore, err := attend(cmd.Process.Pid, control, caught)
	defer restore()
	_ = cmd.Wait() // exitStatus tells how it ended
	status = exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))
	return status, errors.Join(err, group.explain(status))
}

// startChild starts this program a second time, in new namespaces.
func startChild(group *cgroup) (cmd *exec.Cmd, control *os.File, err error) {
	control, controlChild, err := newControl()
	if err != nil {
		return nil, nil, err
	}
	defer controlChild.Close()
	path, mount, err := executable()
	defer mount.Close()
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(path, append([]string{"child"}, os.Args[2:]...)...)
	cmd.Args[0] = "container"
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // fewer threads for execve(2) to end
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{controlChild, mount}
	// Should this process be killed, the kernel kills process 1 of the container, and with it all others.
	// In a session of its own nothing in the container can type into the terminal of the caller (TIOCSTI).
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true}
	cloneNamespaces(cmd.SysProcAttr)
	group.cloneInto(cmd.SysProcAttr)
	// A time namespace is for the children of the one who makes it (time_namespaces(7)).
	if err := unix.Unshare(int(namespaces & unix.CLONE_NEWTIME)); err != nil {
		return nil, nil, fmt.Errorf("unshare %q: %w", "time", err)
	}
	if err := newSessionKeyring(); err != nil {
		return nil, nil, err
	}
	trace("clone %s", namespaceNames())
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("clone %s: %w (without root it takes user namespaces)", namespaceNames(), errors.Unwrap(err))
	}
	return cmd, control, nil
}

// prepare does what only a process on the host can do for the child, and then tells the child to go on.
func prepare(pid int, group *cgroup, control *os.File) (port *bridge, err error) {
	if err := group.make(); err != nil {
		return nil, err
	}
	j := &job{tasks: fds(group.tasks), pids: fds(group.pids)}
	if err := errors.Join(mapIDs(pid), raiseHardLimits(pid), setOOMScoreAdj(pid), ownPipes(rootOnHost())); err != nil {
		return nil, err
	}
	if j.trees, err = openTreesFor(pid); err != nil {
		return nil, err
	}
	if *network == "bridge" {
		if port, err = joinBridge(pid); err != nil {
			return port, err
		}
		j.address, j.gateway = port.address, port.gateway
	}
	return port, j.send(control)
}
