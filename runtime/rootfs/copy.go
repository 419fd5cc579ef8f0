//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/users"
)

// CopyOnce copies a tree, or leaves it at the copy that was kept. Only what is complete has its
// name (rename(2)).
func CopyOnce(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	defer unix.Umask(unix.Umask(0)) // the modes are those of the tree
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil { // of a container that was killed
		return err
	}
	defer os.RemoveAll(part) // what has failed takes no room
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	same := func(uid, gid uint32) (int, int) { return int(uid), int(gid) }
	if err := copyTree(from, part, same); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// shiftedCopy copies the mount of a root file system, and so nothing that is mounted below it, to a
// tmpfs with the owners that the user namespace has for them, and returns that as a detached mount.
// It is gone when nobody uses it any more.
func shiftedCopy(c *config.Container, rootfs int) (fd int, err error) {
	defer unix.Close(rootfs)
	tmpfs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen tmpfs: %w", err)
	}
	defer unix.Close(tmpfs)
	if err = unix.FsconfigCreate(tmpfs); err == nil {
		fd, err = unix.Fsmount(tmpfs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	}
	if err != nil {
		return -1, fmt.Errorf("fsmount tmpfs: %w", err)
	}
	defer unix.Umask(unix.Umask(0))
	return fd, copyTree(fdPath(rootfs), fdPath(fd), func(uid, gid uint32) (int, int) {
		return users.OnHost(c.UIDs, int(uid)), users.OnHost(c.GIDs, int(gid))
	})
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// copier copies a tree of files. It goes by os.Root, which no symbolic link leads out of, not even
// one that somebody puts there meanwhile.
type copier struct {
	from, to *os.Root
	shift    func(uid, gid uint32) (int, int)
	seen     map[fileID]string // the first name of each file that has several
}

// fileID tells files apart. By their numbers alone it does not: a tree may be of several file
// systems, as an overlay is, and each has numbers of its own (inode(7)).
type fileID struct{ device, inode uint64 }

func copyTree(from, to string, shift func(uid, gid uint32) (int, int)) (err error) {
	c := copier{shift: shift, seen: map[fileID]string{}}
	if c.from, err = os.OpenRoot(from); err != nil {
		return err
	}
	defer c.from.Close()
	if c.to, err = os.OpenRoot(to); err != nil {
		return err
	}
	defer c.to.Close()
	return fs.WalkDir(c.from.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return c.copy(name, info)
	})
}

func (c *copier) copy(name string, info fs.FileInfo) error {
	stat := info.Sys().(*syscall.Stat_t)
	id := fileID{stat.Dev, stat.Ino}
	if first := c.seen[id]; first != "" {
		return c.to.Link(first, name)
	}
	var err error
	switch info.Mode().Type() {
	case fs.ModeDir:
		if name != "." {
			err = c.to.Mkdir(name, 0o700)
		}
	case fs.ModeSymlink:
		target, readErr := c.from.Readlink(name)
		err = errors.Join(readErr, c.to.Symlink(target, name))
	case 0:
		err = c.copyData(name)
	default:
		return nil // no device, socket or pipe of a root file system is of use to a container
	}
	if err != nil {
		return err
	}
	if stat.Nlink > 1 && !info.IsDir() {
		c.seen[id] = name
	}
	uid, gid := c.shift(stat.Uid, stat.Gid)
	err = c.to.Lchown(name, uid, gid)
	if err != nil && !errors.Is(err, unix.EINVAL) { // an id that is not in the user namespace
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	return c.to.Chmod(name, info.Mode().Perm()|info.Mode()&special)
}

func (c *copier) copyData(name string) error {
	from, err := c.from.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := c.to.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from) // copy_file_range(2)
	return errors.Join(err, to.Close())
}
