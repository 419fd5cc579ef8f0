//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// setAttributes restricts the detached mount of a source, and gives its files other owners (mount_setattr(2)). It returns
// the mount to use instead.
func (s source) setAttributes(fd, userns int) (int, error) {
	// No device works that lies around in there, and what is mounted on the host later does not appear.
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if s.readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if s.idmapped && userns != -1 {
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(userns)
	}
	trace("open_tree %s, mount_setattr %s", s.path, attrNames(attr.Attr_set))
	err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|s.recursion(), attr)
	if err == nil {
		return fd, nil
	}
	// Its file system does not know idmapped mounts, or belongs to a user namespace above (as in a container).
	hint := ""
	if attr.Attr_set&unix.MOUNT_ATTR_IDMAP != 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM)) {
		if s.what == "rootfs" && *layers != "bind" {
			trace("copy %s, with other owners", s.path)
			return shiftedCopy(fd)
		}
		hint = " (no idmapped mount of it or of what is mounted below: use -ns without user)"
	}
	return -1, fmt.Errorf("mount_setattr %s: %w%s", attrNames(attr.Attr_set), err, hint)
}

func attrNames(attr uint64) (names string) {
	names = "nodev"
	if attr&unix.MOUNT_ATTR_RDONLY != 0 {
		names += ",ro"
	}
	if attr&unix.MOUNT_ATTR_IDMAP != 0 {
		names += ",idmap"
	}
	return names
}

// shiftedCopy copies the mount of a root file system, and so nothing that is mounted below it, to a tmpfs with the owners
// that the user namespace has for them, and returns that as a detached mount. It is gone when nobody uses it any more.
func shiftedCopy(rootfs int) (fd int, err error) {
	defer unix.Close(rootfs)
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen tmpfs: %w", err)
	}
	defer unix.Close(fs)
	if err = unix.FsconfigCreate(fs); err == nil {
		fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	}
	if err != nil {
		return -1, fmt.Errorf("fsmount tmpfs: %w", err)
	}
	uids, gids := idMaps()
	return fd, copyTree(fdPath(rootfs), fdPath(fd), func(uid, gid uint32) (int, int) {
		return uids.onHost(uid), gids.onHost(gid)
	})
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
