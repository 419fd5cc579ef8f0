// Package wholefile writes files whole, or not at all.
package wholefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write has a file of a mode written by a function. A reader finds the old file or the new one, and
// never a part. What is there already and is no regular file, such as /dev/stderr, is written to.
func Write(name string, mode os.FileMode, write func(*os.File) error) error {
	return put(name, mode, func(f *os.File) error { return errors.Join(write(f), f.Sync()) }, write)
}

// WriteSoon is Write for a file that can be made again: it does not wait for the disk (fsync(2)). A
// machine that loses its power before the disk has the file may have an empty one.
func WriteSoon(name string, mode os.FileMode, write func(*os.File) error) error {
	return put(name, mode, write, write)
}

// put has a regular file written by one function, and any other by another.
func put(name string, mode os.FileMode, write, writeOther func(*os.File) error) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(writeOther(f), f.Close())
	}
	// Its name is one that nobody else has: what a killed writer has left is in nobody's way.
	next := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()+".new")
	path := (*os.PathError)(nil)
	if err := replace(name, next, mode, write); errors.As(err, &path) && path.Path == next {
		// Nobody has asked for the file that is to replace the other.
		return &os.PathError{Op: "write", Path: name, Err: path.Err}
	} else if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// replace writes a new file beside the one that it replaces.
func replace(name, next string, mode os.FileMode, write func(*os.File) error) error {
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, name); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}
