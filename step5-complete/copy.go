//go:build linux

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copier copies a tree of files. It goes by os.Root, which no symbolic link leads out of, not even one that somebody
// puts there meanwhile.
type copier struct {
	from, to *os.Root
	shift    func(uid, gid uint32) (int, int)
	seen     map[fileID]string // the first name of each file that has several
}

// fileID tells files apart. By their numbers alone it does not: a tree may be of several file systems, as an overlay is,
// and each has numbers of its own (inode(7)).
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
	if err := c.to.Lchown(name, uid, gid); err != nil && !errors.Is(err, unix.EINVAL) { // not in the user namespace
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	return c.to.Chmod(name, info.Mode().Perm()|info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
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
