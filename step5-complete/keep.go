//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

var keep = flag.String("keep", "", "`DIR` for what the container writes, to be kept and used again")

// kept is the directory, with the lock of this container: flock(2) holds as long as it is open, and the parent lives.
var kept *os.File

// takeKept makes the directory for -keep, or takes an empty one. It belongs to root of the container, and nobody else
// on the host has a way into it: a setuid file of the container is none for the users of the host.
func takeKept() error {
	if *keep == "" {
		return nil
	}
	if err := unix.Mkdir(*keep, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("keep %q: %w", *keep, err)
	}
	var err error
	kept, err = lock(*keep+"/", unix.LOCK_EX|unix.LOCK_NB) // the slash: a pipe would be waited for
	if errors.Is(err, unix.EWOULDBLOCK) {                  // what two overlays do with one upper layer is undefined (overlayfs.rst)
		return fmt.Errorf("keep %q: in use by another container", *keep)
	}
	if err == nil {
		err = prepareKept(kept)
	}
	if err != nil {
		return fmt.Errorf("keep %q: %w", *keep, err)
	}
	return nil
}

// prepareKept changes nothing about a directory that may be of use to somebody else.
func prepareKept(dir *os.File) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	uid, gid := rootOnHost()
	switch {
	case int(stat.Uid) == uid && slices.Contains(names, "upper") && slices.Contains(names, "work"):
		return nil // of a container that was here before
	case len(names) > 0 || stat.Mode&0o002 != 0:
		return errors.New("neither an empty directory of one's own nor what a container with the same ids has kept")
	}
	if err := unix.Fchown(int(dir.Fd()), uid, gid); err != nil {
		return fmt.Errorf("chown: %w", err)
	}
	if err := unix.Fchmod(int(dir.Fd()), 0o700); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	defer unix.Umask(unix.Umask(0)) // the mode of upper is that of / in the container
	for _, name := range []string{"work", "upper"} {
		if err := unix.Mkdirat(int(dir.Fd()), name, 0o755); err != nil {
			return fmt.Errorf("mkdir %q: %w", name, err)
		}
		if err := unix.Fchownat(int(dir.Fd()), name, uid, gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("chown %q: %w", name, err)
		}
	}
	return nil
}
