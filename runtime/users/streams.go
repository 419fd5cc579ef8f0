//go:build linux

package users

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// The command may want to open /dev/stdout. To open a pipe once more, by proc_pid_fd(5), asks for
// the rights of the file: so the pipes among the standard streams belong to the command. Files that
// have a name are left alone.

// GivePipesToRoot gives the pipes to root of the container.
func GivePipesToRoot(c *config.Container) error {
	uid, gid := RootOnHost(c)
	for fd := range 3 {
		if owner, isPipe := pipeOwner(fd); !isPipe || owner == uid {
			continue
		}
		err := unix.Fchown(fd, uid, gid)
		if err != nil && !errors.Is(err, unix.EPERM) { // it is somebody else's
			return fmt.Errorf("chown standard stream %d: %w", fd, err)
		}
	}
	return nil
}

// GivePipes adds the calls that give the pipes to the user of the command.
func GivePipes(p *plan.Plan, u User) {
	if u.UID == 0 && u.GID == 0 {
		return
	}
	for fd, name := range [...]string{"stdin", "stdout", "stderr"} {
		if _, isPipe := pipeOwner(fd); isPipe {
			p.About("chown", name)
			p.Fchown(p.Open(fd, name), u.UID, u.GID)
			p.Allow(unix.EPERM) // it is somebody else's
		}
	}
}

// pipeOwner tells whether a descriptor is a pipe, and whose.
func pipeOwner(fd int) (uid int, isPipe bool) {
	var fs unix.Statfs_t
	var stat unix.Stat_t
	isPipe = unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.PIPEFS_MAGIC &&
		unix.Fstat(fd, &stat) == nil
	return int(stat.Uid), isPipe
}
