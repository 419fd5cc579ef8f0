//go:build linux

package main

// Chapter b: Devices, and what the kernel shows. Not all of /proc and /sys belongs to a namespace:
// these lists, which are those of the OCI runtimes, name what is still the host's.

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// masked tell about the host, or reach into its kernel.
var masked = []string{
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
}

// readOnly can be read. Written to, they would change the host.
var readOnly = []string{
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}

// hidePaths covers a masked directory by an empty one and a masked file by /dev/null, and makes the
// others read-only. No kernel has all of them.
func hidePaths() {
	for _, path := range masked {
		const flags = noSuidExecDev | unix.MS_RDONLY
		err := unix.Mount("tmpfs", path, "tmpfs", flags, "size=0,nr_inodes=1")
		if errors.Is(err, unix.ENOTDIR) {
			err = unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		}
		if !errors.Is(err, os.ErrNotExist) {
			must(err, "mask %s", path)
		}
	}
	for _, path := range readOnly {
		err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(err, "bind %s", path)
		// "Read-only" is a property of a mount, and so each of these paths has become one. A user
		// namespace has to keep the other flags that a mount has (mount_namespaces(7)).
		attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		must(unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, attr), "read-only %s", path)
	}
}
