//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// volume is a directory or a file of the host that the container shares.
type volume struct {
	source, target string
	readOnly       bool
}

var volumes []volume

func init() {
	flag.Func("volume", "`SRC:DST[:ro]`, a directory or file of the host for the container", func(s string) error {
		fields := strings.Split(s, ":")
		if len(fields) == 2 {
			fields = append(fields, "rw")
		}
		if len(fields) != 3 || fields[0] == "" || !path.IsAbs(fields[1]) || fields[2] != "ro" && fields[2] != "rw" {
			return errors.New("not SRC:DST[:ro] with an absolute DST")
		}
		target := path.Clean(fields[1])
		for _, taken := range []string{"/", "/proc", "/sys", "/dev"} {
			if target == taken || taken != "/" && strings.HasPrefix(target, taken+"/") && taken != "/dev" {
				return fmt.Errorf("%s is the container's own", target)
			}
		}
		volumes = append(volumes, volume{fields[0], target, fields[2] == "ro"})
		return nil
	})
}

// mountVolumes mounts the trees of the volumes. Their targets may lie behind links of the root file system,
// which lead to a place inside (CVE-2021-30465), but not to the kernel's own file systems (CVE-2025-52881), nor to /dev,
// whose files this child still has to do with.
func mountVolumes(trees []int) error {
	for i, v := range volumes {
		trace("move_mount %s %s", v.source, v.target)
		if err := mountVolume(trees[i], v.target); err != nil {
			return fmt.Errorf("volume %q: %w", v.target, err)
		}
	}
	return nil
}

func mountVolume(tree int, name string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(tree, &stat); err != nil {
		return err
	}
	target, err := openTargetInside(name, stat.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if isOn(target, unix.PROC_SUPER_MAGIC) || isOn(target, unix.SYSFS_MAGIC) || isFile(target, "/dev") {
		return errors.New("leads into /proc or /sys, or to /dev")
	}
	return attachTo(tree, target)
}
