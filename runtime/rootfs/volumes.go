//go:build linux

package rootfs

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// mountVolumes mounts the trees of the volumes. Their targets may lie behind links of the root file
// system, which lead to a place inside (CVE-2021-30465), but not to one that the flags may not name
// (CVE-2025-52881). free is a descriptor that calls may give a meaning.
func (r *Root) mountVolumes(free plan.FD) error {
	p := r.p
	if len(r.c.Volumes) == 0 {
		return nil
	}
	p.About("open", "/dev")
	dev := p.Statx(r.dev)
	for i, v := range r.c.Volumes {
		var source unix.Stat_t
		// That it is missing, open_tree(2) says, at its place in the list.
		if err := unix.Stat(v.Source, &source); err != nil && !isMissing(err) {
			return fmt.Errorf("volume %q: %w", v.Source, err)
		}
		if isDevice(&source) && deviceOf(&source) == 0 {
			return fmt.Errorf("volume %q: %s", v.Source, noDevice)
		}
		directory := source.Mode&unix.S_IFMT == unix.S_IFDIR
		p.Asked("volume", v.Target)
		p.Hint(plan.ErrCheck, "leads to / or /dev, or into /proc or /sys")
		p.Hint(unix.ENOENT, "a link of the root file system leads to nowhere")
		target := r.openInside(strings.Split(v.Target[1:], "/"), directory)
		r.mustNotBeRoot(target, dev)
		r.mustBeOutsideKernel(target)
		r.mustBeElsewhere(target, free)
		p.Asked("volume", v.Target)
		if at := p.Statx(target); directory {
			p.Hint(plan.ErrCheck, fmt.Sprintf("is a file, and %q is a directory", v.Source))
			p.Must(at, plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFDIR))
		} else {
			p.Hint(plan.ErrCheck, fmt.Sprintf("is a directory, and %q is a file", v.Source))
			p.MustNot(at, plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFDIR))
		}
		p.MoveMountTo(r.trees.volumes(r.c)[i], target)
		p.Close(target)
	}
	r.mustBeSeen()
	return nil
}

// mustBeSeen adds calls that fail if a volume hides another one, whose target is below its own by
// way of a link: they are in the order of their depth as the flags have it. Of several with the
// same target the last one counts.
func (r *Root) mustBeSeen() {
	p := r.p
	for i, v := range r.c.Volumes[:len(r.c.Volumes)-1] {
		same := func(later config.Volume) bool { return later.Target == v.Target }
		if slices.ContainsFunc(r.c.Volumes[i+1:], same) {
			continue
		}
		p.Asked("volume", v.Target)
		for _, errno := range []unix.Errno{plan.ErrCheck, unix.ENOENT, unix.ENOTDIR} {
			p.Hint(errno, "is hidden by another volume")
		}
		it := p.Statx(r.trees.volumes(r.c)[i])
		there := p.Openat2(r.root, v.Target[1:], unix.O_PATH, unix.RESOLVE_IN_ROOT)
		p.MustMatch(p.Statx(there), it, plan.StatxMount)
		p.Close(there)
	}
}

// mustBeElsewhere adds calls that fail if a descriptor leads to /, which is then covered where
// nobody sees it, or to a path below /proc or /sys, where there are other file systems too: the
// masks, and the cgroups.
func (r *Root) mustBeElsewhere(target, free plan.FD) {
	p := r.p
	p.Dup3(target, free, unix.O_CLOEXEC)
	path := p.PathOf(free, r.proc)
	p.MustNotBegin(path, "/\x00")
	for _, dir := range []string{"/proc", "/sys"} {
		p.MustNotBegin(path, dir+"\x00")
		p.MustNotBegin(path, dir+"/")
	}
}

// mustNotBeRoot adds calls that fail if a descriptor leads to the root of a mount, whose attributes
// are those.
func (r *Root) mustNotBeRoot(target plan.FD, attributes plan.Buffer) {
	p := r.p
	p.MustMatch(p.Statx(target), attributes, plan.StatxMount)
	p.Unless(func() {
		p.MustNot(p.Statx(target), plan.StatxAttributes, unix.STATX_ATTR_MOUNT_ROOT,
			unix.STATX_ATTR_MOUNT_ROOT)
	}, plan.ErrCheck) // on another mount
}

// openInside opens a path as the container sees it, which never leads out of its root, and makes
// what is not there of it: a directory, or a file. It does not follow links to descriptors of this
// process (proc_pid_fd(5)).
func (r *Root) openInside(names []string, directory bool) plan.FD {
	p := r.p
	above := r.root
	for i, name := range names {
		if last := i == len(names)-1; directory || !last {
			p.Mkdirat(above, name, 0o755)
		} else {
			p.Mknodat(above, name, 0o644)
		}
		p.Allow(unix.EEXIST)
		fd := p.Openat2(r.root, strings.Join(names[:i+1], "/"), unix.O_PATH, unix.RESOLVE_IN_ROOT)
		if i > 0 {
			p.Close(above)
		}
		above = fd
	}
	return above
}

// isMissing tells whether a path can't be looked up, for this user.
func isMissing(err error) bool {
	return err == unix.ENOENT || err == unix.ENOTDIR || err == unix.EACCES
}
