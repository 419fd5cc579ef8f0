//go:build linux

// Step 1: the skeleton. The program starts itself a second time, and the second process starts the
// command. Nothing is isolated yet, but there is now a place for code that runs in a new process
// before the command does.
package main

import (
	"os"
	"os/exec"
)

const usage = "usage: container run CMD [ARG...]"

// main runs in both processes. The first argument says which of the two this is.
func main() {
	catchSignals()
	if len(os.Args) < 2 {
		fail(2, "no command to run (%s)", usage)
	}
	switch os.Args[1] {
	case "run":
		parent(os.Args[2:])
	case "child":
		child(os.Args[2:])
	default:
		fail(2, "unknown command %q (%s)", os.Args[1], usage)
	}
}

// parse returns the command and its arguments.
func parse(args []string) (command []string) {
	if len(args) == 0 || args[0] == "" {
		fail(2, "no command to run (%s)", usage)
	}
	return args
}

// parent starts this program again: /proc/self/exe (proc(5)) is the file that is running.
func parent(args []string) {
	parse(args)
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, args...)...)
	status, err := run(cmd)
	must(err, "start child")
	os.Exit(status)
}

// child starts the command.
func child(args []string) {
	command := parse(args)
	cmd := exec.Command(command[0], command[1:]...)
	status, err := run(cmd)
	if err != nil {
		fail(status, "exec %q: %v", command[0], err)
	}
	os.Exit(status)
}
