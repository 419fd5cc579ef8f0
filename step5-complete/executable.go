//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// executable returns the path of this program for the child to be started by. The container can get at
// the file by /proc/PID/exe, and must not be able to write to it (CVE-2019-5736): so the child is executed
// from a mount that is read-only.
func executable() (path string, mount *os.File, err error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/exe", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errors.Is(err, unix.EPERM) {
		// Without root the child makes it read-only, with all mounts of its namespace: see enterRootfs.
		// That is another mount than the one that /proc/self/exe leads to.
		path, err = os.Executable()
		return path, nil, err
	}
	if err != nil {
		return "", nil, fmt.Errorf("open_tree %q: %w", "/proc/self/exe", err)
	}
	mount = os.NewFile(uintptr(fd), "executable")
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return "", mount, fmt.Errorf("mount_setattr %q: %w", "/proc/self/exe", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", executableFd), mount, nil
}
