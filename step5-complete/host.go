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

func (h *host) close() { unix.Close(h.root) }

// clone makes a detached bind mount of a file or directory of the host (open_tree(2)).
func (h *host) clone(path string) (fd int, err error) {
	return unix.OpenTree(h.root, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
}

// attach mounts it on a path of the container (move_mount(2)).
func attach(fd int, target string) error {
	return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// bind mounts a directory of the host, with all that is mounted below it, on a path of the container.
func (h *host) bind(path, target string, readOnly bool) error {
	fd, err := h.clone(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if readOnly {
		attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
			return err
		}
	}
	return attach(fd, target)
}
