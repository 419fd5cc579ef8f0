//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/users"
)

// TakeKept makes the directory for -keep, or takes an empty one, and locks it: flock(2) holds as
// long as this process has it open. It belongs to root of the container, and nobody else on the
// host has a way into it, so that a setuid file of the container is none for the users of the host.
func TakeKept(c *config.Container) error {
	if c.Keep == "" {
		return nil
	}
	if err := takeKept(c); err != nil {
		return fmt.Errorf("keep %q: %w", c.Keep, err)
	}
	return nil
}

func takeKept(c *config.Container) error {
	if err := unix.Mkdir(c.Keep, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	dir, err := unix.Open(c.Keep, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = unix.Flock(dir, unix.LOCK_EX|unix.LOCK_NB)
	// What two overlays do with one upper layer is undefined (overlayfs.rst).
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("in use by another container")
	}
	if err != nil {
		return err
	}
	return prepareKept(c, dir)
}

// prepareKept changes nothing about a directory that may be of use to somebody else. One that
// belongs to root of the container and that nobody else may enter was prepared before, perhaps not
// to the end.
func prepareKept(c *config.Container, dir int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(dir, &stat); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	entries, err := os.ReadDir(fdPath(dir))
	if err != nil {
		return err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == name })
	}
	uid, gid := users.RootOnHost(c)
	if int(stat.Uid) == uid && has("upper") && has("work") {
		return nil // of a container that was here before
	}
	begun := int(stat.Uid) == uid && stat.Mode&0o777 == 0o700 &&
		!slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			return !slices.Contains([]string{"work", "work.part", "upper.part"}, e.Name())
		})
	if !begun && len(entries) > 0 || stat.Mode&0o002 != 0 {
		return errors.New("neither an empty directory of one's own " +
			"nor what a container with the same ids has kept")
	}
	if err := unix.Fchown(dir, uid, gid); err != nil {
		return fmt.Errorf("chown: %w", err)
	}
	if err := unix.Fchmod(dir, 0o700); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	defer unix.Umask(unix.Umask(0))
	mode := uint32(0o755)
	for _, name := range []string{"work", "upper"} {
		if name == "upper" {
			mode = RootMode(c)
		}
		if has(name) {
			continue
		}
		part := name + ".part" // only what is complete has its name (rename(2))
		err := unix.Mkdirat(dir, part, mode)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("mkdir %q: %w", name, err)
		}
		if err := unix.Fchownat(dir, part, uid, gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("chown %q: %w", name, err)
		}
		if err := unix.Renameat(dir, part, dir, name); err != nil {
			return fmt.Errorf("rename %q: %w", name, err)
		}
	}
	return nil
}
