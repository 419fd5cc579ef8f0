//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The eight namespaces(7), by the names of their links in /proc/PID/ns.
var namespaceFlags = map[string]uintptr{
	"uts":    unix.CLONE_NEWUTS,
	"pid":    unix.CLONE_NEWPID,
	"mnt":    unix.CLONE_NEWNS,
	"ipc":    unix.CLONE_NEWIPC,
	"net":    unix.CLONE_NEWNET,
	"user":   unix.CLONE_NEWUSER,
	"cgroup": unix.CLONE_NEWCGROUP,
	"time":   unix.CLONE_NEWTIME,
}

// namespaces has the flags of those to make: all but time.
var namespaces uintptr = unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWNET | unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP

// joinsLate tells whether the child joins its cgroup only after it is born: then it unshares the cgroup
// namespace itself, because that takes the cgroup of its maker for its root (cgroup_namespaces(7)).
func joinsLate() bool { return len(limits) > 0 && !cgroupV2() }

func init() {
	flag.Func("ns", "`LIST` of namespaces to make, of uts, pid, mnt, ipc, net, user, cgroup and time (default all but time)", func(list string) error {
		namespaces = 0
		for name := range strings.SplitSeq(list, ",") {
			if namespaceFlags[name] == 0 {
				return fmt.Errorf("unknown namespace %q", name)
			}
			namespaces |= namespaceFlags[name]
		}
		return nil
	})
}

// has tells whether the container gets a namespace of its own: the flag is one of CLONE_NEW*.
func has(flag uintptr) bool { return namespaces&flag != 0 }

// cloneNamespaces adds to attr the namespaces that the child is born into.
func cloneNamespaces(attr *syscall.SysProcAttr) {
	attr.Cloneflags = namespaces
	if joinsLate() {
		attr.Cloneflags &^= unix.CLONE_NEWCGROUP
	}
	// clone(2) reads that bit as part of the exit signal: see startChild.
	attr.Cloneflags &^= unix.CLONE_NEWTIME
	if has(unix.CLONE_NEWUSER) {
		cloneUserNamespace(attr)
	}
}

// namespaceNames is what the flag -ns would say.
func namespaceNames() string {
	var names []string
	for name, flag := range namespaceFlags {
		if has(flag) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// cloneHint says what to do about an error of clone(2), or of the execve(2) that follows it.
func cloneHint(err error) string {
	switch {
	case errors.Is(err, unix.EPERM) && os.Geteuid() != 0:
		return " (without root it takes user namespaces)"
	case errors.Is(err, unix.EACCES): // root of the container is another user
		return " (others must be allowed to execute this program: chmod go+rx)"
	}
	return ""
}
