//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A runtime that was killed could not remove its cgroup, so the next one does. It knows a stale one by
// its lock: flock(2) holds as long as its runtime lives.

// makeLocked makes a directory and locks it; before that it removes all that are stale.
func makeLocked(dir string) (*os.File, error) {
	// Nobody may take a directory for stale that is made and not locked yet.
	root, err := lock(cgroupRoot, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, pattern := range []string{filepath.Dir(dir) + "/container-*", cgroupRoot + "/*/container-*"} { // version 2, version 1
		others, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, other := range others {
			if f, err := lock(other, unix.LOCK_EX|unix.LOCK_NB); err == nil {
				_ = unix.Rmdir(other) // busy with a process that is about to go, or with one of another program
				f.Close()
			}
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return lock(dir, unix.LOCK_EX)
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
