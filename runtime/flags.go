//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/image/store"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/spec"
)

// A request is what the command line asks for: a container, and how it is to be shown.
type request struct {
	*config.Container
	verbose bool   // print the system calls as they are made
	step    bool   // and wait before each
	file    string // the config.json that the container is from, or none
	image   string // the name of the image that the container is from, or none
	opened  *store.Image

	given []string // the names of the flags that were given, in alphabetical order
}

// flags are all flags, with the fields that they set.
func (r *request) flags() *flag.FlagSet {
	c := r.Container
	f := flag.NewFlagSet("container", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors

	f.Func(
		"ns",
		"`LIST` of namespaces: uts, pid, mnt, ipc, net, user, cgroup, time (default all but time)",
		set(&c.Namespaces, config.ParseNamespaces),
	)
	f.StringVar(&c.Hostname, "hostname", "container", "host `NAME` in the uts namespace")

	f.StringVar(&c.Rootfs, "rootfs", "rootfs", "`DIR` that becomes / in the mnt namespace")
	f.Func("image", "`NAME` of an image in place of a rootfs, with its command, "+
		"user and the like, unless flags say otherwise", set(&r.image, parseImage))
	f.StringVar(
		(*string)(&c.Layers),
		"layers",
		"overlay",
		"`HOW` the rootfs is used: overlay (writes go to a layer), copy, snapshot (of Btrfs), "+
			"or bind (written to)",
	)
	f.StringVar(&c.Keep, "keep", "",
		"`DIR` for what the container writes, to be kept and used again")
	f.BoolFunc("read-only", "nothing can be written to the root file system",
		set(&c.ReadOnly, parseBool))
	f.Func("volume", "`SRC:DST[:ro]`, a directory or file of the host for the container",
		appendTo(&c.Volumes, config.ParseVolume))

	f.Func("memory", "`BYTES`, as in 64M: memory and swap", set(&c.Memory, parseSize))
	f.Func("pids", "`N` processes and threads", set(&c.Pids, parseCount))
	f.Func("cpus", "`N` processors, as in 0.5", set(&c.CPUs, parseProcessors))
	f.Func("oom-score-adj",
		"`N` from -1000 to 1000: how readily the kernel kills the command for memory",
		set(&c.OOMScoreAdj, parseAdjustment))

	f.StringVar(&c.User, "user", "0",
		"`UID[:GID]` of the command, or names in the container's passwd(5) and group(5)")
	f.Func("cap-add", "`CAPABILITY` to add, as in NET_ADMIN, or ALL", func(s string) error {
		mask, err := rights.ParseCapability(s)
		c.Capabilities |= mask
		return err
	})
	f.Func("cap-drop", "`CAPABILITY` to take away, or ALL", func(s string) error {
		mask, err := rights.ParseCapability(s)
		c.Capabilities &^= mask
		return err
	})
	f.Func("ulimit", "`NAME=SOFT[:HARD]`, a limit of setrlimit(2) as in nofile=1024, or unlimited",
		appendTo(&c.Ulimits, rights.ParseUlimit))

	f.StringVar((*string)(&c.Network), "net", "none",
		"`NETWORK`: none (a loopback interface), bridge (the other containers and beyond), or host")
	f.BoolFunc("tty",
		"give the command a terminal of its own (default: if all standard streams are one)",
		set(&c.Terminal, parseTerminal))
	f.Func("env", "`NAME=VALUE` in the environment", appendTo(&c.Env, parseVariable))
	f.StringVar(&c.Workdir, "workdir", "", "`DIR` to start the command in (default /)")
	f.BoolFunc("init", "make process 1 a small init that reaps zombies", set(&c.Init, parseBool))

	f.StringVar(&r.file, "config", "",
		"`FILE` in the form of container spec, in place of other flags")
	f.BoolFunc("v", "print the system calls that make the container, with results, on stderr",
		set(&r.verbose, parseBool))
	f.BoolFunc("step", "stop before each of them until a key is pressed",
		set(&r.step, parseBool))
	return f
}

// parse makes the container that the arguments of a subcommand ask for.
func parse(args []string) (r *request, err error) {
	r = &request{Container: &config.Container{
		Namespaces:   config.DefaultNamespaces,
		Capabilities: config.DefaultCapabilities,
	}}
	f := r.flags()
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	f.Visit(func(f *flag.Flag) { r.given = append(r.given, f.Name) })
	if r.isGiven("config") {
		return r, r.load(f.Args())
	}
	r.Command = f.Args()
	// A volume inside another one is mounted later, whatever the order of the flags.
	slices.SortStableFunc(r.Volumes, func(a, b config.Volume) int { return a.Depth() - b.Depth() })
	r.leaveOut()
	if r.isGiven("image") {
		return r, r.leaveToImage()
	}
	return r, r.Check()
}

func (r *request) isGiven(name string) bool { return slices.Contains(r.given, name) }

// leaveOut takes back defaults of flags that were not given and have no meaning without a
// namespace.
func (r *request) leaveOut() {
	c := r.Container
	isDefault := func(name string) bool { return !r.isGiven(name) }
	if !c.Namespaces.Has(unix.CLONE_NEWUTS) && isDefault("hostname") {
		c.Hostname = ""
	}
	if !c.Namespaces.Has(unix.CLONE_NEWNS) && isDefault("rootfs") {
		c.Rootfs = ""
	}
	if !c.Namespaces.Has(unix.CLONE_NEWNS) && isDefault("layers") {
		c.Layers = ""
	}
	if !c.Namespaces.Has(unix.CLONE_NEWNET) && isDefault("net") {
		c.Network = config.HostNetwork
	}
	if c.Network == config.HostNetwork {
		c.Namespaces &^= unix.CLONE_NEWNET
	}
}

// load makes the container of a config.json. A command on the command line is in place of the one
// there.
func (r *request) load(command []string) error {
	for _, name := range r.given {
		if name != "config" && name != "v" && name != "step" {
			return fmt.Errorf("-config: must be without -%s: the file says all", name)
		}
	}
	if r.file == "" {
		return errors.New(`-config "": must be the name of a file`)
	}
	c, err := spec.Load(r.file)
	if err != nil {
		return err
	}
	if len(command) > 0 {
		c.Command = command
	}
	r.Container = c
	return c.Check()
}

// set returns the function of a flag that sets a field.
func set[T any](field *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		value, err := parse(s)
		if err == nil {
			*field = value
		}
		return err
	}
}

