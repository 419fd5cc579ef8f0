//go:build linux

package main

import (
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupMounts show the container its own cgroup; only a cgroup namespace makes that the root of what it
// sees. On version 1 of cgroups(7) it is one file system for each hierarchy, those with limits.
func cgroupMounts() (mounts []mount) {
	const flags = noSuidExecDev | unix.MS_RDONLY
	if !has(unix.CLONE_NEWCGROUP) {
		return nil
	}
	var cgroups []mount
	if cgroupV2() {
		cgroups = []mount{{"cgroup2", cgroupRoot, flags, "", ""}}
	} else {
		cgroups = hierarchyMounts(flags)
	}
	// With the network of the host the container has its /sys, and without a cover all the cgroups in it. The hierarchies
	// of version 1 want directories.
	if !has(unix.CLONE_NEWNET) || !cgroupV2() && len(cgroups) > 0 {
		mounts = []mount{{"tmpfs", cgroupRoot, noSuidExecDev, "mode=755,size=64k", ""}}
	}
	return append(mounts, cgroups...)
}

// hierarchyMounts are those of version 1.
func hierarchyMounts(flags uintptr) (mounts []mount) {
	hierarchies, _ := os.ReadFile("/proc/self/cgroup") // none: no cgroups
	for line := range strings.Lines(string(hierarchies)) {
		fields := strings.Split(line, ":")
		for _, l := range limits {
			if dir := path.Join(cgroupRoot, fields[1]); strings.Contains(","+fields[1]+",", ","+l.controller+",") && l.v1 != "" && !l.optional {
				mounts = append(mounts, mount{"cgroup", dir, flags, fields[1], ""})
			}
		}
	}
	return mounts
}
