//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
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
	if int(stat.Uid) == uid && has("upper") && has("work") { // of a container that was here before
		return checkKeptFrom(c, dir)
	}
	begun := int(stat.Uid) == uid && stat.Mode&0o777 == 0o700 &&
		!slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			return !slices.Contains(begunNames, e.Name())
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
	if err := writeKeptFrom(c, dir); err != nil {
		return err
	}
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

// begunNames are what may be in a directory whose preparation was interrupted.
var begunNames = []string{"work", "work.part", "upper.part", KeptFrom, KeptFrom + ".part"}

// KeptFrom is the file in the directory for -keep with the digest of the image of which the
// container is: what is kept is the difference to that.
const KeptFrom = "image"

func writeKeptFrom(c *config.Container, dir int) error {
	if c.Image == "" {
		err := unix.Unlinkat(dir, KeptFrom, 0)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove %q: %w", KeptFrom, err)
		}
		return nil
	}
	const part = KeptFrom + ".part"
	fd, err := unix.Openat(dir, part,
		unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("make %q: %w", KeptFrom, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(c.Image)); err != nil {
		return fmt.Errorf("write %q: %w", KeptFrom, err)
	}
	if err := unix.Renameat(dir, part, dir, KeptFrom); err != nil {
		return fmt.Errorf("rename %q: %w", KeptFrom, err)
	}
	return nil
}

// checkKeptFrom makes sure that the difference is to the image of this container, or to no image.
// What an overlay shows with another layer below is undefined (overlayfs.rst).
func checkKeptFrom(c *config.Container, dir int) error {
	from, err := files.ReadIfExists(fdPath(dir) + "/" + KeptFrom)
	if err != nil {
		return err
	}
	switch from = strings.TrimSpace(from); {
	case from == c.Image:
		return nil
	case from == "":
		return errors.New("is the difference to a rootfs, and not to an image")
	case c.Image == "":
		return fmt.Errorf("is the difference to the image %s, and not to a rootfs", from)
	}
	return fmt.Errorf("is the difference to another image: %s, and not %s", from, c.Image)
}
