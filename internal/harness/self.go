//go:build linux

package harness

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// execSelf executes this program again, and nobody on the host can change its file by
// /proc/PID/exe. /proc/self/exe itself leads to a mount of the machine, which is writable: chmod(2)
// of /proc/1/exe would change the file there.
func execSelf(environ []string) error {
	fd, err := openSelf()
	if err != nil {
		return err
	}
	return unix.Exec(fmt.Sprint("/proc/self/fd/", fd), os.Args, environ)
}

// openSelf opens this program on a mount of its own that is read-only. If its path does not lead to
// the file any longer, as after go build, or leads to another one because something was mounted
// there, the file is copied into memory.
func openSelf() (fd int, err error) {
	const self = "/proc/self/exe"
	path, err := os.Readlink(self)
	if err != nil {
		return -1, err
	}
	var here, there unix.Stat_t
	if err := unix.Stat(self, &here); err != nil {
		return -1, fmt.Errorf("stat: %w", err)
	}
	fd, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errors.Is(err, unix.ENOENT) {
		return copySelf(self)
	} else if err != nil {
		return -1, fmt.Errorf("open_tree %s: %w", path, err)
	}
	if err := unix.Fstat(fd, &there); err != nil {
		return -1, fmt.Errorf("stat %s: %w", path, err)
	}
	if here.Dev != there.Dev || here.Ino != there.Ino {
		return copySelf(self)
	}
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &readOnly); err != nil {
		return -1, fmt.Errorf("mount_setattr %s: %w", path, err)
	}
	return fd, nil
}

// copySelf copies this program into memory (memfd_create(2)).
func copySelf(self string) (fd int, err error) {
	from, err := os.Open(self)
	if err != nil {
		return -1, err
	}
	defer from.Close()
	memory, err := unix.MemfdCreate("self", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	to := os.NewFile(uintptr(memory), "self")
	_, err = io.Copy(to, from)
	// Executed is another open file: of this one the kernel would say that it is written to.
	fd, openErr := unix.Open(fmt.Sprint("/proc/self/fd/", memory), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, errors.Join(err, openErr, to.Close())
}
