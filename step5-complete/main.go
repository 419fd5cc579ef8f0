//go:build linux

// Step 5: everything together, and the rest of what a container needs, one idea a file. The command is
// process 1 now: child makes the container and then becomes the command.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

const usage = "usage: container run|spec [FLAG...] CMD [ARG...] (container -h explains the flags)"

var (
	hostname = flag.String("hostname", "container", "host `NAME` in the uts namespace")
	rootfs   = flag.String("rootfs", "rootfs", "`DIR` that becomes / in the mnt namespace")
	withInit = flag.Bool("init", false, "make process 1 a small init that reaps zombies")
	verbose  = flag.Bool("v", false, "say on stderr what is done, in the kernel's terms")
)

// The exit statuses of a runtime, besides the command's own.
const (
	statusUsage         = 2
	statusFailed        = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

func main() {
	// unshare(2) works on one thread, and the death of one is what Pdeathsig looks at: stay on it.
	runtime.LockOSThread()
	stage, err := parseArgs()
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println(usage)
		flag.CommandLine.SetOutput(os.Stdout)
		flag.PrintDefaults()
		os.Exit(0)
	}
	if err != nil {
		printError(fmt.Errorf("%s: %w", usage, err))
		os.Exit(statusUsage)
	}
	status, err := stage()
	if err != nil {
		printError(err)
	}
	os.Exit(status)
}

// printError prints one line, whatever errors.Join made of several errors.
func printError(err error) {
	fmt.Fprintln(os.Stderr, "container:", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// parseArgs parses the command line, which parent and child have in common, and returns the one to run.
func parseArgs() (stage func() (int, error), err error) {
	flag.CommandLine.Init("container", flag.ContinueOnError)
	flag.CommandLine.SetOutput(io.Discard) // main prints errors
	stages := map[string]func() (int, error){"run": parent, "spec": spec, "child": child, "init": runInit}
	if len(os.Args) == 2 && (os.Args[1] == "-h" || os.Args[1] == "-help" || os.Args[1] == "--help") {
		return nil, flag.ErrHelp
	}
	if len(os.Args) < 2 || stages[os.Args[1]] == nil {
		return nil, errors.New("no subcommand")
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		return nil, err
	}
	if flag.Arg(0) == "" {
		return nil, errors.New("no command")
	}
	return stages[os.Args[1]], checkFlags()
}

// trace says what is done, for -v.
func trace(format string, args ...any) {
	if *verbose {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}
