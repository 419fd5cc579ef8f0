//go:build linux

package layer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A Change is a file that differs between two trees.
type Change struct {
	Kind  byte // 'A' for added, 'C' for changed, 'D' for deleted
	Path  string
	Bytes int64 // that the second tree has
}

// Diff calls each for all that differs, in the order of the names. What is in a directory that is
// gone goes with it.
func Diff(before, after *Tree, each func(Change)) error {
	a, err := before.Root()
	if err != nil {
		return err
	}
	b, err := after.Root()
	if err != nil {
		return err
	}
	return diffDirectories(before, after, a, b, each)
}

func diffDirectories(before, after *Tree, a, b *Node, each func(Change)) error {
	if same, err := sameDirectories(a, b); same || err != nil {
		return err
	}
	old, err := before.Entries(a)
	if err != nil {
		return err
	}
	now, err := after.Entries(b)
	if err != nil {
		return err
	}
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].Path < now[0].Path:
			each(Change{Kind: 'D', Path: old[0].Path})
			old = old[1:]
		case len(old) == 0 || now[0].Path < old[0].Path:
			if err := added(after, now[0], each); err != nil {
				return err
			}
			now = now[1:]
		default:
			if err := diffNodes(before, after, old[0], now[0], each); err != nil {
				return err
			}
			old, now = old[1:], now[1:]
		}
	}
	return nil
}

// added reports a file, and all that is below it.
func added(tree *Tree, n *Node, each func(Change)) error {
	each(Change{Kind: 'A', Path: n.Path, Bytes: n.size()})
	if !n.isDir() {
		return nil
	}
	entries, err := tree.Entries(n)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := added(tree, entry, each); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) isRegular() bool { return n.Stat.Mode&unix.S_IFMT == unix.S_IFREG }

func (n *Node) size() int64 {
	if n.isRegular() {
		return n.Stat.Size
	}
	return 0
}

func diffNodes(before, after *Tree, a, b *Node, each func(Change)) error {
	same, err := sameFile(a, b)
	if err != nil {
		return err
	}
	if !same {
		each(Change{Kind: 'C', Path: b.Path, Bytes: b.size()})
	}
	switch {
	case b.isDir() && a.isDir():
		return diffDirectories(before, after, a, b, each)
	case b.isDir():
		return added(after, b, func(c Change) {
			if c.Path != b.Path {
				each(c)
			}
		})
	}
	return nil
}

// sameDirectories tells whether two directories are of the same layers, and so the same with all
// that is below them.
func sameDirectories(a, b *Node) (bool, error) {
	if len(a.in) != len(b.in) {
		return false, nil
	}
	for i := range a.in {
		var one, other unix.Stat_t
		err := errors.Join(statNode(a.in[i], a.Path, &one), statNode(b.in[i], b.Path, &other))
		if err != nil || one.Ino != other.Ino || one.Dev != other.Dev {
			return false, err
		}
	}
	return true, nil
}

func statNode(layer int, path string, stat *unix.Stat_t) error {
	if path == "" {
		return unix.Fstat(layer, stat)
	}
	return unix.Fstatat(layer, path, stat, unix.AT_SYMLINK_NOFOLLOW)
}

// sameFile tells whether two files are the same in all that a layer says of them. A directory has
// another time when something in it has changed, and that is reported there.
func sameFile(a, b *Node) (bool, error) {
	x, y := &a.Stat, &b.Stat
	switch {
	case x.Dev == y.Dev && x.Ino == y.Ino:
		return true, nil
	case x.Mode != y.Mode, x.Uid != y.Uid, x.Gid != y.Gid, x.Rdev != y.Rdev:
		return false, nil
	case !a.isDir() && (x.Mtim != y.Mtim || a.size() != b.size()):
		return false, nil
	}
	if same, err := sameAttributes(a, b); !same || err != nil {
		return false, err
	}
	if a.isSymlink() {
		one, err := readlink(a.in[0], a.Path)
		if err != nil {
			return false, err
		}
		other, err := readlink(b.in[0], b.Path)
		return one == other, err
	}
	if a.isRegular() {
		return sameData(a, b)
	}
	return true, nil
}

func sameAttributes(a, b *Node) (bool, error) {
	list := func(n *Node) (all []string, err error) {
		names, err := attributes(n.in[0], n.Path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !isOverlays(name) {
				value, _ := getAttribute(n.in[0], n.Path, name)
				all = append(all, name+"="+value)
			}
		}
		slices.Sort(all)
		return all, nil
	}
	one, err := list(a)
	if err != nil {
		return false, err
	}
	other, err := list(b)
	return slices.Equal(one, other), err
}

func sameData(a, b *Node) (bool, error) {
	var files [2]*os.File
	for i, n := range []*Node{a, b} {
		fd, err := openBeneath(n.in[0], n.Path, unix.O_RDONLY)
		if err != nil {
			return false, err
		}
		files[i] = os.NewFile(uintptr(fd), n.Path)
		defer files[i].Close()
	}
	var one, other [1 << 16]byte
	for {
		n, err := io.ReadFull(files[0], one[:])
		m, otherErr := io.ReadFull(files[1], other[:])
		if !bytes.Equal(one[:n], other[:m]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		}
		if err := errors.Join(err, otherErr); err != nil {
			return false, err
		}
	}
}
