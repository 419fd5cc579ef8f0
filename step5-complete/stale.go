//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A runtime that was killed could not remove its cgroup, so a later one does. It knows a stale one by its lock, which
// flock(2) holds as long as its runtime lives. The number of a process would not tell: it is used again, and two pid
// namespaces have the same ones. So the names are random, and of a form that no other program has.

func newCgroupName() string { return fmt.Sprintf("container-%016x", rand.Uint64()) }

var cgroupNames = "container-" + strings.Repeat("[0-9a-f]", 16) // as a pattern (glob(7))

// makeLocked makes a directory and locks it. Another runtime may be faster and take it for stale: then it is made again.
// Until it is locked only this user may open it: who can open a directory can lock it, and make others wait.
func makeLocked(dir string) (*os.File, error) {
	for {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		f, err := lock(dir, unix.LOCK_EX)
		if err == nil {
			err = os.Chmod(dir, 0o755) // the container may look at it
		}
		if err == nil {
			return f, nil
		}
		f.Close()
		_ = unix.Rmdir(dir)
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// removeStale removes those that are stale: below base, and in all hierarchies of version 1. One runtime at a time is
// enough for that, and the others do not wait for it.
func removeStale(base string) {
	root, err := lock(cgroupRoot, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return
	}
	defer root.Close()
	for _, above := range []string{base, cgroupRoot + "/*"} {
		found, _ := filepath.Glob(filepath.Join(above, cgroupNames)) // the pattern is well-formed
		for _, dir := range found {
			if f, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
				_ = removeTree(dir) // busy with a process that is about to go, or with one of another program
				f.Close()
			}
		}
	}
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
