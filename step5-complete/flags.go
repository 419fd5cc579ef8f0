//go:build linux

package main

import (
	"flag"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

const usage = "usage: container run [-ns LIST] [-hostname NAME] [-rootfs DIR] " +
	"[-memory SIZE] [-pids N] [-cpus N] " +
	"[-user UID[:GID]] " + // d
	"[-tty] " + // g
	"[-net none|bridge] " + // h
	"CMD [ARG...]"

// defaultNamespaces are those that a container gets without -ns.
var defaultNamespaces = strings.Join([]string{
	"uts,pid,mnt",
	"ipc,cgroup", // b
	"net",        // b h
	"user",       // f
}, ",")

var (
	ns       = flag.String("ns", defaultNamespaces, "namespaces to make")
	hostname = flag.String("hostname", "container", "host name in the uts namespace")
	rootfs   = flag.String("rootfs", "rootfs", "directory that becomes / in the mnt namespace")
)

// The eight namespaces(7), by the names of their links in /proc/PID/ns.
var namespaces = map[string]uintptr{
	"uts":    unix.CLONE_NEWUTS,
	"pid":    unix.CLONE_NEWPID,
	"mnt":    unix.CLONE_NEWNS,
	"ipc":    unix.CLONE_NEWIPC,
	"net":    unix.CLONE_NEWNET,
	"user":   unix.CLONE_NEWUSER,
	"cgroup": unix.CLONE_NEWCGROUP,
	"time":   unix.CLONE_NEWTIME,
}

// parse returns the flags of clone(2) for the namespaces in -ns, and the command and its arguments.
func parse(args []string) (cloneFlags uintptr, command []string) {
	flag.CommandLine.Init("container", flag.ContinueOnError)
	flag.CommandLine.SetOutput(io.Discard) // fail prints the error, in one line
	flag.Func("memory", "bytes, as in 64M", setMemory)
	flag.Func("pids", "processes and threads", setPids)
	flag.Func("cpus", "processors, as in 0.5", setCPUs)
	if err := flag.CommandLine.Parse(args); err != nil {
		fail(2, "%v (%s)", err, usage)
	}
	for name := range strings.SplitSeq(*ns, ",") {
		if namespaces[name] == 0 {
			fail(2, "-ns %q: unknown namespace %q (%s)", *ns, name, usage)
		}
		cloneFlags |= namespaces[name]
	}
	if flag.Arg(0) == "" {
		fail(2, "no command to run (%s)", usage)
	}
	return cloneFlags, flag.Args()
}
