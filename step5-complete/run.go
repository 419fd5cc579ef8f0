//go:build linux

package main

// This file is the same in every step. It has what a runtime needs besides the container: it starts
// a command on our standard streams, passes signals on, tells how the command ended, and reports
// errors.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// signals has the signals that came in, for run to pass on.
var signals = make(chan os.Signal, 8)

// catchSignals keeps SIGINT and SIGTERM from ending this process (signal(7)): the command gets them
// and decides what they mean, and this process goes on waiting for it.
func catchSignals() {
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
}

// run starts a command, waits for its end, and returns its exit status.
//
//lint:ignore U1000 step 5 has something to do between the two
func run(cmd *exec.Cmd) (status int, err error) {
	if status, err := start(cmd); err != nil {
		return status, err
	}
	return wait(cmd)
}

// start starts a command on our standard streams. If it does not start, the status is the one of a
// shell: 127 if it was not found, 126 otherwise.
func start(cmd *exec.Cmd) (status int, err error) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Start()
	switch {
	case err == nil:
		return 0, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return 127, cause(err)
	default:
		return 126, cause(err)
	}
}

// wait passes signals on to a command until it ends, and returns its exit status as a shell does:
// 128+N if signal N ended it.
func wait(cmd *exec.Cmd) (status int, err error) {
	go func() {
		for s := range signals {
			cmd.Process.Signal(s) // an error: the process is gone, and Wait says how it ended
		}
	}()
	state, err := cmd.Process.Wait()
	if err != nil {
		return 125, cause(err)
	}
	// wait(2) says either "exited with status S" or "ended by signal N".
	if ws := state.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}

// cause returns the innermost error. os/exec wraps it in names that our own line has already.
func cause(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// must ends the program with status 125, that of the runtime's own errors, if there is an error.
func must(err error, what string, args ...any) {
	if err != nil {
		fail(125, what+": %v", append(args, err)...)
	}
}

// fail ends the program with a status and one line: "container: WHAT OBJECT: CAUSE (HINT)".
func fail(status int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "container: "+format+"\n", args...)
	os.Exit(status)
}
