//go:build linux

package main

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"
)

// A root file system may come from anywhere, with a symbolic link in place of any directory. What a mount
// is put on is opened once, below the root, and from then on only its descriptor counts (openat2(2)).

// openTarget opens a path of the container for mounting on it, and makes it if it is not there: a directory, or
// a file. No link is followed, neither in its last part nor on the way.
func openTarget(name string, directory bool) (fd int, err error) {
	fd, err = makeTarget(name, directory, unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ELOOP) {
		err = errors.New("is a symbolic link in the root file system, or lies behind one")
	}
	return fd, err
}

// openTargetInside follows links as the container would, and so never out of it: / is the container's by now.
// But it does not follow those to descriptors of this process (proc_pid_fd(5)).
func openTargetInside(name string, directory bool) (fd int, err error) {
	return makeTarget(name, directory, unix.RESOLVE_NO_MAGICLINKS)
}

func makeTarget(name string, directory bool, resolve uint64) (fd int, err error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve}
	fd, err = unix.Openat2(unix.AT_FDCWD, name, how)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	above, err := makeTarget(path.Dir(name), true, resolve)
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	if directory {
		err = unix.Mkdirat(above, path.Base(name), 0o755)
	} else {
		err = unix.Mknodat(above, path.Base(name), unix.S_IFREG|0o644, 0)
	}
	if err != nil { // EEXIST: a link to nowhere
		return -1, err
	}
	return unix.Openat2(above, path.Base(name), how)
}

// isOn tells whether an open file lies on a file system of this type (statfs(2)).
func isOn(fd int, magic int64) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && int64(fs.Type) == magic
}

// isFile tells whether an open file is the one that a path leads to.
func isFile(fd int, name string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Stat(name, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}
