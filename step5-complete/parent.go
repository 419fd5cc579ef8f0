//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
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
	caught, ready := catchSignals()    // until it is ready a signal ends both, and nothing is left
	if cgroupV2() && len(limits) > 0 { // the child is born in it; those of version 1 it joins
		<-ready
		if err := group.make(); err != nil {
			return statusFailed, err
		}
	}
	pid, control, err := startChild(group)
	if err != nil {
		return statusFailed, err
	}
	<-ready
	port, err := prepare(pid, group, control)
	defer func() {
		if leaveErr := port.leave(); leaveErr != nil {
			status, err = statusFailed, errors.Join(err, leaveErr)
		}
	}()
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) // an error: it is gone
		_, _ = wait(pid)
		return statusFailed, err
	}
	status, err = attend(pid, control, caught)
	return status, errors.Join(err, group.explain(status))
}

// startChild starts this program a second time, in new namespaces.
func startChild(group *cgroup) (pid int, control *os.File, err error) {
	control, controlChild, err := newControl()
	if err != nil {
		return 0, nil, err
	}
	defer controlChild.Close()
	path, mount, err := executable()
	defer mount.Close()
	if err != nil {
		return 0, nil, err
	}
	args := append([]string{"container", "child"}, os.Args[2:]...)
	attr := &syscall.ProcAttr{
		Env:   append([]string{"GOMAXPROCS=1"}, os.Environ()...), // fewer threads for execve(2) to end
		Files: []uintptr{0, 1, 2, controlChild.Fd(), mount.Fd()},
		// Should this process be killed, the kernel kills process 1 of the container, and with it all others.
		// In a session of its own nothing in the container can type into the terminal of the caller (TIOCSTI).
		Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true},
	}
	cloneNamespaces(attr.Sys)
	group.cloneInto(attr.Sys)
	// A time namespace is for the children of the one who makes it (time_namespaces(7)).
	if err := unix.Unshare(int(namespaces & unix.CLONE_NEWTIME)); err != nil {
		return 0, nil, fmt.Errorf("unshare %q: %w (it takes root)", "time", err)
	}
	if err := newSessionKeyring(); err != nil {
		return 0, nil, err
	}
	trace("clone %s", namespaceNames())
	if pid, err = syscall.ForkExec(path, args, attr); err != nil {
		return 0, nil, fmt.Errorf("clone %s: %w%s", namespaceNames(), err, cloneHint(err))
	}
	return pid, control, nil
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
