//go:build linux

package rootfs

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/users"
)

// A root file system may come from anywhere, with a symbolic link in place of any directory. What a
// mount is put on is opened once, below the root, without following any (openat2(2)); what lies in
// a mount is then reached by a descriptor of that mount, and never by a path from the root.

const (
	noSuidExec    = unix.MS_NOSUID | unix.MS_NOEXEC
	noSuidExecDev = noSuidExec | unix.MS_NODEV

	isLink = "is a symbolic link in the root file system, or lies behind one"
)

// A Mount is a file system that root file systems lack, and containers get.
type Mount struct {
	Type, Target string
	Flags        uintptr // of mount(2)
	Options      string
	// FromHost tells that the directory of the host is bound in its place, with all that is mounted
	// below it, because the kernel refuses a new file system: a user namespace may mount what shows
	// only namespaces that are its own.
	FromHost bool
}

// Mounts lists those of a container, in the order in which they are mounted. Its user namespace
// must have its id maps (users.FindMaps).
func Mounts(c *config.Container) ([]Mount, error) {
	if !c.Namespaces.Has(unix.CLONE_NEWNS) {
		return nil, nil
	}
	cgroups, err := cgroupMounts(c)
	all := []Mount{procMount(c), sysMount(c), devMount}
	return slices.Concat(all, mountsInDev(c), cgroups), err
}

func procMount(c *config.Container) Mount {
	return Mount{
		Type:     "proc",
		Target:   "/proc",
		Flags:    noSuidExecDev,
		FromHost: c.Namespaces.Has(unix.CLONE_NEWUSER) && !c.Namespaces.Has(unix.CLONE_NEWPID),
	}
}

func sysMount(c *config.Container) Mount {
	return Mount{
		Type:     "sysfs",
		Target:   "/sys",
		Flags:    noSuidExecDev | unix.MS_RDONLY,
		FromHost: c.Namespaces.Has(unix.CLONE_NEWUSER) && !c.Namespaces.Has(unix.CLONE_NEWNET),
	}
}

var devMount = Mount{
	Type:    "tmpfs",
	Target:  "/dev",
	Flags:   unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME,
	Options: "mode=755,size=65536k",
}

func mountsInDev(c *config.Container) []Mount {
	all := []Mount{
		{Type: "devpts", Target: "/dev/pts", Flags: noSuidExec, Options: devptsOptions(c)},
		{Type: "tmpfs", Target: "/dev/shm", Flags: noSuidExecDev, Options: "mode=1777,size=65536k"},
	}
	if c.Namespaces.Has(unix.CLONE_NEWIPC) {
		all = append(all, Mount{Type: "mqueue", Target: "/dev/mqueue", Flags: noSuidExecDev})
	}
	return all
}

// devptsOptions gives the terminals to the group tty, which is 5 everywhere, if the user namespace
// has it.
func devptsOptions(c *config.Container) string {
	options := "newinstance,ptmxmode=0666,mode=0620"
	if users.HasGroup(c, ttyGroup) {
		options += fmt.Sprint(",gid=", ttyGroup)
	}
	return options
}

const ttyGroup = 5

// cgroupMounts show the container its own cgroup.
func cgroupMounts(c *config.Container) (all []Mount, err error) {
	mounts, err := cgroup.Mounts(c)
	version1 := len(mounts) > 0 && mounts[0].Type == "cgroup"
	hasNamespace := c.Namespaces.Has(unix.CLONE_NEWCGROUP)
	// With the network of the host the container has its /sys, and without a cover all the cgroups
	// in it. The hierarchies of version 1 want directories.
	if hasNamespace && !c.Namespaces.Has(unix.CLONE_NEWNET) || version1 {
		all = append(all, Mount{
			Type:    "tmpfs",
			Target:  cgroupDir,
			Flags:   noSuidExecDev,
			Options: "mode=755,size=64k",
		})
	}
	for _, m := range mounts {
		all = append(all, Mount{
			Type:    m.Type,
			Target:  m.Target,
			Flags:   noSuidExecDev | unix.MS_RDONLY,
			Options: m.Options,
		})
	}
	return all, err
}