// appendTo returns the function of a flag that can be given several times.
func appendTo[T any](field *[]T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		value, err := parse(s)
		*field = append(*field, value)
		return err
	}
}

func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "bBkKmMgG") // in either case, as for Docker
	unit := map[string]int64{
		"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30,
	}[strings.ToUpper(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || unit == 0 || n <= 0 || n > math.MaxInt64/unit {
		return 0, errors.New("must be a number of bytes above 0, as in 64M")
	}
	return n * unit, nil
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New("must be a whole number above 0")
	}
	return n, nil
}

func parseProcessors(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return 0, errors.New("must be a number above 0, as in 0.5")
	}
	return n, nil
}

func parseAdjustment(s string) (*int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, errors.New("must be a whole number")
	}
	return &n, nil
}

func parseTerminal(s string) (config.Terminal, error) {
	wanted, err := parseBool(s)
	if wanted {
		return config.TerminalYes, err
	}
	return config.TerminalNo, err
}

func parseBool(s string) (bool, error) {
	value, err := strconv.ParseBool(s)
	if err != nil {
		return false, errors.New("must be true or false")
	}
	return value, nil
}

func parseVariable(s string) (v config.Variable, err error) {
	name, value, both := strings.Cut(s, "=")
	if name == "" || !both {
		return v, errors.New("must be NAME=VALUE")
	}
	return config.Variable{Name: name, Value: value}, nil
}

// help explains the flags on the standard output.
func help() error {
	r := &request{Container: &config.Container{}}
	f := r.flags()
	f.SetOutput(files.Stdout)
	if _, err := fmt.Fprintln(files.Stdout, "usage: "+usage); err != nil {
		return err
	}
	f.PrintDefaults()
	return nil
}
