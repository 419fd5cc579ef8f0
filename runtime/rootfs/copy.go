//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"os"

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
	source, err := unix.Open(from, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: from, Err: err}
	}
	defer unix.Close(source)
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil { // of a container that was killed
		return err
	}
	defer os.RemoveAll(part) // what has failed takes no room
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	copied, err := unix.Open(part, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: part, Err: err}
	}
	defer unix.Close(copied)
	if err := copyTree(source, copied, sameOwners, never); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// shiftedCopy copies the mount of a root file system, and so nothing that is mounted below it, to a
// tmpfs with the owners that the user namespace has for them, and returns that as a detached mount.
// It is gone when nobody uses it.
func shiftedCopy(
	c *config.Container, rootfs int, interrupted func() error,
) (fd int, err error) {
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
	return fd, copyTree(rootfs, fd, owners{
		uid: func(id uint32) uint32 { return uint32(users.OnHost(c.UIDs, int(id))) },
		gid: func(id uint32) uint32 { return uint32(users.OnHost(c.GIDs, int(id))) },
	}, interrupted)
}

// owners say who owns a copy, by who owns the original.
type owners struct{ uid, gid func(id uint32) uint32 }

var sameOwners = owners{uid: same, gid: same}

func same(id uint32) uint32 { return id }

// never is for a copy by a process that is killed when nobody wants it.
func never() error { return nil }

// copier copies a tree of files, as it is: with holes and times, attributes and links, and names of
// any bytes. It goes by descriptors, and follows no symbolic link, not even one that somebody puts
// there meanwhile.
type copier struct {
	to     int // the root of the copy
	owners owners
	seen   map[fileID]string // the first path of each file that has several
	// interrupted returns an error when nobody wants the copy.
	interrupted func() error
}

// fileID tells files apart. By their numbers alone it does not: a tree may be of several file
// systems, as an overlay is, and each has numbers of its own (inode(7)).
type fileID struct{ device, inode uint64 }

