//go:build linux

package rootfs

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/plan"
)

// mountVolumes mounts the trees of the volumes. Their targets may lie behind links of the root file
// system, which lead to a place inside (CVE-2021-30465), but not to the kernel's own file systems
// (CVE-2025-52881), nor to /dev.
func (r *Root) mountVolumes() error {
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
		p.Asked("volume", v.Target)
		p.Hint(plan.ErrCheck, "leads into /proc or /sys, or to /dev")
		// If that changes, it is mounted nowhere: move_mount(2), ENOTDIR.
		directory := source.Mode&unix.S_IFMT == unix.S_IFDIR
		target := r.openInside(strings.Split(v.Target[1:], "/"), directory)
		r.mustBeOutsideKernel(target)
		at := p.Statx(target)
		p.MustMatch(at, dev, plan.StatxMount)
		p.Unless(func() {
			p.MustNot(p.Statx(target), plan.StatxAttributes, unix.STATX_ATTR_MOUNT_ROOT,
				unix.STATX_ATTR_MOUNT_ROOT)
		}, plan.ErrCheck) // on another mount
		p.MoveMountTo(r.trees.volumes(r.c)[i], target)
		p.Close(target)
	}
	return nil
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
