//go:build linux

// Step 1: the skeleton. The program starts itself a second time before it starts the command. Nothing is
// isolated yet, but between the two there is now a place to stand.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// signals are those that the command is to get.
var signals = make(chan os.Signal, 8)

// main runs twice, first as parent and then as child.
func main() {
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	stage := map[string]func([]string){"run": parent, "child": child}[os.Args[min(1, len(os.Args)-1)]]
	if stage == nil || len(os.Args) < 3 || os.Args[2] == "" {
		must(2, errors.New("no command"), "usage: container run CMD [ARG...]")
	}
	stage(os.Args[2:])
}

// parent starts this program again: /proc/self/exe (proc(5)) is the file that is running.
func parent(args []string) {
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, args...)...)
	status, err := run(cmd)
	must(125, err, "start child")
	os.Exit(status)
}

// child starts the command.
func child(args []string) {
	status, err := run(exec.Command(args[0], args[1:]...))
	must(status, errors.Unwrap(err), "exec %q", args[0])
	os.Exit(status)
}

// run starts cmd on our standard streams, passes signals on and returns its exit status in the way of a
// shell: 128+N when signal N ended it, 127 with an error when it is not found, 126 when it does not start.
func run(cmd *exec.Cmd) (status int, err error) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return 127, err
	} else if err != nil {
		return 126, err
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// must ends the program with an exit status and one line, "container: WHAT OBJECT: CAUSE", if err is one.
func must(status int, err error, what string, args ...any) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "container: "+what+": %v\n", append(args, err)...)
		os.Exit(status)
	}
}