// copyTree copies what is in a directory, and what the directory has of its own, to another one.
// The directories are open.
func copyTree(from, to int, owners owners, interrupted func() error) error {
	defer unix.Umask(unix.Umask(0)) // the modes are those of the tree
	from, err := unix.Openat(from, ".", openDir, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(from)
	var stat unix.Stat_t
	if err := unix.Fstat(from, &stat); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	c := &copier{
		to:          to,
		owners:      owners,
		seen:        map[fileID]string{},
		interrupted: interrupted,
	}
	if err := c.copyEntries(from, to, ""); err != nil {
		return err
	}
	return c.finish(from, to, ".", "/", &stat)
}

const (
	openDir  = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	openFile = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	makeFile = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
)

// copyEntries copies what is in a directory. above is its path below the root, with a slash at the
// end.
func (c *copier) copyEntries(from, to int, above string) error {
	dir, err := unix.Openat(from, ".", openDir, 0) // with a position of its own
	if err != nil {
		return fmt.Errorf("open %q: %w", above, err)
	}
	list := os.NewFile(uintptr(dir), above)
	names, err := list.Readdirnames(-1)
	list.Close()
	if err != nil {
		return fmt.Errorf("read %q: %w", above, err)
	}
	for _, name := range names {
		if err := c.copy(from, to, name, above); err != nil {
			return err
		}
	}
	return nil
}

// copy copies the file of that name, whatever it is.
func (c *copier) copy(from, to int, name, above string) error {
	path := above + name
	if err := c.interrupted(); err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(from, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("stat %q: %w", path, err)
	}
	kind := stat.Mode & unix.S_IFMT
	if stat.Nlink > 1 && kind != unix.S_IFDIR {
		id := fileID{stat.Dev, stat.Ino}
		if first, ok := c.seen[id]; ok {
			if err := unix.Linkat(c.to, first, to, name, 0); err != nil {
				return fmt.Errorf("link %q: %w", path, err)
			}
			return nil
		}
		c.seen[id] = path
	}
	made, err := c.make(from, to, name, path, &stat)
	if err != nil || !made {
		return err
	}
	return c.finish(from, to, name, path, &stat)
}

// make makes the copy of a file that is not there yet, with its data.
func (c *copier) make(from, to int, name, path string, stat *unix.Stat_t) (made bool, err error) {
	kind := stat.Mode & unix.S_IFMT
	switch kind {
	case unix.S_IFDIR:
		return true, c.makeDirectory(from, to, name, path)
	case unix.S_IFREG:
		return true, c.makeFile(from, to, name, path, stat.Size)
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, readErr := unix.Readlinkat(from, name, target)
		if readErr != nil {
			return false, fmt.Errorf("readlink %q: %w", path, readErr)
		}
		err = unix.Symlinkat(string(target[:n]), to, name)
	default: // a named pipe, a socket, a device
		err = unix.Mknodat(to, name, kind|0o600, int(stat.Rdev))
		// A user namespace may not make a device, and no device works there (nodev).
		if errors.Is(err, unix.EPERM) && (kind == unix.S_IFCHR || kind == unix.S_IFBLK) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("make %q: %w", path, err)
	}
	return true, nil
}

func (c *copier) makeDirectory(from, to int, name, path string) error {
	if err := unix.Mkdirat(to, name, 0o700); err != nil {
		return fmt.Errorf("mkdir %q: %w", path, err)
	}
	source, err := unix.Openat(from, name, openDir, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", path, err)
	}
	defer unix.Close(source)
	copied, err := unix.Openat(to, name, openDir, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", path, err)
	}
	defer unix.Close(copied)
	return c.copyEntries(source, copied, path+"/")
}

func (c *copier) makeFile(from, to int, name, path string, size int64) error {
	source, err := unix.Openat(from, name, openFile, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", path, err)
	}
	defer unix.Close(source)
	copied, err := unix.Openat(to, name, makeFile, 0o600)
	if err != nil {
		return fmt.Errorf("make %q: %w", path, err)
	}
	defer unix.Close(copied)
	if err := copyData(source, copied, size); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// finish gives a copy what the original has besides its data: owners first, because to change them
// takes rights of a program away (chown(2)), the mode when nothing more is to be written, and times
// last.
func (c *copier) finish(from, to int, name, path string, stat *unix.Stat_t) error {
	uid, gid := int(c.owners.uid(stat.Uid)), int(c.owners.gid(stat.Gid))
	err := unix.Fchownat(to, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) { // an id that is not in the user namespace
		return fmt.Errorf("chown %q: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFLNK { // a link has none of these
		if err := c.copyAttributes(fdPath(from)+"/"+name, fdPath(to)+"/"+name); err != nil {
			return fmt.Errorf("attributes of %q: %w", path, err)
		}
		if err := unix.Fchmodat(to, name, stat.Mode&0o7777, 0); err != nil {
			return fmt.Errorf("chmod %q: %w", path, err)
		}
	}
	times := []unix.Timespec{stat.Atim, stat.Mtim}
	if err := unix.UtimesNanoAt(to, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("times of %q: %w", path, err)
	}
	return nil
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// copyData copies the data of a file, and leaves holes where it has them (lseek(2), SEEK_DATA).
func copyData(from, to int, size int64) error {
	for at := int64(0); at < size; {
		data, err := unix.Seek(from, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // a hole up to the end
			break
		}
		hole := size
		if err != nil { // a file system that does not know
			data = at
		} else if hole, err = unix.Seek(from, data, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := copyRange(from, to, data, hole); err != nil {
			return err
		}
		at = hole
	}
	return unix.Ftruncate(to, size)
}

// copyRange copies what is between two places of a file, by copy_file_range(2), or, where that
// cannot be, by reading and writing.
func copyRange(from, to int, at, end int64) error {
	for at < end {
		source, target := at, at
		n, err := unix.CopyFileRange(from, &source, to, &target, int(min(end-at, 1<<30)), 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return readAndWrite(from, to, at, end)
		}
		at += int64(n)
	}
	return nil
}

func readAndWrite(from, to int, at, end int64) error {
	buffer := make([]byte, min(end-at, 1<<18))
	for at < end {
		n, err := unix.Pread(from, buffer[:min(end-at, int64(len(buffer)))], at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 { // the end of a file that became shorter
			return err
		}
		for written := 0; written < n; {
			m, err := unix.Pwrite(to, buffer[written:n], at+int64(written))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			written += m
		}
		at += int64(n)
	}
	return nil
}
