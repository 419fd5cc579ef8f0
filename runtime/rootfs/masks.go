//go:build linux

package rootfs

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

// What is hidden tells about the host or reaches into its kernel, and what is read-only can be read
// and not written to. The lists are those of the OCI runtimes. A kernel need not have all of them,
// but some are there whatever it was built and started with.
var (
	maskedInProc = []struct {
		name        string
		dir, always bool
	}{
		{name: "acpi", dir: true},
		{name: "asound", dir: true},
		{name: "interrupts", always: true},
		{name: "kcore"},
		{name: "keys"},
		{name: "latency_stats"},
		{name: "timer_list"},
		{name: "timer_stats"},
		{name: "sched_debug"},
		{name: "scsi", dir: true},
	}
	maskedInSys    = []string{"firmware", "devices/virtual/powercap"}
	readOnlyInProc = []struct {
		name   string
		always bool
	}{
		{name: "bus", always: true},
		{name: "fs", always: true},
		{name: "irq", always: true},
		{name: "sys", always: true},
		{name: "sysrq-trigger"},
	}
)

// MaskedPaths are what is hidden, as paths of the container.
func MaskedPaths() (paths []string) {
	for _, m := range maskedInProc {
		paths = append(paths, "/proc/"+m.name)
	}
	for _, name := range append(maskedInSys, throttles()...) {
		paths = append(paths, "/sys/"+name)
	}
	return paths
}

// ReadOnlyPaths are what cannot be written to, as paths of the container.
func ReadOnlyPaths() (paths []string) {
	for _, r := range readOnlyInProc {
		paths = append(paths, "/proc/"+r.name)
	}
	return paths
}

// throttles are directories of sysfs that tell how hot the processors are, and so what others do.
func throttles() (names []string) {
	const dir = "devices/system/cpu"
	text, err := files.Read("/sys/" + dir + "/possible") // 0-3, or 0,2-3
	text = strings.TrimSpace(text)
	last, _ := strconv.Atoi(text[strings.LastIndexAny(text, ",-")+1:])
	for i := range last + 1 {
		name := fmt.Sprintf("%s/cpu%d/thermal_throttle", dir, i)
		if err != nil || unix.Access("/sys/"+name, unix.F_OK) == nil {
			names = append(names, name)
		}
	}
	return names
}

// hide mounts /dev/null over files, and an empty file system over directories. What has a mount on
// it stays hidden even in a new user and mount namespace (mount_namespaces(7)). null is a
// descriptor that is free.
func (r *Root) hide(null plan.FD) {
	p := r.p
	p.About("open", "/dev/null")
	p.Dup3(p.Openat2(r.dev, "null", unix.O_PATH, unix.RESOLVE_NO_SYMLINKS), null, unix.O_CLOEXEC)
	p.Fchdir(r.proc)
	// There is a path to it in this proc. So ENOENT is about what is to be hidden, from here on.
	p.PathOf(null, r.proc)
	for _, m := range maskedInProc {
		p.About("mask", "/proc/"+m.name)
		if m.dir {
			r.coverDirectory(m.name)
			continue
		}
		p.BindFD(null, m.name)
		if !m.always || r.mayBePart() {
			p.Allow(unix.ENOENT)
		}
	}
	for _, name := range readOnlyInProc {
		r.makeReadOnly(name.name, name.always && !r.mayBePart())
	}
	p.Fchdir(r.sys)
	for _, name := range append(maskedInSys, throttles()...) {
		p.About("mask", "/sys/"+name)
		r.coverDirectory(name)
	}
}

// mayBePart tells whether not all need be in the container's /proc that is always there: that of
// the host may show its processes alone (proc(5), subset=pid).
func (r *Root) mayBePart() bool { return procMount(r.c).FromHost }

// makeReadOnly does so for a file or directory of proc, with what is mounted below it.
func (r *Root) makeReadOnly(name string, always bool) {
	p := r.p
	p.About("make read-only", "/proc/"+name)
	tree := p.OpenTree(r.proc, name, unix.AT_RECURSIVE)
	then := func() {
		p.MountSetattr(tree, unix.AT_RECURSIVE,
			unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		p.MoveMount(tree, r.proc, name)
		p.Close(tree)
	}
	if always {
		then()
	} else {
		p.Unless(then, unix.ENOENT)
	}
}

func (r *Root) coverDirectory(name string) {
	r.p.Mount("tmpfs", name, noSuidExecDev|unix.MS_RDONLY, "size=0,nr_inodes=1")
	r.p.Allow(unix.ENOENT)
}
