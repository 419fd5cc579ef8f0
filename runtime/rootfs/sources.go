//go:build linux

// Package rootfs makes the root of the container's mount namespace: from what sources, with what
// mounted in it, and what hidden.
package rootfs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/users"
)

// source is what a container takes from the host: the rootfs or the layers of an image, the
// directory of -keep, and volumes.
type source struct {
	what, path string // for errors: rootfs, layer, keep or volume
	readOnly   bool
	recursive  bool   // with what is mounted below it
	idmapped   bool   // its files have the same owners inside as outside
	device     uint64 // the number of one that each container has, or 0
}

// sources are those of a container, the rootfs or the layers first, the lowest before the others,
// then the directory of -keep if there is one, then the volumes.
func sources(c *config.Container) (all []source) {
	for _, dir := range c.LowerDirs() {
		all = append(all, source{
			what:      lowerKind(c),
			path:      usedPath(c, dir),
			recursive: c.Layers == config.Bind,
			idmapped:  true,
		})
	}
	if c.Keep != "" && c.Layers != config.Snapshot { // which is in there
		all = append(all, source{what: "keep", path: c.Keep})
	}
	for _, v := range c.Volumes {
		device := deviceAt(v.Source)
		all = append(all, source{
			what:      "volume",
			path:      v.Source,
			readOnly:  v.ReadOnly,
			recursive: true,
			idmapped:  device == 0,
			device:    device,
		})
	}
	return all
}

// usedPath is where the files of a rootfs or a layer are that the container is to use: in a
// snapshot, if there is to be one.
func usedPath(c *config.Container, dir string) string {
	switch {
	case c.Layers != config.Snapshot:
		return dir
	case c.Snapshot == "": // on paper
		return "snapshot of " + dir
	}
	return c.Snapshot
}

// lowerKind is what the directories below / are called.
func lowerKind(c *config.Container) string {
	if len(c.Lowers) > 0 {
		return "layer"
	}
	return "rootfs"
}

// isLower tells whether a source is below /: only a directory can be.
func (s source) isLower() bool { return s.what == "rootfs" || s.what == "layer" }

func (s source) recursion() uint {
	if s.recursive {
		return unix.AT_RECURSIVE
	}
	return 0
}

// Trees are detached mounts of the sources, in their order.
type Trees []plan.FD

// lowers are the first.
func (t Trees) lowers(c *config.Container) []plan.FD { return t[:len(c.LowerDirs())] }

func (t Trees) keep(c *config.Container) plan.FD { return t[len(c.LowerDirs())] }

// volumes are the last.
func (t Trees) volumes(c *config.Container) []plan.FD { return t[len(t)-len(c.Volumes):] }

// Open makes the trees in place of the child where only root of the host can: because it is to
// idmap them, or because nobody else may enter the directories above them. pid is the child. It
// returns none where the child opens them itself. A copy, which may take long, ends with the error
// of interrupted, if it returns one.
func Open(
	c *config.Container, pid int, p *plan.Plan, interrupted func() error,
) (trees Trees, err error) {
	if !c.Namespaces.Has(unix.CLONE_NEWNS) || !users.IsOther(c) {
		return nil, nil
	}
	userns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open user namespace: %w", err)
	}
	defer unix.Close(userns)
	for _, s := range sources(c) {
		fd, err := s.open(c, userns, interrupted)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", s.what, s.path, err)
		}
		trees = append(trees, p.Open(fd, s.what+" "+s.path))
	}
	return trees, nil
}

// ExampleTrees are trees that are not open, for a plan that will not be made.
func ExampleTrees(c *config.Container, p *plan.Plan) (trees Trees) {
	if !c.Namespaces.Has(unix.CLONE_NEWNS) || !users.IsOther(c) {
		return nil
	}
	const first = 1 << 17
	for i, s := range sources(c) {
		trees = append(trees, p.Open(first+i, s.what+" "+s.path))
	}
	return trees
}

func (s source) open(
	c *config.Container, userns int, interrupted func() error,
) (fd int, err error) {
	fd, err = unix.OpenTree(unix.AT_FDCWD, s.path,
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|s.recursion())
	if s.what == "rootfs" && errors.Is(err, unix.ENOENT) {
		return -1, fmt.Errorf("%w (%s)", err, noRootfs)
	}
	if errors.Is(err, unix.EINVAL) {
		return -1, fmt.Errorf("%w (%s)", err, unbindable)
	}
	if err != nil {
		return -1, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return -1, err
	}
	if s.isLower() && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return -1, unix.ENOTDIR
	}
	if isDevice(&stat) && (s.device == 0 || deviceOf(&stat) != s.device) {
		return -1, errors.New(noDevice)
	}
	return s.setAttributes(c, fd, userns, interrupted)
}

const (
	noRootfs   = "make one with scripts/mkrootfs.sh"
	unbindable = "its mount is unbindable: mount --make-private"
)

// attributes are those of the mount. No device works that lies in it, but for one that is the
// source itself, and what is mounted on the
// host later does not appear.
func (s source) attributes() unix.MountAttr {
	attr := unix.MountAttr{Propagation: unix.MS_PRIVATE}
	if s.device == 0 {
		attr.Attr_set |= unix.MOUNT_ATTR_NODEV
	}
	if s.readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	return attr
}

// setAttributes restricts the detached mount of a source, and gives its files other owners
// (mount_setattr(2)). It returns the mount to use instead.
func (s source) setAttributes(
	c *config.Container, fd, userns int, interrupted func() error,
) (int, error) {
	attr := s.attributes()
	if s.idmapped {
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(userns)
	}
	err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|s.recursion(), &attr)
	if err == nil {
		return fd, nil
	}
	// Its file system does not know idmapped mounts, or belongs to a user namespace above (as in a
	// container).
	hint := ""
	if s.idmapped && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM)) {
		if s.isLower() && (c.Layers == config.Overlay || c.Layers == config.Copy) {
			return shiftedCopy(c, fd, interrupted)
		}
		hint = " (no idmapped mount of it or of what is mounted below: use -ns without user)"
	}
	return -1, fmt.Errorf("mount_setattr nodev,idmap: %w%s", err, hint)
}

// openInChild adds the calls by which the child makes the trees itself.
func openInChild(p *plan.Plan, c *config.Container) (trees Trees) {
	for _, s := range sources(c) {
		p.Asked(s.what, s.path)
		if s.what == "rootfs" {
			p.Hint(unix.ENOENT, noRootfs)
		}
		if s.isLower() {
			// A user namespace keeps mounts together: mount_namespaces(7).
			p.Hint(unix.EINVAL,
				"without root, what is mounted below it cannot be left out: use -layers bind")
			p.Hint(plan.ErrCheck, "not a directory")
		}
		tree := p.Name(p.OpenTree(plan.CWD, s.path, s.recursion()), s.what+" "+s.path)
		if s.isLower() {
			p.Must(p.Statx(tree), plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFDIR))
		}
		if s.device != 0 {
			p.Hint(plan.ErrCheck, "is no longer that device")
			p.Must(p.Statx(tree), plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFCHR))
			p.Must(p.Statx(tree), plan.StatxDevice, ^uint64(0),
				plan.Device(unix.Major(s.device), unix.Minor(s.device)))
		}
		p.About(s.what, s.path)
		p.MountSetattr(tree, int(s.recursion()), s.attributes())
		trees = append(trees, tree)
	}
	return trees
}
