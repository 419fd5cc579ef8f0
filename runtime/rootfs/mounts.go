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
// that. The descriptor is of the mount itself, and not looked up by a path afterwards: what is
// hidden in it is hidden in the mount that the path leads to, whoever changes the root file system
// meanwhile.
func (r *Root) mount(m Mount, magic uint64) plan.FD {
	p, name := r.p, m.Target[1:]
	var mounted plan.FD
	if m.FromHost {
		p.About("bind", m.Target)
		p.Hint(plan.ErrCheck, "not that file system on the host")
		mounted = r.cloneFromHost(name, m.Flags, magic)
	} else {
		p.About("mount "+m.Type, m.Target)
		p.Hint(unix.EPERM, "in a container, where something in it is hidden, a user namespace may "+
			"not have a new one: use -ns without user")
		mounted = r.newMount(m)
	}
	p.Name(mounted, m.Target)
	p.About("mount "+m.Type, m.Target)
	p.Hint(unix.ELOOP, "is a symbolic link in the root file system, or lies behind one")
	p.Hint(unix.ENOTDIR, "is a file in the root file system")
	p.Hint(plan.ErrCheck, "is no longer what was mounted there")
	p.Mkdirat(r.root, name, 0o755)
	p.Allow(unix.EEXIST)
	p.MoveMountTo(mounted, r.openDirectory(name))
	it, there := p.Statx(mounted), r.openDirectory(name)
	p.MustMatch(p.Statx(there), it, plan.StatxMount)
	p.Close(there)
	return mounted
}

func (r *Root) openDirectory(name string) plan.FD {
	return r.p.Openat2(r.root, name, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS)
}

// newMount makes a detached mount of a new file system.
func (r *Root) newMount(m Mount) plan.FD {
	p := r.p
	fs := p.Fsopen(m.Type)
	p.FsconfigString(fs, "source", m.Type) // as mount(8) shows it
	for option := range strings.SplitSeq(m.Options, ",") {
		if key, value, both := strings.Cut(option, "="); both {
			p.FsconfigString(fs, key, value)
		}
	}
	p.FsconfigCreate(fs)
	mounted := p.Fsmount(fs, attributes(m.Flags))
	p.Close(fs)
	return mounted
}

// cloneFromHost makes a detached mount of a directory of the host, with all that is mounted below
// it.
func (r *Root) cloneFromHost(name string, flags uintptr, magic uint64) plan.FD {
	p := r.p
	tree := p.OpenTree(r.host, name, unix.AT_RECURSIVE)
	p.Must(p.Statfs(tree), 0, ^uint64(0), magic)
	p.MountSetattr(tree, unix.AT_RECURSIVE, unix.MountAttr{Attr_set: attributes(flags)})
	if flags&unix.MS_RDONLY == 0 {
		// All mounts of the host are read-only by now. Those below it may have been that before, in
		// a container, and a user namespace may not change it (mount_namespaces(7)): they stay so.
		p.MountSetattr(tree, 0, unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}
	return tree
}

// attributes are flags of mount(2) as those of fsmount(2). The ones that are used here have the
// same values, but for this.
func attributes(flags uintptr) uint64 {
	if flags&unix.MS_STRICTATIME != 0 {
		return uint64(flags)&^unix.MS_STRICTATIME | unix.MOUNT_ATTR_STRICTATIME
	}
	return uint64(flags)
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
	if m.Type == "mqueue" { // a kernel without message queues has none to show
		r.p.Allow(unix.ENODEV)
	}
}

// controllersOf are the names by which programs look for a hierarchy of several controllers, as in
// cpu,cpuacct: hosts have links of these names.
func controllersOf(hierarchy string) []string {
	if !strings.Contains(hierarchy, ",") {
		return nil
	}
	return strings.Split(hierarchy, ",")
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
			for _, controller := range controllersOf(below) {
				p.Symlinkat(below, cover, controller)
			}
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
