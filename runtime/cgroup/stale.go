//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A runtime that was killed could not remove its cgroup, so a later one does. It knows a stale one
// by its lock, which flock(2) holds as long as its runtime lives. The number of a process would not
// tell: it is used again, and two pid namespaces have the same ones. So the names are random, and
// of a form that no other program has.

const namePrefix = "container-"

func newName() string { return fmt.Sprintf("%s%016x", namePrefix, rand.Uint64()) }

// isName tells whether newName made a name.
func isName(name string) bool {
	digits, ok := strings.CutPrefix(name, namePrefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// makeLocked makes a directory, locks it and returns a descriptor of it. Another runtime may be
// faster and take it for stale: then it is made again. Until it is locked only this user may open
// it: anybody who can open a directory can lock it, and make others wait.
func makeLocked(dir string) (fd int, err error) {
	for {
		if err := unix.Mkdir(dir, 0o700); err != nil {
			return -1, fmt.Errorf("mkdir %s: %w", dir, err)
		}
		fd, err := lock(dir, unix.LOCK_EX)
		if err == nil {
			if err = unix.Chmod(dir, 0o755); err == nil { // the container may look at it
				return fd, nil
			}
			unix.Close(fd)
		}
		_ = unix.Rmdir(dir)
		if !errors.Is(err, unix.ENOENT) {
			return -1, err
		}
	}
}

// removeStale removes those that are stale: below the bases and each directory above them, in the
// root of each hierarchy of version 1, and in the slices of systemd, which are where others have
// made theirs. One runtime at a time is enough for that, and the others do not wait for it.
func removeStale(bases ...string) {
	all, err := lock(root, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return
	}
	defer unix.Close(all)
	for _, dir := range bases {
		for ; len(dir) > len(root); dir = filepath.Dir(dir) {
			removeStaleIn(dir)
		}
	}
	for _, name := range removeStaleIn(root) {
		removeStaleInSlices(filepath.Join(root, name))
	}
}

// removeStaleInSlices looks in a directory, and in the slices in it.
func removeStaleInSlices(dir string) {
	for _, name := range removeStaleIn(dir) {
		if strings.HasSuffix(name, ".slice") {
			removeStaleInSlices(filepath.Join(dir, name))
		}
	}
}

// removeStaleIn looks in one directory, and returns what else is in it.
func removeStaleIn(dir string) (others []string) {
	for _, name := range list(dir) {
		if !isName(name) {
			others = append(others, name)
			continue
		}
		stale := filepath.Join(dir, name)
		if fd, err := lock(stale, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			// A process in it outlived its runtime, or is about to go. An error is for the
			// next one to see.
			_ = killAndRemove(stale)
			unix.Close(fd)
		}
	}
	return others
}

// list returns the names in a directory, and nothing if it is none.
func list(dir string) (names []string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	buffer := make([]byte, 1<<14)
	for {
		n, err := unix.Getdents(fd, buffer)
		if err != nil || n == 0 {
			return names
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
}

func lock(dir string, how int) (fd int, err error) {
	fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	for {
		if err = unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("flock %s: %w", dir, err)
	}
	return fd, nil
}
