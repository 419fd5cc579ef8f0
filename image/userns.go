//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/users"
)

// The names under which this program starts itself: first it waits for its ids, which only a
// process outside can give it, and then it is root. Between the two lies an execve(2), because a
// process has its capabilities from the user that it starts as (capabilities(7)).
const (
	waiting = "image: waits for ids"
	rootEnv = "_IMAGE_ROOT" // tells the second from the first start
)

// inUserNamespace starts this program again for an ordinary user, as root of a user namespace with
// the ids that the runtime gives his containers. It returns the status of that program. Root is at
// home already.
func inUserNamespace() (status int, done bool) {
	if os.Args[0] == waiting {
		fmt.Fprintln(os.Stderr, "image: user namespace:", becomeRoot())
		return statusFailed, true
	}
	if os.Getenv(rootEnv) != "" {
		os.Unsetenv(rootEnv)
		// The program outside may be killed: then this one is to end, too.
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		return 0, false
	}
	if os.Geteuid() == 0 {
		return 0, false
	}
	status, err := startAgain()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image: user namespace:", err)
		return statusFailed, true
	}
	return status, true
}

// becomeRoot waits until somebody closes the other end of a pipe, when there are ids.
func becomeRoot() error {
	if n, _ := os.NewFile(3, "ids").Read(make([]byte, 1)); n == 0 {
		return errors.New("no ids")
	}
	if err := unix.Setresgid(0, 0, 0); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	if err := unix.Setresuid(0, 0, 0); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	return unix.Exec("/proc/self/exe", os.Args[1:], append(os.Environ(), rootEnv+"=1"))
}

func startAgain() (status int, err error) {
	ready, signalReady, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer signalReady.Close()
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       append([]string{waiting}, os.Args...),
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{ready},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER,
			Pdeathsig:  unix.SIGKILL,
		},
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w (does the machine allow ordinary users to make them?)", err)
	}
	ready.Close()
	c := &config.Container{Namespaces: unix.CLONE_NEWUSER}
	if err = users.FindMaps(c); err == nil {
		err = users.WriteMaps(cmd.Process.Pid, c)
	}
	if err == nil {
		_, err = signalReady.Write([]byte{1})
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	case exit.Sys().(syscall.WaitStatus).Signaled():
		return 128 + int(exit.Sys().(syscall.WaitStatus).Signal()), nil
	}
	return exit.ExitCode(), nil
}
