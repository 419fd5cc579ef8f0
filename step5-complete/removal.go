//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// remove removes the cgroup. A process is left in it only where there is no pid namespace to end with
// the command; it is killed. The last ones take a moment to go.
func (c *cgroup) remove() (err error) {
	for _, dir := range c.dirs {
		removeErr := removeTree(dir.Name())
		for tries := 0; errors.Is(removeErr, unix.EBUSY) && tries < 500; tries++ {
			killTree(dir.Name())
			time.Sleep(10 * time.Millisecond)
			removeErr = removeTree(dir.Name())
		}
		if removeErr != nil {
			err = errors.Join(err, fmt.Errorf("cgroup: remove %s: %w", dir.Name(), removeErr))
		}
	}
	return err
}

// removeTree removes a cgroup, and before that those that somebody made below it.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	for _, below := range tree(dir) {
		err = unix.Rmdir(below)
	}
	return err // the last was dir itself
}

// killTree kills the processes in a cgroup and below it. It may have to be repeated: they fork.
func killTree(dir string) {
	for _, below := range tree(dir) {
		procs, _ := os.ReadFile(filepath.Join(below, "cgroup.procs"))
		for field := range bytes.FieldsSeq(procs) {
			if pid, err := strconv.Atoi(string(field)); err == nil && pid > 0 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// tree lists a cgroup and those below it, each after those below itself.
func tree(dir string) (dirs []string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append([]string{path}, dirs...)
		}
		return nil
	})
	return dirs
}
