//go:build linux

package rootfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/users"
)

// A Root is the root of a container while the list is written that makes it. The methods add the
// calls; they are called in the order in which they stand here.
type Root struct {
	p     *plan.Plan
	c     *config.Container
	trees Trees
	dir   string    // of the host, for the stage
	names []plan.FD // detached mounts of the files in nameFiles

	// Descriptors that calls of the list open.
	host, stage, root, proc, sys, dev plan.FD
}

// stage is the directory where the root is put together, in a mount namespace that nobody else
// sees: a tmpfs is mounted there, which is gone, with what the container wrote, when its last
// process is. Any directory will do, and one of these every host has.
func stage() string {
	for _, dir := range []string{"/tmp", "/run", "/var", "/mnt"} {
		var stat unix.Stat_t
		if unix.Stat(dir, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			return dir
		}
	}
	return "/usr"
}

// Assemble mounts the root file system on the stage, or the layers that it is made of. Where there
// are none, the child makes the trees itself.
func Assemble(p *plan.Plan, c *config.Container, trees Trees) *Root {
	r := &Root{p: p, c: c, trees: trees, dir: stage()}
	if len(trees) == 0 {
		r.trees = openInChild(p, c)
	}
	// Where / is shared, as on every systemd host, mounts made here would appear there
	// (mount_namespaces(7)). And from here on nothing of the host's can be written to.
	p.About("make private and read-only", "/")
	p.Hint(unix.EINVAL, "not the root of a mount, as in a chroot: mount --bind DIR DIR before that")
	p.MountSetattrAt(plan.CWD, "/", unix.AT_RECURSIVE,
		unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Propagation: unix.MS_PRIVATE})
	p.About("open root of the host", "/")
	r.host = p.Name(p.Openat2(plan.CWD, "/", unix.O_PATH|unix.O_DIRECTORY, 0), "host")

	p.About("mount tmpfs", r.dir)
	p.Mount("tmpfs", r.dir, unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	p.Chdir(r.dir)
	r.stage = p.Name(p.Openat2(plan.CWD, ".", unix.O_PATH|unix.O_DIRECTORY, 0), "stage")
	for _, dir := range []string{"root", "lower", "layer", "layer/work", "etc"} {
		p.Mkdirat(r.stage, dir, 0o755)
	}
	p.Mkdirat(r.stage, "layer/upper", RootMode(c))
	switch c.Layers {
	case config.Bind, config.Snapshot:
		p.About("rootfs", c.Rootfs)
		p.MoveMount(r.trees.lowers(c)[0], r.stage, "root")
	case config.Copy:
		r.attachLayers()
		if len(c.LowerDirs()) > 1 { // what is copied is what an overlay of them shows
			r.mountOverlay("lower", unix.MS_RDONLY, "")
		}
	case config.Overlay:
		r.attachLayers()
		r.mountOverlay("root", 0, ",upperdir=layer/upper,workdir=layer/work")
	}
	return r
}

