//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// cgroup is the container's: one directory on version 2 of cgroups(7), one for each controller on
// version 1. There is none as long as nothing is limited.
type cgroup struct {
	dirs  []*os.File // each with a lock on it: see makeLocked
	tasks []*os.File // version 1: where the child joins
	pids  []*os.File // where the child writes the limit of processes: see applyPidsLimit
}

const cgroupRoot = "/sys/fs/cgroup"

// make makes the cgroup and sets its limits, unless that is done.
func (c *cgroup) make() error {
	if len(c.dirs) > 0 {
		return nil
	}
	base, err := cgroupBase()
	if err != nil || len(limits) == 0 {
		return err
	}
	removeStale(base)
	name := newCgroupName()
	for _, l := range limits {
		dir, file := base, l.v2
		if !cgroupV2() {
			dir, file = filepath.Join(base, l.controller), l.v1
		}
		if file == "" {
			continue
		}
		dir = filepath.Join(dir, name)
		if err := c.makeDir(dir); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		if err := c.limit(l, filepath.Join(dir, file)); err != nil {
			return fmt.Errorf("limit %d: %w", l.value, err)
		}
	}
	return nil
}

func (c *cgroup) limit(l limit, file string) error {
	if _, err := os.Stat(file); err != nil && l.optional {
		return nil
	}
	trace("write %s: %d", file, l.value)
	if l.controller != "pids" {
		return os.WriteFile(file, fmt.Append(nil, l.value), 0)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	c.pids = []*os.File{f}
	return err
}

// makeDir makes one directory, if this container has not made it yet.
func (c *cgroup) makeDir(dir string) error {
	for _, made := range c.dirs {
		if made.Name() == dir {
			return nil
		}
	}
	f, err := makeLocked(dir)
	if err != nil {
		return err
	}
	c.dirs = append(c.dirs, f)
	if cgroupV2() {
		return nil
	}
	// Writing to tasks moves the thread that writes, and costs less than moving another process does.
	tasks, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
	c.tasks = append(c.tasks, tasks)
	return err
}

// cloneInto makes the child begin its life in the cgroup (CLONE_INTO_CGROUP of clone(2)), on version 2.
func (c *cgroup) cloneInto(attr *syscall.SysProcAttr) {
	if len(c.dirs) > 0 && cgroupV2() {
		attr.UseCgroupFD, attr.CgroupFD = true, int(c.dirs[0].Fd())
	}
}
