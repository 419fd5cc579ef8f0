//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// host is the root of the host, open from before pivot_root until the old root is unmounted.
type host struct{ root int }

func openHost() (*host, error) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", "/", err)
	}
	return &host{root}, nil
}

// clone makes a detached bind mount of a file or directory of the host (open_tree(2)).
func (h *host) clone(path string) (fd int, err error) {
	return unix.OpenTree(h.root, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
}

// unmount unmounts the old root, and leaves nothing open that leads there. It does so after the file systems of the
// container are mounted: in a user namespace the kernel allows a new proc or sysfs only as long as one is in sight that
// shows as much (mount_too_revealing in its fs/namespace.c).
func (h *host) unmount() error {
	trace("umount2 old root, detach")
	defer unix.Close(h.root)
	if err := unix.Fchdir(h.root); err != nil {
		return fmt.Errorf("old root %q: %w", "/", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount old root %q: %w", "/", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("new root %q: %w", "/", err)
	}
	return nil
}

// attach mounts what clone returned on a path (move_mount(2)).
func attach(fd int, path string) error {
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// attachTo mounts it on an open file or directory.
func attachTo(fd, target int) error {
	return unix.MoveMount(fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// bind mounts a directory of the host, with all that is mounted below it, on an open one of the container. The first four
// flags of mount(2) have the same values in mount_setattr(2).
func (h *host) bind(path string, target int, flags uintptr) error {
	fd, err := h.clone(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	attr := &unix.MountAttr{Attr_set: uint64(flags & (noSuidExecDev | unix.MS_RDONLY))}
	attr.Attr_clr = unix.MOUNT_ATTR_RDONLY &^ attr.Attr_set // as all is since enterRootfs
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
		return err
	}
	return attachTo(fd, target)
}
