//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ownPipes gives the pipes among the standard streams to a user, so that the command may open /dev/stdout:
// to open it once more, by proc_pid_fd(5), asks for the rights of the file. Files that have a name are left alone.
// The parent does it for root of the container, and the child for another user.
func ownPipes(uid, gid int) error {
	for fd := range 3 {
		var stat unix.Stat_t
		if !isOn(fd, unix.PIPEFS_MAGIC) || unix.Fstat(fd, &stat) != nil || int(stat.Uid) == uid {
			continue
		}
		if err := unix.Fchown(fd, uid, gid); err != nil && !errors.Is(err, unix.EPERM) { // it is somebody else's
			return fmt.Errorf("chown standard stream %d: %w", fd, err)
		}
	}
	return nil
}
