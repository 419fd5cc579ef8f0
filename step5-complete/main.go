//go:build linux

// Step 5: what else a real container has, in chapters. Each chapter has a file of its own, and its
// lines in the other files end in its letter.
package main

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// later are the namespaces that clone(2) does not make: see parent and child.
const later = unix.CLONE_NEWTIME | unix.CLONE_NEWCGROUP

// main runs in both processes. The first argument says which of the two this is.
func main() {
	// Some of what we ask the kernel for concerns a single thread: the namespaces of unshare(2),
	// capabilities, and Pdeathsig, which is sent when the thread that started the child ends.
	runtime.LockOSThread()
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

// parent starts this program again: clone(2) makes the namespaces, and the child is born in them.
// From then on errors are returned and not reported at once, because this process has to undo what
// it has made on the host.
func parent(args []string) {
	cloneFlags, _ := parse(args)
	// A process that makes a time namespace stays outside: its children enter (time_namespaces(7)).
	must(unix.Unshare(int(cloneFlags&unix.CLONE_NEWTIME)), "unshare time")
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: cloneFlags &^ later,
		Pdeathsig:  unix.SIGKILL, // the container ends with this process, whatever ends it
	}
	if cloneFlags&unix.CLONE_NEWUSER != 0 {
		mapCaller(cmd.SysProcAttr)
		mapRange(cmd.SysProcAttr) // f
	}
	socket := connect(cmd)
	if _, err := start(cmd); err != nil {
		fail(125, "clone %s: %v (needs root, or user in -ns)", *ns, err)
	}
	cmd.ExtraFiles[0].Close()            // the child has it now
	cgroup := "container-" + rand.Text() // unique on the machine, which a process id is not
	err := prepare(cmd, cgroup, socket)
	if err != nil {
		cmd.Process.Kill()
	}
	terminal := attachTerminal(socket) // g
	status, waitErr := wait(cmd)
	terminal.detach() // g
	if err := errors.Join(err, waitErr, removeCgroup(cgroup)); err != nil {
		fail(125, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	os.Exit(status)
}

// mapCaller makes the caller root of the new user namespace: root inside is the caller outside, and
// nobody else has an id inside (user_namespaces(7)).
func mapCaller(attr *syscall.SysProcAttr) {
	attr.UidMappings = []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: os.Getuid(), Size: 1},
	}
	attr.GidMappings = []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: os.Getgid(), Size: 1},
	}
}

// child is process 1 of the container: it changes what the new namespaces copied from the host,
// gives up what the command is not to have, and becomes the command.
func child(args []string) {
	cloneFlags, command := parse(args)
	waitForParent()
	if cloneFlags&unix.CLONE_NEWUTS != 0 {
		if err := unix.Sethostname([]byte(*hostname)); err != nil {
			fail(125, "sethostname %q: %v (must be at most 64 bytes)", *hostname, err)
		}
	}
	loopbackUp(cloneFlags) // b
	setUpNetwork()         // h
	// The root of a cgroup namespace is the cgroup of its maker, which is the right one by now.
	must(unix.Unshare(int(cloneFlags&unix.CLONE_NEWCGROUP)), "unshare cgroup")
	if cloneFlags&unix.CLONE_NEWNS != 0 {
		// On a host with systemd / is shared: mounts made here would appear there, and mounts made
		// there would appear here (mount_namespaces(7)).
		must(unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""), "make / private")
		pivotRoot(*rootfs, cloneFlags)
	}
	setEnvironment()
	openTerminal() // g
	closeDescriptors()
	dropRights()  // d
	filterCalls() // e
	become(command)
}
