//go:build linux

package layer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Tree is what a stack of unpacked layers shows as one tree of files, by the rules of overlayfs:
// the uppermost file of a name is seen; a directory shows what is in the directories of its name
// below it, too, until one of them is opaque, or something else has that name.
//
// The kernel would show the same in a mount. But a mount takes rights, and only looks: this one can
// be asked which layer a file is in.
type Tree struct {
	layers []int // open directories, the uppermost layer first
}

// OpenTree opens the layers in these directories, the lowest first.
func OpenTree(dirs []string) (*Tree, error) {
	t := &Tree{}
	for _, dir := range slices.Backward(dirs) {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("open %s: %w", dir, err)
		}
		t.layers = append(t.layers, fd)
	}
	return t, nil
}

// Close closes the layers.
func (t *Tree) Close() {
	for _, fd := range t.layers {
		unix.Close(fd)
	}
}

// A Node is a file in a tree.
type Node struct {
	// Path leads to it from the root, without symbolic links and without a slash in front. That of
	// the root is "".
	Path string
	Stat unix.Stat_t
	// in are the layers that have it: for a directory all those whose entries are seen, for
	// anything else one.
	in []int
}

func (n *Node) isDir() bool     { return n.Stat.Mode&unix.S_IFMT == unix.S_IFDIR }
func (n *Node) isSymlink() bool { return n.Stat.Mode&unix.S_IFMT == unix.S_IFLNK }

// Root is the root of the tree.
func (t *Tree) Root() (*Node, error) {
	root := &Node{}
	for _, fd := range t.layers {
		root.in = append(root.in, fd)
		if isOpaque(fd, ".") {
			break
		}
	}
	if len(root.in) == 0 {
		return nil, unix.ENOENT
	}
	err := unix.Fstatat(root.in[0], "", &root.Stat, unix.AT_EMPTY_PATH)
	return root, err
}

// lookup finds a name in a directory. Nothing of that name is the error ENOENT.
func (t *Tree) lookup(dir *Node, name string) (*Node, error) {
	found := &Node{Path: path.Join(dir.Path, name)}
	for _, layer := range dir.in {
		// The directory is a real one in each layer that has it: no symbolic link is followed.
		var stat unix.Stat_t
		err := unix.Fstatat(layer, found.Path, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("stat %q: %w", found.Path, err)
		}
		isDir := stat.Mode&unix.S_IFMT == unix.S_IFDIR
		if isWhiteout(&stat) || len(found.in) > 0 && !isDir {
			break
		}
		if len(found.in) == 0 {
			found.Stat = stat
		}
		found.in = append(found.in, layer)
		if !isDir || isOpaque(layer, found.Path) {
			break
		}
	}
	if len(found.in) == 0 {
		return nil, unix.ENOENT
	}
	return found, nil
}

// maxLinks are the symbolic links that a path may lead through, as in the kernel
// (path_resolution(7)).
const maxLinks = 40

// A walk goes along a path in a tree as a process does whose root is the root of the tree: absolute
// links start there, and ".." does not lead out of it (openat2(2), RESOLVE_IN_ROOT).
type walk struct {
	tree  *Tree
	at    []*Node  // the directories from the root down to where it is
	ahead []string // components still to go
	links int
}

func (t *Tree) startWalk(p string) (*walk, error) {
	root, err := t.Root()
	if err != nil {
		return nil, err
	}
	return &walk{tree: t, at: []*Node{root}, ahead: components(p)}, nil
}

func components(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool {
		return s == "" || s == "."
	})
}

func (w *walk) here() *Node { return w.at[len(w.at)-1] }

// step goes one component further, and through a symbolic link if that is what is there. It returns
// the name of a component that does not exist, or is something else that nothing can be in.
func (w *walk) step() (missing string, err error) {
	name := w.ahead[0]
	w.ahead = w.ahead[1:]
	if name == ".." {
		w.at = w.at[:max(1, len(w.at)-1)]
		return "", nil
	}
	next, err := w.tree.lookup(w.here(), name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return name, nil
	case err != nil:
		return "", err
	case next.isDir():
		w.at = append(w.at, next)
		return "", nil
	case !next.isSymlink():
		return name, nil
	}
	if w.links++; w.links > maxLinks {
		return "", fmt.Errorf("%q: %w", next.Path, unix.ELOOP)
	}
	target, err := readlink(next.in[0], next.Path)
	if err != nil {
		return "", fmt.Errorf("readlink %q: %w", next.Path, err)
	}
	if strings.HasPrefix(target, "/") {
		w.at = w.at[:1]
	}
	w.ahead = append(components(target), w.ahead...)
	return "", nil
}

// directory finds a directory; links on the way are followed.
func (t *Tree) directory(p string) (*Node, error) {
	w, err := t.startWalk(p)
	if err != nil {
		return nil, err
	}
	for len(w.ahead) > 0 {
		if missing, err := w.step(); err != nil {
			return nil, err
		} else if missing != "" {
			return nil, fmt.Errorf("%q: %w", path.Join(w.here().Path, missing), unix.ENOENT)
		}
	}
	return w.here(), nil
}

// Find finds a file. Links on the way are followed, and one at the end is not.
func (t *Tree) Find(p string) (*Node, error) {
	dir, name := path.Split(p)
	parent, err := t.directory(dir)
	if err != nil || name == "" {
		return parent, err
	}
	return t.lookup(parent, name)
}

// Entries are the files in a directory, in the order of their names.
func (t *Tree) Entries(dir *Node) (entries []*Node, err error) {
	seen := map[string]bool{}
	for _, layer := range dir.in {
		names, err := readNames(layer, dir.Path)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", dir.Path, err)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			node, err := t.lookup(dir, name)
			if errors.Is(err, unix.ENOENT) { // a whiteout
				continue
			}
			if err != nil {
				return nil, err
			}
			entries = append(entries, node)
		}
	}
	slices.SortFunc(entries, func(a, b *Node) int { return strings.Compare(a.Path, b.Path) })
	return entries, nil
}

// IsOpaque tells whether a layer hides all that is below it.
func IsOpaque(dir string) bool {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return isOpaque(fd, ".")
}
