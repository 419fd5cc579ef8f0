//go:build linux

// Package layer unpacks the layers of images, and packs what a container has changed into a new
// one.
//
// A layer is a tar archive with what one step changed: files that are new or other than before, and
// for each file that is gone an empty one whose name begins with .wh., a whiteout. Unpacked, each
// layer has a directory of its own, and an overlay stacks them. So an entry of the archive cannot
// just be extracted: what it says is about the tree that all the layers below show, and the
// directory has to hold only the difference, in the way of overlayfs.
//
// The archive comes from strangers. Nothing outside the directory is written, whatever it holds.
package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are how much may still be unpacked. A small archive can hold very much.
type Limits struct {
	Bytes   int64 // of files, holes counted
	Entries int64
}

// Errors of an archive that has more.
var (
	ErrBytes   = errors.New("too many bytes (-max-bytes allows more)")
	ErrEntries = errors.New("too many files (-max-files allows more)")
)

// A Result tells about an unpacked layer.
type Result struct {
	// Dependent tells that the directory would be another one on other layers: where the archive
	// names the directory of a file nowhere, or goes through a link of a layer below.
	Dependent bool
	Notes     []string // what this user or this file system could not make as it should be
}

// unpacker unpacks one layer.
type unpacker struct {
	dir    int   // the directory of the layer
	tree   *Tree // the layer on those below
	limits *Limits
	result Result
	notes  notes

	parent     int                        // the directory that the last entry was made in, or -1
	parentPath string                     // its path
	times      map[string][]unix.Timespec // of directories, by their paths
	leftOut    map[string]bool            // devices
	unnamed    map[string]bool            // directories that are there only to hide what is below
	hasRoot    bool                       // the archive has an entry for the root
	buffer     []byte                     // for the data of files
}

// Unpack unpacks the archive to a directory, which must be empty, on top of the layers in the
// directories below, the lowest first. It takes what it unpacks off the limits.
func Unpack(archive io.Reader, to string, below []string, limits *Limits) (Result, error) {
	defer unix.Umask(unix.Umask(0)) // the modes are those of the archive
	tree, err := OpenTree(append(below[:len(below):len(below)], to))
	if err != nil {
		return Result{}, err
	}
	defer tree.Close()
	u := &unpacker{
		dir:     tree.layers[0],
		tree:    tree,
		limits:  limits,
		parent:  -1,
		times:   map[string][]unix.Timespec{},
		leftOut: map[string]bool{},
		unnamed: map[string]bool{},
	}
	defer u.forgetParent()
	entries := tar.NewReader(archive)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = u.entry(header, entries)
		} else {
			err = fmt.Errorf("archive: %w", err)
		}
		if err != nil {
			return Result{}, err
		}
	}
	if err := u.finish(); err != nil {
		return Result{}, err
	}
	u.result.Notes = u.notes.lines()
	return u.result, nil
}

// entry makes what one entry of the archive says.
func (u *unpacker) entry(h *tar.Header, data io.Reader) error {
	if err := u.count(); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader { // a remark, as git archive writes one
		return nil
	}
	err := u.make(h, data)
	if err == nil || errors.Is(err, ErrBytes) || errors.Is(err, ErrEntries) {
		return err
	}
	return fmt.Errorf("entry %.300q: %w", h.Name, err)
}

// count takes a file off the limits. A directory that no entry names is one, too: one entry may
// have thousands of them on its way.
func (u *unpacker) count() error {
	if u.limits.Entries--; u.limits.Entries < 0 {
		return ErrEntries
	}
	return nil
}

// The names of whiteouts. With the second one a directory hides all that is below it. Other names
// that begin with twice the prefix were remarks of aufs.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutRemark = ".wh..wh."
)

// clean is a path in the archive as one below the root, without . and .. and slashes that are too
// many. What leads out of the root leads to the root.
func clean(p string) string { return path.Clean("/" + p)[1:] }

