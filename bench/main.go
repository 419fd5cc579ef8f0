//go:build linux

// Command bench measures what a container costs, side by side with other runtimes in one run: the
// time from start to end of one that does nothing, the memory of the runtime while its container
// sleeps, many containers at once, and many in sequence. The ratios are what counts; your
// milliseconds will differ.
//
//	sudo env PATH=$PATH go run ./bench [FLAG...]
//
// With -images it measures what it costs to pull an image instead, and with -record what it costs
// to record the steps.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// options are what the command line asks for.
type options struct {
	rounds   int
	many     []int
	sequence int
	onlyV1   bool
	fifo     bool
	images   bool
	record   bool
	rootfs   string
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors
	f.IntVar(&o.rounds, "n", 100,
		"`N` rounds, each of all contestants in random order (with -images default 5)")
	f.BoolVar(&o.images, "images", false, "measure how images are pulled, and nothing else")
	f.BoolVar(&o.record, "record", false,
		"measure by how much workshop record slows the steps down, and nothing else")
	f.StringVar(&o.rootfs, "rootfs", "",
		"with -images: `DIR` whose files are the image (default what mkrootfs.sh debian makes)")
	f.Func("many", "`LIST` of how many containers at once (default 1,10,50,200)",
		func(s string) (err error) {
			o.many, err = parseNumbers(s)
			return err
		})
	f.IntVar(&o.sequence, "sequence", 1000, "`N` containers one after the other, 0 for none")
	f.BoolVar(&o.onlyV1, "v1", false,
		"hide version 2 of cgroups where both are mounted: crun refuses both at once")
	f.BoolVar(&o.fifo, "fifo", false, "run the first table's containers under SCHED_FIFO: other "+
		"work on the machine disturbs them less; no limit has -cpus then, the kernel refuses it")
	return f
}

func parse(args []string) (o options, err error) {
	o.many = []int{1, 10, 50, 200}
	f := o.flags()
	if err := f.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.images && !given["n"] {
		o.rounds = 5
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	case given["rootfs"] && !o.images:
		return o, errors.New("-rootfs: must be with -images")
	case o.images && (given["many"] || given["sequence"] || o.onlyV1 || o.fifo):
		return o, errors.New("-images: takes -n and -rootfs only")
	case o.record && len(given) > 1 && !(len(given) == 2 && given["n"]):
		return o, errors.New("-record: takes -n only")
	case o.rounds < 1:
		return o, fmt.Errorf("-n %d: must be 1 or more", o.rounds)
	case o.sequence < 0 || o.sequence > 0 && o.sequence < 2*sample:
		return o, fmt.Errorf("-sequence %d: must be 0, or %d and more", o.sequence, 2*sample)
	}
	return o, nil
}

func parseNumbers(list string) (numbers []int, err error) {
	for number := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return nil, errors.New("must be numbers above 0, as in 1,10,50")
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// All processes are started by the first thread, which main runs on by this.
func init() { runtime.LockOSThread() }

func main() {
	o, err := parse(os.Args[1:])
	status := 2
	switch {
	case errors.Is(err, flag.ErrHelp):
		help()
		return
	case err != nil:
		err = fmt.Errorf("%w (bench -h explains the flags)", err)
	default:
		status = 1
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(status)
	}
}

func help() {
	f := (&options{}).flags()
	f.SetOutput(os.Stdout)
	fmt.Println("usage: bench [FLAG...]")
	f.PrintDefaults()
}

// directory is the variable in the environment by which the second of the two processes knows its
// directory, and that it is the second.
const directory = "BENCH_DIR"

// run makes what is measured, and then measures it in another process: in mount and network
// namespaces of its own, so that the machine sees neither the mounts nor the bridge.
func run(o options) (err error) {
	if dir := os.Getenv(directory); dir != "" {
		return measure(o, dir)
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: sudo env PATH=$PATH go run ./bench")
	}
	interrupted := make(chan os.Signal, 1) // they end the other process
	signal.Notify(interrupted, unix.SIGINT, unix.SIGTERM)
	dir, err := os.MkdirTemp("", "container-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // for root of a user namespace
		return err
	}
	unshare, prepare := uintptr(unix.CLONE_NEWNS|unix.CLONE_NEWNET), build
	if o.images { // the registry is on the loopback of this process
		unshare, prepare = unix.CLONE_NEWNS, buildImages
	}
	if o.record {
		unshare, prepare = unix.CLONE_NEWNS, buildRecordings
	}
	if err := prepare(o, dir); err != nil {
		return err
	}
	if len(interrupted) > 0 {
		return errors.New("interrupted")
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), directory+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unshare,
		Pdeathsig:    unix.SIGKILL,
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		os.RemoveAll(dir)
		os.Exit(exit.ExitCode()) // it has said why
	}
	return err
}

// measure makes all measurements and prints them.
func measure(o options, dir string) error {
	if o.images {
		return measureImages(o, dir)
	}
	b, err := newBench(o, dir)
	if err != nil {
		return err
	}
	if o.record {
		return b.recordings()
	}
	if err := b.findContestants(); err != nil {
		return err
	}
	// The first container on the bridge makes it and the last one removes it. This one is there all
	// the time.
	leave, err := b.stayOnBridge()
	if err != nil {
		return err
	}
	defer leave()
	for _, table := range []func() error{b.times, b.memory, b.manyAtOnce, b.inSequence} {
		if err := table(); err != nil {
			return err
		}
	}
	b.targets()
	return nil
}
