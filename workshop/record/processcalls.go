//go:build linux

package record

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// processCalls make processes and namespaces, and execute programs.
var processCalls = []callKind{
	{number: unix.SYS_CLONE, name: "clone", man: "clone(2)", decode: decodeClone},
	{number: unix.SYS_CLONE3, name: "clone3", man: "clone(2)", decode: decodeClone3},
	{
		number: unix.SYS_UNSHARE, name: "unshare", man: "unshare(2)", decode: decodeUnshare,
		looks: lookProcess | lookRights,
	},
	{
		number: unix.SYS_SETNS, name: "setns", man: "setns(2)", decode: decodeSetns,
		looks: lookProcess | lookRights | lookMounts,
	},
	{
		number: unix.SYS_EXECVE, name: "execve", man: "execve(2)", decode: decodeExecve,
		looks: lookProcess,
	},
	{
		number: unix.SYS_EXECVEAT, name: "execveat", man: "execveat(2)", decode: decodeExecveat,
		looks: lookProcess,
	},
	{
		number: unix.SYS_SETSID, name: "setsid", man: "setsid(2)", decode: decodeSetsid,
		looks: lookProcess,
	},
	{number: unix.SYS_PTRACE, name: "ptrace", man: "ptrace(2)", decode: decodePtrace},
	{
		number: unix.SYS_CLOSE_RANGE, name: "close_range", man: "close_range(2)",
		decode: decodeCloseRange,
	},
	{
		number: unix.SYS_SETHOSTNAME, name: "sethostname", man: "sethostname(2)",
		decode: decodeSethostname, looks: lookHostname,
	},
	{
		number: unix.SYS_SETDOMAINNAME, name: "setdomainname", man: "setdomainname(2)",
		decode: decodeSetdomainname,
	},
}

// namespaceFlags are the kinds of namespaces, with their names in /proc/PID/ns. That of time is not
// a flag of clone(2): there the bit belongs to the exit signal.
var namespaceFlags = []struct {
	bit        uint64
	name, flag string
}{
	{unix.CLONE_NEWUSER, "user", "CLONE_NEWUSER"},
	{unix.CLONE_NEWUTS, "uts", "CLONE_NEWUTS"},
	{unix.CLONE_NEWPID, "pid", "CLONE_NEWPID"},
	{unix.CLONE_NEWNS, "mnt", "CLONE_NEWNS"},
	{unix.CLONE_NEWIPC, "ipc", "CLONE_NEWIPC"},
	{unix.CLONE_NEWNET, "net", "CLONE_NEWNET"},
	{unix.CLONE_NEWCGROUP, "cgroup", "CLONE_NEWCGROUP"},
	{unix.CLONE_NEWTIME, "time", "CLONE_NEWTIME"},
}

// namespaceNames are the kinds of namespaces that flags ask for.
func namespaceNames(flags uint64) (names []string) {
	for _, ns := range namespaceFlags {
		if flags&ns.bit != 0 {
			names = append(names, ns.name)
		}
	}
	return names
}

