//go:build linux

package main

// Chapter b: /dev, /sys and what /proc gives away. A program expects /dev/null to swallow and /sys
// to be there. What in /proc and /sys is still the host's (masks.go) is hidden, or read-only.

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

const noSuidExecDev = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV

// mounts are the file systems of a container besides its root and proc, with the flags that they
// have in a Docker container (mount(2)).
var mounts = []struct {
	fstype, target string
	flags          uintptr
	data           string
	shows          uintptr // the kind of namespace whose objects are seen in it
}{
	{
		fstype: "sysfs",
		target: "/sys",
		flags:  noSuidExecDev | unix.MS_RDONLY, // the files change the kernel, which is the host's
		shows:  unix.CLONE_NEWNET,
	},
	{
		fstype: "tmpfs",
		target: "/dev",
		flags:  unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME,
		data:   "mode=755,size=65536k",
	},
	{
		fstype: "tmpfs", // for shm_open(3)
		target: "/dev/shm",
		flags:  noSuidExecDev,
		data:   "mode=1777,size=65536k",
	},
	{
		fstype: "mqueue",
		target: "/dev/mqueue",
		flags:  noSuidExecDev,
		shows:  unix.CLONE_NEWIPC,
	},
}

// mountKernel mounts them. A file system that would show a namespace of the host is left out.
func mountKernel(cloneFlags uintptr) {
	for _, m := range mounts {
		if m.shows&^cloneFlags != 0 {
			continue
		}
		must(os.MkdirAll(m.target, 0o755), "mount %s", m.fstype)
		err := unix.Mount(m.fstype, m.target, m.fstype, m.flags, m.data)
		must(err, "mount %s on %s", m.fstype, m.target)
	}
}

// deviceNames are the devices that every container has. They are harmless to the host.
var deviceNames = []string{"null", "zero", "full", "random", "urandom", "tty"}

// openDevices opens the host's devices as mounts that have no place yet (open_tree(2)). In a user
// namespace mknod(2) makes no devices.
func openDevices() (trees []int) {
	for _, name := range deviceNames {
		tree, err := unix.OpenTree(unix.AT_FDCWD, "/dev/"+name, unix.OPEN_TREE_CLONE)
		must(err, "open_tree /dev/%s", name)
		trees = append(trees, tree)
	}
	return trees
}

// mountDev gives the devices their places in /dev, and makes the usual links there.
func mountDev(trees []int) {
	for i, name := range deviceNames {
		device := "/dev/" + name
		must(os.WriteFile(device, nil, 0o666), "make")
		const flags = unix.MOVE_MOUNT_F_EMPTY_PATH
		must(unix.MoveMount(trees[i], "", unix.AT_FDCWD, device, flags), "move_mount %s", device)
	}
	must(os.Symlink("/proc/self/fd", "/dev/fd"), "make")
	must(os.Symlink("/proc/self/fd/0", "/dev/stdin"), "make")
	must(os.Symlink("/proc/self/fd/1", "/dev/stdout"), "make")
	must(os.Symlink("/proc/self/fd/2", "/dev/stderr"), "make")
}

// hidePaths covers what is masked, a directory by an empty one and a file by /dev/null, and makes
// the rest read-only. No kernel has all of these paths.
func hidePaths() {
	for _, path := range slices.DeleteFunc(masked, isMissing) {
		const flags = noSuidExecDev | unix.MS_RDONLY
		err := unix.Mount("tmpfs", path, "tmpfs", flags, "size=0,nr_inodes=1")
		if errors.Is(err, unix.ENOTDIR) {
			err = unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		}
		must(err, "mask %s", path)
	}
	for _, path := range slices.DeleteFunc(readOnly, isMissing) {
		// "Read-only" is a property of a mount, and so the path has to become one first.
		must(unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""), "bind %s", path)
		attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		must(unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, attr), "read-only %s", path)
	}
}

func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}