func (u *unpacker) make(h *tar.Header, data io.Reader) error {
	p := clean(h.Name)
	dir, base := path.Split(p)
	switch {
	case p == "":
		return u.root(h)
	case strings.HasPrefix(dir, whiteoutPrefix) || strings.Contains(dir, "/"+whiteoutPrefix):
		return nil // what is below a whiteout is not there
	case base == whiteoutOpaque:
		return u.hideAll(dir)
	case strings.HasPrefix(base, whiteoutRemark):
		return nil
	case strings.HasPrefix(base, whiteoutPrefix):
		return u.hide(dir, strings.TrimPrefix(base, whiteoutPrefix))
	}
	if err := u.enter(dir, true); err != nil {
		return err
	}
	for named := path.Join(u.parentPath, base); named != "."; named = path.Dir(named) {
		delete(u.unnamed, named)
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(h, base)
	}
	if err := u.makeRoom(base, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	return u.create(h, base, data)
}

// root gives the root of the layer what its entry says.
func (u *unpacker) root(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return errors.New("the root must be a directory")
	}
	u.hasRoot = true
	if err := clearAttributes(u.dir, ""); err != nil {
		return err
	}
	return u.finishDirectory(u.dir, "", "", h)
}

// makeRoom removes what the layer itself has of that name. A directory may stay where one is to be,
// and gets new attributes. One that comes after something else hides what is in the directory of
// that name in the layers below: that was gone in between.
func (u *unpacker) makeRoom(name string, forDirectory bool) error {
	var stat unix.Stat_t
	err := unix.Fstatat(u.parent, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		if forDirectory {
			return unix.Mkdirat(u.parent, name, 0o700)
		}
		return nil
	}
	if err != nil {
		return err
	}
	isDir := stat.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case isDir && forDirectory:
		return clearAttributes(u.parent, name)
	case isDir:
		u.forget(path.Join(u.parentPath, name))
		return os.RemoveAll(procPath(u.parent, name))
	}
	if err := unix.Unlinkat(u.parent, name, 0); err != nil || !forDirectory {
		return err
	}
	if err := unix.Mkdirat(u.parent, name, 0o700); err != nil {
		return err
	}
	return setOpaque(u.parent, name)
}

// hide is for a whiteout. It hides a name in the layers below; what the layer itself has of that
// name is seen, before or after the whiteout.
func (u *unpacker) hide(dir, name string) error {
	if name == "" || name == "." || name == ".." {
		return errors.New("a whiteout of nothing")
	}
	if there, err := u.enterToHide(dir); !there {
		return err
	}
	var stat unix.Stat_t
	err := unix.Fstatat(u.parent, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return makeWhiteout(u.parent, name)
	case err != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR:
		return err
	}
	hidden := path.Join(u.parentPath, name)
	if err := u.removeUnnamed(hidden); err != nil {
		return err
	}
	if u.unnamed[hidden] {
		if err := u.remove(hidden); err != nil {
			return err
		}
		return makeWhiteout(u.parent, name)
	}
	return setOpaque(u.parent, name)
}

