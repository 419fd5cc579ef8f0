//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A runtime that was killed could not remove its cgroup, so the next one does. It knows a stale one by
// its lock: flock(2) holds as long as its runtime lives.

// makeLocked makes a directory and locks it. Nobody may take it for stale when it is made and not locked yet.
func makeLocked(dir string) (*os.File, error) {
	root, err := lock(cgroupRoot, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return lock(dir, unix.LOCK_EX)
}

// removeStale removes those that are stale: below base, and in all hierarchies of version 1.
func removeStale(base string) error {
	root, err := lock(cgroupRoot, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, pattern := range []string{base + "/container-*", cgroupRoot + "/*/container-*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, dir := range found {
			pid := strings.TrimPrefix(filepath.Base(dir), "container-")
			if unix.Access("/proc/"+pid, unix.F_OK) == nil { // most of them, when there are many
				continue
			}
			if f, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
				_ = unix.Rmdir(dir) // busy with a process that is about to go, or with one of another program
				f.Close()
			}
		}
	}
	return nil
}

func lock(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s: %w", dir, err)
	}
	return f, nil
}

// killAll kills the processes in a cgroup. It may have to be repeated: they fork.
func killAll(dir string) {
	procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for field := range bytes.FieldsSeq(procs) {
		if pid, err := strconv.Atoi(string(field)); err == nil && pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
