//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// source is what a container takes from the host: the rootfs, the directory of -keep, and volumes.
type source struct {
	what, path string // for errors: rootfs, keep or volume
	readOnly   bool
	recursive  bool // with what is mounted below it
	idmapped   bool // its files have the same owners inside as outside
}

func sources() []source {
	all := []source{{"rootfs", *rootfs, false, *layers == "bind", true}}
	if *keep != "" {
		all = append(all, source{"keep", *keep, false, false, false})
	}
	for _, v := range volumes {
		all = append(all, source{"volume", v.source, v.readOnly, true, true})
	}
	return all
}

// openTreesFor opens the sources in place of the child where only root of the host can: to idmap them, or
// because nobody else may enter the directories above them.
func openTreesFor(pid int) (trees []int, err error) {
	if err := takeKept(); err != nil {
		return nil, err
	}
	if !has(unix.CLONE_NEWNS) || !has(unix.CLONE_NEWUSER) || !hasRange() {
		return nil, nil
	}
	userns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open user namespace: %w", err)
	}
	defer unix.Close(userns)
	return openTrees(userns)
}

// openTrees makes a detached mount of each source (open_tree(2)), with idmapping for userns if that is not -1.
func openTrees(userns int) (trees []int, err error) {
	for _, s := range sources() {
		fd, err := s.open(userns)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", s.what, s.path, err)
		}
		trees = append(trees, fd)
	}
	return trees, nil
}

func (s source) open(userns int) (fd int, err error) {
	fd, err = unix.OpenTree(unix.AT_FDCWD, s.path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|s.recursion())
	switch {
	case s.what == "rootfs" && errors.Is(err, os.ErrNotExist):
		return -1, fmt.Errorf("%w (make one with scripts/mkrootfs.sh)", err)
	case s.what == "rootfs" && errors.Is(err, unix.EINVAL): // a user namespace keeps mounts together: mount_namespaces(7)
		return -1, fmt.Errorf("%w (without root, what is mounted below it cannot be left out: use -layers bind)", err)
	case err != nil:
		return -1, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return -1, err
	}
	if s.what == "rootfs" && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return -1, unix.ENOTDIR
	}
	return s.setAttributes(fd, userns)
}

func (s source) recursion() uint {
	if s.recursive {
		return unix.AT_RECURSIVE
	}
	return 0
}
