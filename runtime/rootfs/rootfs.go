//go:build linux

package rootfs

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
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
	case config.Bind:
		p.About("rootfs", c.Rootfs)
		p.MoveMount(r.trees.rootfs(), r.stage, "root")
	case config.Copy:
		r.attachLayers()
	case config.Overlay:
		r.attachLayers()
		p.About("mount overlay", c.Rootfs)
		p.Hint(unix.EINVAL, "the file system of it or of -keep cannot be a layer, as one that is "+
			"an overlay already: use -layers copy, or another directory for -keep")
		p.Hint(unix.ENODEV, "the kernel has no overlays: use -layers copy")
		options := "lowerdir=lower,upperdir=layer/upper,workdir=layer/work"
		// Trusted attributes are for root of the host (overlayfs.rst, userxattr).
		if c.Namespaces.Has(unix.CLONE_NEWUSER) {
			options += ",userxattr"
		}
		p.Mount("overlay", "root", unix.MS_NODEV, options)
	}
	return r
}

func (r *Root) attachLayers() {
	r.p.About("rootfs", r.c.Rootfs)
	r.p.MoveMount(r.trees.rootfs(), r.stage, "lower")
	if r.c.Keep != "" {
		r.p.About("keep", r.c.Keep)
		r.p.MoveMount(r.trees.keep(), r.stage, "layer")
	}
}

// RootMode is the mode of the rootfs itself, which is that of / in the container: with an overlay
// that of the upper layer.
func RootMode(c *config.Container) uint32 {
	var stat unix.Stat_t
	if err := unix.Stat(c.Rootfs, &stat); err != nil { // open_tree(2) will say so
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
	p.About("pivot_root", r.c.Rootfs)
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

// Share mounts what may come from anywhere, last of all: no mask and no device is looked up by a
// path any more that it could change, and the root of the host is closed. free is a descriptor that
// calls may give a meaning.
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
