//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var readOnlyRoot = flag.Bool("read-only", false, "nothing can be written to the root file system")

// maskedPaths are hidden, because they tell about the host or reach into its kernel. readOnlyPaths can be read and
// not written to. Both lists are those of the OCI runtimes.
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
		"/sys/firmware", "/sys/devices/virtual/powercap",
	}
	maskedPattern = "/sys/devices/system/cpu/cpu*/thermal_throttle"
	readOnlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// hidePaths covers what a kernel has of them. They lie in the proc and sysfs that were mounted here.
func hidePaths() error {
	throttles, _ := filepath.Glob(maskedPattern) // the pattern is well-formed
	for _, path := range append(maskedPaths, throttles...) {
		if err := mask(path); err != nil {
			return fmt.Errorf("mask %q: %w", path, err)
		}
	}
	for _, path := range readOnlyPaths {
		if err := makeReadOnly(path); err != nil {
			return fmt.Errorf("make %q read-only: %w", path, err)
		}
	}
	return nil
}

// mask mounts /dev/null over a file, and an empty file system over a directory. What has a mount on it stays hidden
// even in a new user and mount namespace (mount_namespaces(7)).
func mask(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	trace("mask %s", path)
	if info.IsDir() {
		return unix.Mount("tmpfs", path, "tmpfs", noSuidExecDev|unix.MS_RDONLY, "size=0,nr_inodes=1")
	}
	return unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
}

func makeReadOnly(path string) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	trace("mount_setattr %s ro", path)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
		return err
	}
	return attach(fd, path)
}
