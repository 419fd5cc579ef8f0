//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// enterRootfs makes dir the root of the mount namespace and furnishes it. The file systems are mounted
// after pivot_root(2): whatever symbolic links the root file system has, none leads out of it any more.
func enterRootfs(dir string) error {
	// Where / is shared, as on every systemd host, mounts made here would appear there (mount_namespaces(7)).
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make %q private: %w", "/", err)
	}
	host, err := openHost()
	if err != nil {
		return err
	}
	defer host.close()
	mounts := mountList()
	if err := pivotRoot(dir); err != nil {
		return err
	}
	if err := mountAll(mounts, host); err != nil {
		return err
	}
	// The old root goes last: in a user namespace the kernel allows a new proc or sysfs only as long as one
	// is in sight that shows as much (mount_too_revealing in its fs/namespace.c).
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount old root %q: %w", "/", err)
	}
	return nil
}

// pivotRoot makes dir the root of the mount namespace. The old root comes to lie on top of the new one,
// where only the path "." leads to it (pivot_root(2), notes).
func pivotRoot(dir string) error {
	// Only a mount point can become the root: a bind mount of the directory on itself is one.
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("rootfs %q: %w (make one with scripts/mkrootfs.sh)", dir, err)
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("rootfs %q: %w", dir, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root %q: %w", dir, err)
	}
	return nil
}
