//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// enterRootfs makes the rootfs the root of the mount namespace and furnishes it. What else is mounted is
// mounted after pivot_root(2), when nothing leads out of it any more.
func enterRootfs(j *job) (err error) {
	if !has(unix.CLONE_NEWNS) {
		return nil
	}
	trees := j.trees
	if len(trees) == 0 {
		if trees, err = openTrees(-1); err != nil {
			return err
		}
	}
	// Where / is shared, as on every systemd host, mounts made here would appear there (mount_namespaces(7)).
	// And from here on nothing of the host's can be written to.
	trace("mount_setattr / private,ro recursive")
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, attr); err != nil {
		return fmt.Errorf("make %q private and read-only: %w", "/", err)
	}
	host, err := openHost()
	if err != nil {
		return err
	}
	mounts := mountList()
	root, err := assembleRoot(trees)
	if err != nil {
		return err
	}
	names, err := writeNames(j)
	if err != nil {
		return err
	}
	if err := pivotRoot(root); err != nil {
		return err
	}
	if err := furnish(mounts, host); err != nil {
		return err
	}
	if err := host.unmount(); err != nil {
		return err
	}
	return share(names, trees[len(trees)-len(volumes):])
}

// furnish mounts what a root file system lacks, and hides what it must not show.
func furnish(mounts []mount, host *host) error {
	if err := mountAll(mounts, host); err != nil {
		return err
	}
	if err := makeDevices(host); err != nil {
		return err
	}
	return hidePaths()
}

// share mounts what may come from anywhere, last of all: no mask and no device is looked up by a path any more that it
// could change, and the root of the host is closed.
func share(names, volumes []int) error {
	if err := bindNames(names); err != nil {
		return err
	}
	if err := mountVolumes(volumes); err != nil {
		return err
	}
	if !*readOnlyRoot {
		return nil
	}
	trace("mount_setattr / ro")
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make %q read-only: %w", "/", err)
	}
	return nil
}

// pivotRoot makes dir the root of the mount namespace. The old root comes to lie on top of the new one,
// where only the path "." leads to it (pivot_root(2), notes).
func pivotRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("rootfs %q: %w", *rootfs, err)
	}
	trace("pivot_root %s", dir)
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root %q: %w", *rootfs, err)
	}
	return nil
}