const cgroupDir = "/sys/fs/cgroup"

// mount mounts a file system on a directory of the root, and returns a descriptor of the root of
// that.
func (r *Root) mount(m Mount, magic uint64) plan.FD {
	p, name := r.p, m.Target[1:]
	if m.FromHost {
		r.bindFromHost(name, m.Flags)
	} else {
		r.openTarget("mount "+m.Type, name)
		p.Mount(m.Type, ".", m.Flags, m.Options)
	}
	return r.openMount(name, magic)
}

// openTarget makes a directory of the root if it is not there, and changes to it.
func (r *Root) openTarget(what, name string) plan.FD {
	p := r.p
	p.About(what, "/"+name)
	p.Hint(unix.ELOOP, isLink)
	p.Hint(unix.ENOTDIR, isLink)
	p.Mkdirat(r.root, name, 0o755)
	p.Allow(unix.EEXIST)
	target := p.Openat2(r.root, name, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS)
	p.Fchdir(target)
	return target
}

// openMount opens the root of a mount that was just made, and makes sure that it is that: somebody
// else may have changed the root file system meanwhile.
func (r *Root) openMount(name string, magic uint64) plan.FD {
	p := r.p
	fd := p.Openat2(r.root, name, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS)
	p.Name(fd, "/"+name)
	p.Hint(plan.ErrCheck, "is no longer what was mounted there")
	p.Must(p.Statfs(fd), 0, ^uint64(0), magic)
	return fd
}

// bindFromHost mounts a directory of the host, with all that is mounted below it. The flags of
// mount(2) that are used here have the same values as attributes of mount_setattr(2).
func (r *Root) bindFromHost(name string, flags uintptr) {
	p := r.p
	target := r.openTarget("bind", name)
	tree := p.OpenTree(r.host, name, unix.AT_RECURSIVE)
	p.MountSetattr(tree, unix.AT_RECURSIVE, unix.MountAttr{
		Attr_set: uint64(flags),
		// All mounts of the host are read-only by now.
		Attr_clr: unix.MOUNT_ATTR_RDONLY &^ uint64(flags),
	})
	p.MoveMountTo(tree, target)
	p.Close(tree)
}

func (r *Root) mountProc() { r.proc = r.mount(procMount(r.c), unix.PROC_SUPER_MAGIC) }
func (r *Root) mountSys()  { r.sys = r.mount(sysMount(r.c), unix.SYSFS_MAGIC) }

func (r *Root) mountDev() {
	r.dev = r.mount(devMount, unix.TMPFS_MAGIC)
	r.p.Fchdir(r.dev)
	for _, m := range mountsInDev(r.c) {
		r.mountIn(r.dev, m)
	}
}

// mountIn mounts a file system on a new directory of the container's own /dev, which is the working
// directory.
func (r *Root) mountIn(dev plan.FD, m Mount) {
	name := m.Target[len("/dev/"):]
	r.p.About("mount "+m.Type, m.Target)
	r.p.Mkdirat(dev, name, 0o755)
	r.p.Mount(m.Type, name, m.Flags, m.Options)
}

// MountCgroups shows the container its own cgroup.
func (r *Root) MountCgroups() error {
	p := r.p
	mounts, err := cgroupMounts(r.c)
	if err != nil {
		return err
	}
	open := func(dir plan.FD, name string) plan.FD {
		return p.Openat2(dir, name, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS)
	}
	var cover plan.FD
	for _, m := range mounts {
		p.About("mount "+m.Type, m.Target)
		if below, ok := strings.CutPrefix(m.Target, cgroupDir+"/"); ok {
			p.Mkdirat(cover, below, 0o755)
			p.Fchdir(open(cover, below))
		} else {
			p.Fchdir(open(r.sys, "fs/cgroup"))
		}
		p.Mount(m.Type, ".", m.Flags, m.Options)
		if m.Type == "tmpfs" {
			cover = p.Name(open(r.sys, "fs/cgroup"), "cgroups")
		}
	}
	if len(mounts) > 0 && mounts[0].Type == "tmpfs" {
		p.About("make read-only", cgroupDir)
		p.MountSetattr(cover, 0, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	return nil
}
