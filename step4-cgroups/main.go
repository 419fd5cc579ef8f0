//go:build linux

// Step 4: control groups. The container has limits on memory, processes and processors: limits.go
// has what the flags ask for, and cgroups.go what the kernel is told.
package main

import (
	"crypto/rand"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// later are the namespaces that child makes with unshare(2): clone(2) cannot, or it is too early.
const later = unix.CLONE_NEWTIME | unix.CLONE_NEWCGROUP

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

// parent starts this program again: clone(2) makes the namespaces, and the child is born in them.
func parent(args []string) {
	cloneFlags, _ := parse(args)
	// The name is unique on the machine. A process id is unique only in its pid namespace.
	name := "container-" + rand.Text()
	cmd := exec.Command("/proc/self/exe", append([]string{"child", "-cgroup", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: cloneFlags &^ later,
	}
	if cloneFlags&unix.CLONE_NEWUSER != 0 {
		// Root inside is the caller outside, and nobody else has an id inside (user_namespaces(7)).
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{
			{ContainerID: 0, HostID: os.Getuid(), Size: 1},
		}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{
			{ContainerID: 0, HostID: os.Getgid(), Size: 1},
		}
	}
	status, err := run(cmd)
	removeCgroup(name)
	if err != nil {
		fail(125, "clone %s: %v (needs root, or user in -ns)", *ns, err)
	}
	os.Exit(status)
}

// child is process 1 of the container: it changes what the new namespaces copied from the host, and
// then starts the command.
func child(args []string) {
	name := flag.String("cgroup", "", "name of the cgroup, from parent")
	cloneFlags, command := parse(args)
	joinCgroup(*name)
	if cloneFlags&unix.CLONE_NEWUTS != 0 {
		if err := unix.Sethostname([]byte(*hostname)); err != nil {
			fail(125, "sethostname %q: %v (must be at most 64 bytes)", *hostname, err)
		}
	}
	if cloneFlags&unix.CLONE_NEWNS != 0 {
		// On a host with systemd / is shared: mounts made here would appear there, and mounts made
		// there would appear here (mount_namespaces(7)).
		must(unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""), "make / private")
		pivotRoot(*rootfs)
	}
	// clone(2) cannot make a time namespace: the bit of CLONE_NEWTIME belongs to its exit signal.
	// The root of a cgroup namespace is the cgroup of its maker, so that cgroup has to come first.
	// unshare(2) acts on the calling thread alone, so the same thread has to start the command.
	runtime.LockOSThread()
	must(unix.Unshare(int(cloneFlags&later)), "unshare %s", *ns)
	cmd := exec.Command(command[0], command[1:]...)
	status, err := run(cmd)
	if err != nil {
		fail(status, "exec %q: %v", command[0], err)
	}
	os.Exit(status)
}

// pivotRoot makes dir the root of the mount namespace.
func pivotRoot(dir string) {
	// pivot_root(2) takes only a mount point, and a bind mount of dir on itself is one. With MS_REC
	// the mounts below dir come along.
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		fail(125, "rootfs %q: %v (make one with scripts/mkrootfs.sh)", dir, err)
	}
	must(unix.Chdir(dir), "rootfs %q", dir)
	// With "." for both, the old root lies on top of the new one and needs no directory of its own.
	must(unix.PivotRoot(".", "."), "pivot_root %q", dir)
	// A new proc(5) shows the pid namespace of this process. In a user namespace it can be mounted
	// only while another proc is in sight, such as that of the old root.
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	must(unix.Mount("proc", "/proc", "proc", flags, ""), "mount proc on /proc")
	must(unix.Unmount(".", unix.MNT_DETACH), "unmount the old root")
}