// lowerNames are where the trees below / are attached on the stage, the lowest first. Those of an
// image with several layers have the shortest names there can be, because mount(2) takes all
// options in one page: the most layers that the kernel puts together fill half of it. A file system
// that is made by fsopen(2) has room for any names, one lowerdir+ after the other, but only since
// Linux 6.5, and takes a call for each.
func lowerNames(c *config.Container) []string {
	if len(c.LowerDirs()) == 1 {
		return []string{"lower"}
	}
	names := make([]string, len(c.LowerDirs()))
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

func (r *Root) attachLayers() {
	p, dirs, names := r.p, r.c.LowerDirs(), lowerNames(r.c)
	for i, tree := range r.trees.lowers(r.c) {
		p.About(lowerKind(r.c), dirs[i])
		if len(dirs) > 1 {
			p.Mkdirat(r.stage, names[i], 0o700)
		}
		p.MoveMount(tree, r.stage, names[i])
		if len(dirs) > 1 {
			p.Close(tree)
		}
	}
	if r.c.Keep != "" {
		p.About("keep", r.c.Keep)
		p.MoveMount(r.trees.keep(r.c), r.stage, "layer")
	}
}

// mountOverlay mounts the overlay of what is attached on the stage. upper are the options for the
// upper layer, or none.
func (r *Root) mountOverlay(target string, flags uintptr, upper string) {
	p := r.p
	p.About("mount overlay", r.c.Top())
	var kernel unix.Utsname
	_ = unix.Uname(&kernel) // it cannot fail
	p.Hint(unix.EINVAL, noOverlay(r.c, unix.ByteSliceToString(kernel.Release[:])))
	if len(r.c.Lowers) > 0 {
		p.Hint(unix.ENODEV, "the kernel has no overlays")
	} else {
		p.Hint(unix.ENODEV, "the kernel has no overlays: use -layers copy")
	}
	names := lowerNames(r.c)
	slices.Reverse(names) // the uppermost comes first
	options := "lowerdir=" + strings.Join(names, ":") + upper
	// Trusted attributes are for root of the host (overlayfs.rst, userxattr). Root without a user
	// namespace has them, because the upper layer is a tmpfs as a rule, and before Linux 6.6 that
	// has no user attributes: a directory could no longer take the place of another one. With
	// trusted ones some kernels rename a directory by an attribute that says where its content is,
	// but what is kept is to be understood without the layers below.
	switch {
	case r.c.Namespaces.Has(unix.CLONE_NEWUSER):
		options += ",userxattr"
	case r.c.Keep != "":
		options += ",redirect_dir=off"
	}
	p.Mount("overlay", target, unix.MS_NODEV|flags, options)
}

// noOverlay is why a kernel of this release refuses an overlay of the layers, and what helps.
func noOverlay(c *config.Container, release string) string {
	isImage := len(c.Lowers) > 0
	major, minor := 0, 0
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	isOld := err == nil && (major < 5 || major == 5 && minor < 19)
	switch {
	case isOld && users.IsOther(c) && isImage:
		return "on Linux " + release + " it takes -ns without user: an idmapped mount may be a " +
			"layer since 5.19"
	case isOld && users.IsOther(c):
		return "on Linux " + release + " it takes -layers copy, or -ns without user: an idmapped " +
			"mount may be a layer since 5.19"
	case isImage:
		return "the file system of the image store or of -keep cannot be a layer, as one that is " +
			"an overlay already"
	}
	return "the file system of it or of -keep cannot be a layer, as one that is an overlay " +
		"already: use -layers copy, or another directory for -keep"
}

// RootMode is the mode of the rootfs itself, or of the uppermost layer, which is that of / in the
// container: with an overlay that of the layer above it.
func RootMode(c *config.Container) uint32 {
	var stat unix.Stat_t
	if err := unix.Stat(c.Top(), &stat); err != nil { // open_tree(2) will say so
		return 0o755
	}
	return stat.Mode & 0o1777
}

// CopyFrom and CopyTo are the directories between which the rootfs is copied for -layers copy, when
// it has been assembled and before it is entered.
func (r *Root) CopyFrom() string { return r.dir + "/lower" }
func (r *Root) CopyTo() string   { return r.dir + "/layer/copy" }

// Enter makes the root that of the mount namespace. The old root comes to lie on top of the new
// one, where only the path "." leads to it (pivot_root(2), notes).
func (r *Root) Enter() {
	p := r.p
	p.About("pivot_root", r.c.Top())
	p.Hint(unix.EPERM, "in a container its filter has to allow the call: Docker's does with "+
		"--privileged")
	p.Hint(unix.EINVAL, "where / is the initramfs there is no other root: switch_root(8) first")
	if r.c.Layers == config.Copy {
		p.Bind("layer/copy", "root")
	}
	p.Chdir("root")
	p.PivotRoot(".", ".")
	r.root = p.Name(p.Openat2(plan.CWD, "/", unix.O_PATH|unix.O_DIRECTORY, 0), "root")
}

// Furnish mounts what a root file system lacks, and hides what it must not show. null is a
// descriptor that is free.
func (r *Root) Furnish(null plan.FD) {
	r.mountProc()
	r.mountSys()
	r.mountDev()
	r.makeDevices()
	r.hide(null)
}

// LeaveHost unmounts the old root, and leaves nothing open that leads there. It does so after the
// file systems of the container are mounted: in a user namespace the kernel allows a new proc or
// sysfs only as long as one is in sight that shows as much (mount_too_revealing in its
// fs/namespace.c).
func (r *Root) LeaveHost() {
	p := r.p
	p.About("unmount old root", "/")
	p.Fchdir(r.host)
	p.Umount2(".")
	p.Chdir("/")
	p.Close(r.host)
	p.Close(r.stage)
}

// Share mounts what may come from anywhere, last of all: no mask and no device is looked up
// afterwards by a path that it could change, and the root of the host is closed. free is a
// descriptor that calls may give a meaning.
func (r *Root) Share(free plan.FD) error {
	r.bindNames()
	if err := r.mountVolumes(free); err != nil {
		return err
	}
	if r.c.ReadOnly {
		r.p.About("make read-only", "/")
		r.p.MountSetattr(r.root, 0, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	return nil
}
