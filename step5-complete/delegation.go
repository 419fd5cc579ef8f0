//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func cgroupV2() bool {
	var fs unix.Statfs_t
	return unix.Statfs(cgroupRoot, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// cgroupBase is the directory in which the container's cgroup is made. On version 2 that is the first one which passes on the
// controllers of the limits: the root of the hierarchy for root, and for others a cgroup above their own that was delegated to
// them (cgroups(7), cgroups delegation). Their own has processes, and may not.
func cgroupBase() (dir string, err error) {
	if !cgroupV2() || len(limits) == 0 {
		return cgroupRoot, nil
	}
	if err = passOn(cgroupRoot); err == nil {
		return cgroupRoot, nil
	}
	own, _ := os.ReadFile("/proc/self/cgroup")
	_, path, _ := strings.Cut(strings.TrimSpace(string(own)), "::")
	for dir := filepath.Join(cgroupRoot, path); len(dir) > len(cgroupRoot); dir = filepath.Dir(dir) {
		if passOn(dir) == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("cgroup: %w (no cgroup with the controllers was delegated to this user)", err)
}

// passOn makes sure that the cgroups in dir can have the limits, and that one can be made there.
func passOn(dir string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	for _, l := range limits {
		err := os.WriteFile(file, []byte("+"+l.controller), 0)
		if err == nil {
			continue
		}
		if enabled, _ := os.ReadFile(file); !slices.Contains(strings.Fields(string(enabled)), l.controller) {
			return err
		}
	}
	return unix.Access(dir, unix.W_OK)
}
