//go:build linux

// The runtime: what the lessons grow into when nothing may go wrong. A container is a value, which
// the flags make, and making it is a list of system calls, which the packages write and one loop
// makes. README.md is the map.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

const usage = "container run|plan|spec [FLAG...] CMD [ARG...] (container -h explains the flags)"

// The exit statuses of a runtime, besides the command's own.
const (
	statusUsage         = 2
	statusFailed        = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

func main() {
	status, err := statusNotExecutable, errors.New("exec: leads to the runtime's own program")
	if isLedTo() && (len(os.Args) < 2 || os.Args[1] != "child") {
		time.Sleep(time.Second) // the runtime ends this process, and says why
	} else {
		status, err = dispatch(os.Args[1:])
	}
	if err != nil {
		// One line, whatever errors.Join made of several errors.
		text := strings.ReplaceAll(err.Error(), "\n", "; ")
		if errors.Is(err, unix.EMFILE) { // whatever it was that was to be opened
			text += " (ulimit nofile of the caller)"
		}
		fmt.Fprintln(files.Stderr, "container:", text)
		status = cmp.Or(status, statusFailed)
	}
	os.Exit(status)
}

func dispatch(args []string) (status int, err error) {
	if len(args) == 0 {
		return statusUsage, errors.New("usage: " + usage)
	}
	switch args[0] {
	case "run":
		return withFlags(args[1:], run)
	case "plan":
		return withFlags(args[1:], printPlan)
	case "spec":
		return withFlags(args[1:], printSpec)
	case "child":
		return child(args[1:])
	case "-h", "-help", "--help":
		return 0, help()
	}
	return statusUsage, fmt.Errorf("usage: unknown subcommand %q: %s", args[0], usage)
}

// withFlags does with the container that the flags ask for what do says.
func withFlags(args []string, do func(*request) (int, error)) (status int, err error) {
	r, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, help()
	}
	if err != nil {
		return statusUsage, fmt.Errorf("usage: %w", err)
	}
	if status, err := r.takeImage(); err != nil {
		return status, err
	}
	defer r.closeImage()
	return do(r)
}