// cloneFlags are those of clone(2), clone3(2) and unshare(2) that are told.
var cloneFlags = append([]flag{
	{unix.CLONE_VM, "CLONE_VM"},
	{unix.CLONE_FS, "CLONE_FS"},
	{unix.CLONE_FILES, "CLONE_FILES"},
	{unix.CLONE_SIGHAND, "CLONE_SIGHAND"},
	{unix.CLONE_PIDFD, "CLONE_PIDFD"},
	{unix.CLONE_PTRACE, "CLONE_PTRACE"},
	{unix.CLONE_VFORK, "CLONE_VFORK"},
	{unix.CLONE_PARENT, "CLONE_PARENT"},
	{unix.CLONE_SYSVSEM, "CLONE_SYSVSEM"},
	{unix.CLONE_SETTLS, "CLONE_SETTLS"},
	{unix.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
	{unix.CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
	{unix.CLONE_UNTRACED, "CLONE_UNTRACED"},
	{unix.CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"},
	{unix.CLONE_IO, "CLONE_IO"},
	{unix.CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"},
	{unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
}, newFlags()...)

func newFlags() (flags []flag) {
	for _, ns := range namespaceFlags {
		flags = append(flags, flag{ns.bit, ns.flag})
	}
	return flags
}

// withSignal names the flags of a clone, and the signal that the parent gets when the child ends.
func withSignal(flags, signal uint64) string {
	if signal == 0 {
		return flagNames(flags, cloneFlags)
	}
	name := unix.SignalName(unix.Signal(signal))
	if flags == 0 {
		return name
	}
	return flagNames(flags, cloneFlags) + "|" + name
}

func decodeClone(c *call) bool {
	const signalBits = 0xff
	c.cloned(c.raw[0]&^signalBits, c.raw[0]&signalBits)
	return true
}

// decodeClone3 reads struct clone_args.
func decodeClone3(c *call) bool {
	const flagsAt, signalAt, cgroupAt = 0, 32, 80
	args := structure(c.memory(c.raw[0], int(min(c.raw[1], 88))))
	flags := args.u64(flagsAt)
	if flags&unix.CLONE_THREAD != 0 {
		return false
	}
	c.cloned(flags, args.u64(signalAt))
	if flags&unix.CLONE_INTO_CGROUP != 0 {
		cgroup := c.file(int(args.u64(cgroupAt)))
		c.arg("cgroup", cgroup)
		c.words += ", and in the cgroup " + filepath.Base(cgroup)
		c.looks |= lookCgroups
	}
	return true
}

func (c *call) cloned(flags, signal uint64) {
	c.arg("flags", withSignal(flags, signal))
	names := namespaceNames(flags)
	switch {
	case len(names) > 0:
		c.words = "a child begins in " + newNamespaces(names)
		c.key = "clone " + strings.Join(sorted(names), " ")
		c.about = strings.Join(names, " ")
	case flags&unix.CLONE_VM != 0:
		c.words = "a child begins, in the memory of its parent until it executes a program"
		c.key = "fork"
	default:
		c.words = "a copy of the process begins"
		c.key = "fork"
	}
	if flags&unix.CLONE_PARENT != 0 {
		c.words += "; its parent is the parent of the process"
	}
}

// newNamespaces are the words for namespaces of these kinds.
func newNamespaces(names []string) string {
	if len(names) == 1 {
		return "a new namespace of its own: " + names[0]
	}
	return "new namespaces of its own: " + list(names)
}

func decodeUnshare(c *call) bool {
	flags := c.raw[0]
	names := namespaceNames(flags)
	c.arg("flags", flagNames(flags, cloneFlags))
	c.about = strings.Join(names, " ")
	switch {
	case flags == 0:
		return false
	case len(names) == 0:
		c.words = "the thread no longer shares " + flagNames(flags, cloneFlags)
	default:
		c.words = unshared(flags)
	}
	c.key = "unshare " + strings.Join(sorted(names), " ")
	if flags&unix.CLONE_NEWNS != 0 {
		c.looks |= lookMounts
	}
	return true
}

// unshared are the words for new namespaces. Two kinds are for children alone: no process can
// change its own number, or its clocks.
func unshared(flags uint64) string {
	const ofChildren = unix.CLONE_NEWPID | unix.CLONE_NEWTIME
	own, childrens := namespaceNames(flags&^ofChildren), namespaceNames(flags&ofChildren)
	switch {
	case len(own) == 0:
		return "the children that come are in a new namespace: " + list(childrens)
	case len(childrens) == 0:
		return "the process moves to " + newNamespaces(own)
	}
	return "the process moves to " + newNamespaces(own) +
		"; only the children that come are in a new one of " + list(childrens)
}

func decodeSetns(c *call) bool {
	file := c.file(c.number(0))
	c.arg("fd", file)
	names := namespaceNames(c.raw[1])
	if len(names) > 0 {
		c.arg("nstype", flagNames(c.raw[1], cloneFlags))
	}
	kind, _, ok := strings.Cut(file, ":[")
	if ok && len(names) == 0 {
		names = []string{kind}
	}
	entersPID := slices.Contains(names, "pid")
	switch {
	case ok && entersPID:
		c.words = "the children that come are in the namespace " + file
	case ok:
		c.words = "the process enters the namespace " + file
	default:
		c.words = "the process enters the namespaces of another process: " + list(names)
		if entersPID {
			c.words += "; only the children that come are in that of pid"
		}
	}
	c.key = "setns " + strings.Join(sorted(names), " ")
	c.about = strings.Join(names, " ")
	return true
}

func decodeExecve(c *call) bool {
	c.executes(unix.AT_FDCWD, c.text(0), c.raw[1])
	return true
}

// decodeExecveat knows the program itself by its file: it may be open by way of a mount without a
// place, and have no path then.
func decodeExecveat(c *call) bool {
	path := c.text(1)
	if path == "" {
		fd := c.number(0)
		path = c.file(fd)
		open, err := os.Stat(c.proc("fd/" + strconv.Itoa(fd)))
		if self, selfErr := os.Stat(c.proc("exe")); err == nil && selfErr == nil &&
			os.SameFile(open, self) {
			path = ownProgram
		}
	}
	c.executes(c.number(0), path, c.raw[2])
	return true
}

const ownProgram = "/proc/self/exe"

func (c *call) executes(dir int, path string, argv uint64) {
	args := ptrace.ReadTexts(c.thread.tid, argv)
	c.arg("path", c.shown(dir, path))
	c.arg("argv", strings.Join(args, " "))
	c.words = "the process becomes the program " + quoted(path)
	c.key = "execve " + filepath.Base(path)
	if path == ownProgram {
		c.words = "the process becomes its own program once more, from the start"
		c.key = "execve itself"
	}
}

func decodeSetsid(c *call) bool {
	c.words = "a new session, without a terminal yet"
	return true
}

// decodePtrace tells of the requests that begin to follow a process.
func decodePtrace(c *call) bool {
	c.ifRefused = "no program can follow another one with ptrace(2) here: the recorder follows all"
	c.key = "ptrace"
	if c.raw[0] == unix.PTRACE_TRACEME {
		c.arg("request", "PTRACE_TRACEME")
		c.words = "the parent follows what the process does"
		return true
	}
	request := "PTRACE_ATTACH"
	if c.raw[0] == unix.PTRACE_SEIZE {
		request = "PTRACE_SEIZE"
	}
	pid := strconv.Itoa(c.pidOf(c.number(1)))
	c.arg("request", request)
	c.arg("pid", pid)
	c.words = "the process follows what process " + pid + " does"
	return true
}

func decodeCloseRange(c *call) bool {
	const cloexec = 4 // CLOSE_RANGE_CLOEXEC
	last := strconv.FormatUint(c.raw[1], 10)
	if uint32(c.raw[1]) == ^uint32(0) {
		last = "the last"
	}
	first := strconv.FormatUint(c.raw[0], 10)
	c.arg("first", first)
	c.arg("last", last)
	c.words = fmt.Sprintf("the open files from %s to %s are closed", first, last)
	if c.raw[2]&cloexec != 0 {
		c.arg("flags", "CLOSE_RANGE_CLOEXEC")
		c.words += " when the next program is executed"
	}
	return true
}

func decodeSethostname(c *call) bool {
	name := string(c.memory(c.raw[0], int(min(c.raw[1], 65))))
	c.arg("name", name)
	c.words = "the hostname becomes " + quoted(name)
	c.about = name
	return true
}

func decodeSetdomainname(c *call) bool {
	name := string(c.memory(c.raw[0], int(min(c.raw[1], 65))))
	c.arg("name", name)
	c.words = "the name of the NIS domain becomes " + quoted(name)
	return true
}