// removeUnnamed removes what is below a directory only to hide something: now all is hidden there.
func (u *unpacker) removeUnnamed(dir string) error {
	for unnamed := range u.unnamed {
		if dir == "" || strings.HasPrefix(unnamed, dir+"/") {
			if err := u.remove(unnamed); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove removes a directory of the layer.
func (u *unpacker) remove(dir string) error {
	u.forget(dir)
	above, base := path.Split(dir)
	parent, err := u.open(strings.TrimSuffix(above, "/"))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return os.RemoveAll(procPath(parent, base))
}

// hideAll is for an opaque whiteout: it hides all that the layers below have in a directory.
func (u *unpacker) hideAll(dir string) error {
	if there, err := u.enterToHide(dir); !there {
		return err
	}
	if err := u.removeUnnamed(u.parentPath); err != nil {
		return err
	}
	return setOpaque(u.parent, "")
}

// enterToHide enters a directory, if it is there: otherwise there is nothing to hide in it, and to
// hide makes nothing.
func (u *unpacker) enterToHide(dir string) (there bool, err error) {
	err = u.enter(dir, false)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// enter makes a directory of the layer the parent of what comes next. Most archives name each
// directory before what is in it: then it is there.
func (u *unpacker) enter(dir string, make bool) error {
	dir = strings.TrimSuffix(dir, "/")
	if u.parent >= 0 && u.parentPath == dir {
		return nil
	}
	fd, err := u.open(dir)
	if err != nil {
		// It is not there, or a symbolic link is on the way.
		if dir, err = u.reach(dir, make); err != nil {
			return err
		}
		if fd, err = u.open(dir); err != nil {
			return err
		}
	}
	u.forgetParent()
	u.parent, u.parentPath = fd, dir
	return nil
}

func (u *unpacker) open(dir string) (int, error) {
	if dir == "" {
		dir = "."
	}
	return openBeneath(u.dir, dir, unix.O_PATH|unix.O_DIRECTORY)
}

func (u *unpacker) forgetParent() {
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
	u.parent = -1
}

// reach goes to a directory in the tree of all layers, and makes the directories of the layer on
// the way: like those of the layers below, and where there are none, for all to read. It returns
// the path without links.
func (u *unpacker) reach(dir string, make bool) (string, error) {
	u.result.Dependent = true
	w, err := u.tree.startWalk(dir)
	if err != nil {
		return "", err
	}
	for len(w.ahead) > 0 {
		missing, err := w.step()
		if err != nil {
			return "", err
		}
		if missing == "" {
			continue
		}
		if !make {
			return "", unix.ENOENT
		}
		if err := u.copyUp(w.at); err != nil {
			return "", err
		}
		if err := u.makeMissing(w.here().Path, missing); err != nil {
			return "", err
		}
		w.ahead = append([]string{missing}, w.ahead...) // now it is there
	}
	for _, node := range w.at {
		if !make && node.in[0] != u.dir {
			u.unnamed[node.Path] = true
		}
	}
	return w.here().Path, u.copyUp(w.at)
}

// makeMissing makes a directory that neither the archive nor a layer below has. There may be a file
// of that name, which it replaces, as the later of two entries always does; or a whiteout: then it
// hides what is below.
func (u *unpacker) makeMissing(dir, name string) error {
	if err := u.count(); err != nil {
		return err
	}
	fd, err := u.open(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	hidden := false
	if err := unix.Unlinkat(fd, name, 0); err == nil {
		hidden = true
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := unix.Mkdirat(fd, name, 0o755); err != nil {
		return err
	}
	if hidden {
		return setOpaque(fd, name)
	}
	return nil
}

// finish gives the directories their times, now that nothing more is made in them, and the root
// what it is to have.
func (u *unpacker) finish() error {
	if err := u.inheritRoot(); err != nil {
		return err
	}
	for dir, times := range u.times {
		fd, err := u.open(dir)
		if err != nil {
			return fmt.Errorf("open %q: %w", dir, err)
		}
		err = unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd, ""), times, 0)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("times of %q: %w", dir, err)
		}
	}
	return nil
}

// forget is for a directory that is removed again: what is known about it and about its files no
// longer holds.
func (u *unpacker) forget(dir string) {
	isGone := func(known string) bool {
		return known == dir || strings.HasPrefix(known, dir+"/")
	}
	maps.DeleteFunc(u.times, func(known string, _ []unix.Timespec) bool { return isGone(known) })
	maps.DeleteFunc(u.unnamed, func(known string, _ bool) bool { return isGone(known) })
	maps.DeleteFunc(u.leftOut, func(known string, _ bool) bool { return isGone(known) })
	if isGone(u.parentPath) {
		u.forgetParent()
	}
}
