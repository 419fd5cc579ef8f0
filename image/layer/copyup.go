//go:build linux

package layer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// What the archive goes through and does not name comes up from the layers below: an overlay shows
// the attributes of the uppermost directory, and so those of the layer have to be the same.

// copyUp makes directories of the tree, of which each is in the one before, directories of the
// layer.
func (u *unpacker) copyUp(directories []*Node) error {
	for _, node := range directories {
		if node.in[0] == u.dir {
			continue
		}
		if err := u.count(); err != nil {
			return err
		}
		if err := u.copyUpDirectory(node); err != nil {
			return fmt.Errorf("%q: %w", node.Path, err)
		}
		node.in = append([]int{u.dir}, node.in...)
	}
	return nil
}

func (u *unpacker) copyUpDirectory(node *Node) error {
	above, base := path.Split(node.Path)
	parent, err := u.open(strings.TrimSuffix(above, "/"))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, base, 0o700); err != nil {
		return err
	}
	u.times[node.Path] = nodeTimes(node)
	return copyMetadata(node, parent, base)
}

// inheritRoot gives the root of a layer whose archive has none that of the layers below.
func (u *unpacker) inheritRoot() error {
	if u.hasRoot {
		return nil
	}
	if len(u.tree.layers) == 1 {
		return wrap("chmod", unix.Chmod(procPath(u.dir, ""), 0o755))
	}
	below := &Tree{layers: u.tree.layers[1:]}
	root, err := below.Root()
	if err != nil {
		return err
	}
	u.times[""] = nodeTimes(root)
	usual := root.Stat.Mode&0o7777 == 0o755 && root.Stat.Uid == 0 && root.Stat.Gid == 0
	if !usual {
		u.result.Dependent = true
	}
	return copyMetadata(root, u.dir, "")
}

// copyUpFile copies a file of a layer below to the same place in this one, where the parent is.
func (u *unpacker) copyUpFile(node *Node) error {
	if err := u.count(); err != nil {
		return err
	}
	base := path.Base(node.Path)
	var err error
	switch node.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = u.copyUpData(node, base)
	case unix.S_IFLNK:
		var target string
		if target, err = readlink(node.in[0], node.Path); err == nil {
			err = unix.Symlinkat(target, u.parent, base)
		}
	default:
		err = unix.Mknodat(u.parent, base, node.Stat.Mode, int(node.Stat.Rdev))
	}
	if err != nil {
		return err
	}
	if err := copyMetadata(node, u.parent, base); err != nil {
		return err
	}
	return unix.UtimesNanoAt(u.parent, base, nodeTimes(node), unix.AT_SYMLINK_NOFOLLOW)
}

func (u *unpacker) copyUpData(node *Node, base string) error {
	if u.limits.Bytes -= node.Stat.Size; u.limits.Bytes < 0 {
		return ErrBytes
	}
	from, err := openBeneath(node.in[0], node.Path, unix.O_RDONLY)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(from), node.Path)
	defer file.Close()
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	to, err := unix.Openat(u.parent, base, flags, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return u.writeSparse(to, io.LimitReader(file, node.Stat.Size), node.Stat.Size)
}

// copyMetadata gives a file owner, attributes and mode of another one.
func copyMetadata(from *Node, dir int, name string) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	err := unix.Fchownat(dir, name, int(from.Stat.Uid), int(from.Stat.Gid), flags)
	if err != nil {
		return wrap("chown", err)
	}
	source := from.Path
	if source == "" {
		source = "."
	}
	names, err := attributes(from.in[0], source)
	if err != nil {
		return wrap("listxattr", err)
	}
	for _, attribute := range names {
		if isOverlays(attribute) {
			continue
		}
		value, err := getAttribute(from.in[0], source, attribute)
		if err == nil {
			err = unix.Lsetxattr(procPath(dir, name), attribute, []byte(value), 0)
		}
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("setxattr %s: %w", attribute, err)
		}
	}
	if from.isSymlink() {
		return nil
	}
	return wrap("chmod", unix.Chmod(procPath(dir, name), from.Stat.Mode&0o7777))
}

func nodeTimes(n *Node) []unix.Timespec { return []unix.Timespec{n.Stat.Atim, n.Stat.Mtim} }
