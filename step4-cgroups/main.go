//go:build linux

// Step 4: control groups. The container may use only so much memory, so much of the processors and so
// many processes: see cgroups.go.
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
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The eight namespaces(7), by the names of their links in /proc/PID/ns.
var namespaces = map[string]uintptr{
	"uts": unix.CLONE_NEWUTS, "pid": unix.CLONE_NEWPID, "mnt": unix.CLONE_NEWNS, "ipc": unix.CLONE_NEWIPC,
	"net": unix.CLONE_NEWNET, "user": unix.CLONE_NEWUSER, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
}

var (
	ns       = flag.String("ns", "uts,pid,mnt", "namespaces to make")
	hostname = flag.String("hostname", "container", "host name in the uts namespace")
	rootfs   = flag.String("rootfs", "rootfs", "directory that becomes / in the mnt namespace")
)

// signals are those that the command is to get.
var signals = make(chan os.Signal, 8)

// main runs twice, first as parent and then as child, and parses the same flags both times.
func main() {
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	flag.CommandLine.Init("container", flag.ContinueOnError)
	flag.CommandLine.SetOutput(io.Discard) // must prints errors
	flags, err := uintptr(0), flag.CommandLine.Parse(os.Args[min(2, len(os.Args)):])
	for name := range strings.SplitSeq(*ns, ",") {
		if namespaces[name] == 0 {
			err = fmt.Errorf("-ns %q: unknown namespace %q", *ns, name)
		}
		flags |= namespaces[name]
	}
	stage := map[string]func(uintptr){"run": parent, "child": child}[os.Args[min(1, len(os.Args)-1)]]
	if err == nil && (stage == nil || flag.Arg(0) == "") {
		err = errors.New("no command")
	}
	must(2, err, "usage: container run [-ns LIST] [-hostname NAME] [-rootfs DIR] [-memory SIZE] [-pids N] [-cpus N] CMD [ARG...]")
	stage(flags)
}

// parent starts this program again: clone(2) makes the namespaces, and the child is born in them.
func parent(flags uintptr) {
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, os.Args[2:]...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags &^ (unix.CLONE_NEWTIME | unix.CLONE_NEWCGROUP)}
	if flags&unix.CLONE_NEWUSER != 0 { // user_namespaces(7): root inside is the caller outside
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	status, err := runLimited(cmd)
	must(125, errors.Unwrap(err), "clone %s (by root, or with user)", *ns)
	os.Exit(status)
}

// child is process 1 of the container: it changes what the new namespaces copied from the host, then
// starts the command.
func child(flags uintptr) {
	joinCgroup()
	if flags&unix.CLONE_NEWUTS != 0 {
		must(125, unix.Sethostname([]byte(*hostname)), "sethostname %q", *hostname)
	}
	if flags&unix.CLONE_NEWNS != 0 {
		// Where / is shared, as on every systemd host, mounts made here would appear there (mount_namespaces(7)).
		must(125, unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""), "make / private")
		pivotRoot(*rootfs)
	}
	// A cgroup namespace takes the cgroup of its maker for its root, so it waits until there is one. A time
	// namespace cannot be cloned: in clone(2) its bit belongs to the exit signal. Both belong to this thread.
	runtime.LockOSThread()
	must(125, unix.Unshare(int(flags&(unix.CLONE_NEWTIME|unix.CLONE_NEWCGROUP))), "unshare %s", *ns)
	status, err := run(exec.Command(flag.Arg(0), flag.Args()[1:]...))
	must(status, errors.Unwrap(err), "exec %q", flag.Arg(0))
	os.Exit(status)
}

// pivotRoot makes dir the root of the mount namespace.
func pivotRoot(dir string) {
	// pivot_root(2) takes only a mount point: a bind mount of the directory on itself is one.
	must(125, unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""), "rootfs %q (make one with scripts/mkrootfs.sh)", dir)
	must(125, unix.Chdir(dir), "rootfs %q", dir)
	// With "." for both, the old root comes to lie on top of the new one: no directory is needed to put it in.
	must(125, unix.PivotRoot(".", "."), "pivot_root %q", dir)
	must(125, unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""), "mount proc on /proc")
	must(125, unix.Unmount(".", unix.MNT_DETACH), "unmount the old root")
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
