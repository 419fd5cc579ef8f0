//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// place returns the directory of the cgroup with this name, and the file of the limit in it.
func (l limit) place(name string) (dir, file string) {
	if version2() {
		return filepath.Join("/sys/fs/cgroup", name), l.v2
	}
	return filepath.Join("/sys/fs/cgroup", l.controller, name), l.v1
}

func version2() bool {
	var fs unix.Statfs_t
	err := unix.Statfs("/sys/fs/cgroup", &fs)
	return err == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// joinCgroup makes the cgroup, sets its limits and moves a process there. What that process starts
// from now on is born there too. Without limits there is no cgroup.
func joinCgroup(name string, pid int) error {
	for _, l := range limits {
		dir, file := l.place(name)
		if file == "" {
			continue
		}
		if version2() {
			// A cgroup has the files of the controllers that the cgroup above passes on.
			above := filepath.Join(filepath.Dir(dir), "cgroup.subtree_control")
			if err := write(above, "+"+l.controller); err != nil {
				return err
			}
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err // that it exists means: it was made for another limit
		}
		err := write(filepath.Join(dir, file), l.value)
		if err != nil && !(l.optional && errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("%s: %w", l.flag, err)
		}
		if err := write(filepath.Join(dir, "cgroup.procs"), pid); err != nil {
			return err
		}
	}
	return nil
}

// write writes to a file that is there. os.WriteFile would make a missing file, and nothing would
// be limited where no cgroups are mounted.
func write(file string, value any) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprint(f, value)
	return err
}

// removeCgroup removes the cgroup. It succeeds when no process is left there: process 1 of a pid
// namespace takes all others with it.
func removeCgroup(name string) error {
	for _, l := range limits {
		dir, _ := l.place(name)
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // removed for another limit
			return err
		}
	}
	return nil
}
