//go:build linux

package layer

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// This is how overlayfs writes down what is not there (overlayfs.rst, whiteouts and opaque
// directories). A whiteout is a character device 0/0, which a user namespace may make, too. The
// attributes have two names: trusted.* is for overlays that root of the host mounts, and nobody
// else can set it; user.* is for those that are mounted with the option userxattr.
const (
	trustedPrefix = "trusted.overlay."
	userPrefix    = "user.overlay."
	opaque        = "opaque"
	origin        = "origin"
)

func isOverlays(attribute string) bool {
	return strings.HasPrefix(attribute, trustedPrefix) || strings.HasPrefix(attribute, userPrefix)
}

func isWhiteout(stat *unix.Stat_t) bool {
	return stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == 0
}

func isOpaque(dir int, name string) bool {
	for _, prefix := range []string{trustedPrefix, userPrefix} {
		if value, err := getAttribute(dir, name, prefix+opaque); err == nil && value == "y" {
			return true
		}
	}
	return false
}

func setOpaque(dir int, name string) error { return setOverlays(dir, name, opaque, "y") }

// setOverlays sets an attribute of the overlay under both names, or under that which this user may
// set.
func setOverlays(dir int, name, attribute, value string) error {
	path := procPath(dir, name)
	if err := unix.Lsetxattr(path, userPrefix+attribute, []byte(value), 0); err != nil {
		return fmt.Errorf("setxattr %s: %w%s", userPrefix+attribute, err, hintNoAttributes(err))
	}
	err := unix.Lsetxattr(path, trustedPrefix+attribute, []byte(value), 0)
	if err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setxattr %s: %w", trustedPrefix+attribute, err)
	}
	return nil
}

func hintNoAttributes(err error) string {
	if errors.Is(err, unix.ENOTSUP) {
		return " (the file system has no attributes user.*: a tmpfs has them since Linux 6.6)"
	}
	return ""
}

// makeWhiteout hides a name, which must not be in the directory. Where there is no such name in
// the layers below, the kernel would list it all the same, as a file that cannot be looked at, if
// no other layer has the directory: it looks for whiteouts only in directories that are merged, or
// that were once copied up, as the attribute says.
func makeWhiteout(dir int, name string) error {
	if err := unix.Mknodat(dir, name, unix.S_IFCHR, 0); err != nil {
		return fmt.Errorf("make a whiteout: %w", err)
	}
	err := setOverlays(dir, "", origin, "")
	if errors.Is(err, unix.ENOTSUP) {
		return nil // the whiteout works all the same
	}
	return err
}

// procPath is a path to a name in an open directory, or to the directory itself, for system calls
// that take no directory. The kernel keeps a link to each open file in /proc, which no name that
// is changed meanwhile leads astray (proc_pid_fd(5)).
func procPath(dir int, name string) string {
	if name == "" {
		name = "."
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
}

func getAttribute(dir int, name, attribute string) (string, error) {
	value := make([]byte, 256)
	for {
		n, err := unix.Lgetxattr(procPath(dir, name), attribute, value)
		if err == nil {
			return string(value[:n]), nil
		}
		if !errors.Is(err, unix.ERANGE) {
			return "", err
		}
		value = make([]byte, 1<<16) // XATTR_SIZE_MAX
	}
}

// attributes are the names of the extended attributes of a file.
func attributes(dir int, name string) (names []string, err error) {
	list := make([]byte, 1024)
	for {
		n, err := unix.Llistxattr(procPath(dir, name), list)
		if errors.Is(err, unix.ERANGE) {
			list = make([]byte, 1<<16) // XATTR_LIST_MAX
			continue
		}
		if errors.Is(err, unix.ENOTSUP) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for name := range strings.SplitSeq(string(list[:n]), "\x00") {
			if name != "" {
				names = append(names, name)
			}
		}
		return names, nil
	}
}

func readlink(dir int, name string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, target)
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}

func readNames(dir int, name string) ([]string, error) {
	if name == "" {
		name = "."
	}
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	list := os.NewFile(uintptr(fd), name)
	defer list.Close()
	return list.Readdirnames(-1)
}

// openBeneath opens a file by a path from a directory on. The path leads nowhere else: a symbolic
// link in it is an error, and so is what leads out of the directory (openat2(2)).
func openBeneath(dir int, path string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, path, &how)
		// EAGAIN: something was renamed on the machine, and the kernel could not be sure.
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}
