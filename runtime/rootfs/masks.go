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
// and not written to. The lists are those of the OCI runtimes. A kernel need not have all of them.
var (
	maskedInProc = []struct {
		name string
		dir  bool
	}{
		{"acpi", true},
		{"asound", true},
		{"interrupts", false},
		{"kcore", false},
		{"keys", false},
		{"latency_stats", false},
		{"timer_list", false},
		{"timer_stats", false},
		{"sched_debug", false},
		{"scsi", true},
	}
	maskedInSys    = []string{"firmware", "devices/virtual/powercap"}
	readOnlyInProc = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
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
	for _, name := range readOnlyInProc {
		paths = append(paths, "/proc/"+name)
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
	for _, m := range maskedInProc {
		p.About("mask", "/proc/"+m.name)
		if m.dir {
			r.coverDirectory(m.name)
			continue
		}
		p.BindFD(null, m.name)
		p.Allow(unix.ENOENT)
	}
	for _, name := range readOnlyInProc {
		p.About("make read-only", "/proc/"+name)
		tree := p.OpenTree(r.proc, name, unix.AT_RECURSIVE)
		p.Unless(func() {
			p.MountSetattr(tree, unix.AT_RECURSIVE,
				unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
			p.MoveMount(tree, r.proc, name)
			p.Close(tree)
		}, unix.ENOENT)
	}
	p.Fchdir(r.sys)
	for _, name := range append(maskedInSys, throttles()...) {
		p.About("mask", "/sys/"+name)
		r.coverDirectory(name)
	}
}

func (r *Root) coverDirectory(name string) {
	r.p.Mount("tmpfs", name, noSuidExecDev|unix.MS_RDONLY, "size=0,nr_inodes=1")
	r.p.Allow(unix.ENOENT)
}
