//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

// nameFiles in /etc tell a program what it and others are called: hosts(5), hostname(5) and
// resolv.conf(5).
var nameFiles = []string{"hosts", "hostname", "resolv.conf"}

// WriteNames writes them on the stage, before the host is left. address is that of the container,
// or empty.
func (r *Root) WriteNames(hostname, address string) error {
	p := r.p
	hosts, err := r.hosts(hostname, address)
	if err != nil {
		return err
	}
	resolvers, err := r.resolvers()
	if err != nil {
		return err
	}
	for i, text := range []string{hosts, hostname + "\n", resolvers} {
		name := "etc/" + nameFiles[i]
		p.About("write", "/"+name)
		p.Hint(unix.EFBIG, "ulimit fsize of the caller")
		fd := p.Create(r.stage, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o644, 0)
		p.Write(fd, text)
		p.MustReturn(uint64(len(text)))
		p.Close(fd)
		r.names = append(r.names, p.OpenTree(r.stage, name, 0))
	}
	return nil
}

// localhost are the lines of hosts(5) that every container has.
const localhost = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

// hosts is the hosts(5) of a container: with the network of the host that of the host, with a line
// for its own name if there is none.
func (r *Root) hosts(hostname, address string) (text string, err error) {
	if !r.c.Namespaces.Has(unix.CLONE_NEWNET) {
		if text, err = files.ReadIfThere("/etc/hosts"); err != nil {
			return "", err
		}
	}
	if text == "" {
		text = localhost
	}
	if hasHost(text, hostname) { // that of the host, or localhost
		return text, nil
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if address == "" {
		address = "127.0.1.1"
	}
	line := address + " " + hostname
	// A full name has its first part for an alias.
	if short, _, isFull := strings.Cut(hostname, "."); isFull && short != "" {
		line += " " + short
	}
	return text + line + "\n", nil
}

// hasHost tells whether a text in the form of hosts(5) has a name.
func hasHost(text, name string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); slices.Contains(fields[min(1, len(fields)):], name) {
			return true
		}
	}
	return false
}

// bindNames mounts them over those of the root file system, whatever these are: a link is not
// followed, but covered, as it may lead to nowhere or anywhere. The user hears of those that have
// no place: a root file system may have a directory there, or one that cannot be written to.
func (r *Root) bindNames() {
	p := r.p
	p.About("open", "/etc")
	p.Hint(plan.ErrCheck, "leads into /proc or /sys")
	p.Mkdirat(r.root, "etc", 0o755)
	p.Allow(unix.EEXIST, unix.EROFS, unix.EACCES)
	etc := p.Openat2(r.root, "etc", unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_IN_ROOT)
	p.Note(noPlace, "/etc")
	p.Unless(func() {
		r.mustBeOutsideKernel(etc)
		for i, name := range nameFiles {
			p.About("bind", path.Join("/etc", name))
			r.bindName(etc, name, r.names[i])
		}
	}, unix.ENOENT, unix.ENOTDIR, unix.ELOOP)
}

const noPlace = "names: no place in the root file system for"

func (r *Root) bindName(etc plan.FD, name string, tree plan.FD) {
	p := r.p
	p.Mknodat(etc, name, 0o644)
	p.Allow(unix.EEXIST, unix.EROFS, unix.EACCES) // it may be somebody else's
	target := p.Openat2(etc, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	p.Note(noPlace, path.Join("/etc", name))
	p.Unless(func() {
		p.MustNot(p.Statx(target), plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFDIR))
		p.Note(noPlace, path.Join("/etc", name))
		p.Unless(func() { p.MoveMountTo(tree, target) }, plan.ErrCheck) // a directory
	}, unix.ENOENT)
}

// mustBeOutsideKernel adds calls that fail if a descriptor leads into the kernel's own file systems
// (CVE-2025-52881).
func (r *Root) mustBeOutsideKernel(fd plan.FD) {
	at := r.p.Statfs(fd)
	for _, magic := range []uint64{unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC} {
		r.p.MustNot(at, 0, ^uint64(0), magic)
	}
}

// ReadBelow returns the text of a file in what is below / of a container that is not made. In the
// layers of an image it is that of the uppermost one, unless a layer above hides it; a link leads
// to where it leads in that layer.
func ReadBelow(c *config.Container, name string) (text string, err error) {
	for _, dir := range slices.Backward(c.LowerDirs()) {
		if text, err = ReadInside(dir, name); text != "" || err != nil || hides(dir, name) {
			return text, err
		}
	}
	return "", nil
}

// hides tells whether a layer has a file, or hides those of that name in the layers below: there
// and in place of each directory above may be a whiteout, or whatever else is no directory, and a
// directory may be opaque.
func hides(layer, name string) bool {
	isOpaque, at := hasMark(layer), layer
	for part := range strings.SplitSeq(name, "/") {
		at += "/" + part
		var stat unix.Stat_t
		if err := unix.Lstat(at, &stat); err != nil {
			return isOpaque
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			return true
		}
		isOpaque = isOpaque || hasMark(at)
	}
	return true
}

// hasMark tells whether a directory is opaque.
func hasMark(dir string) bool {
	value := make([]byte, 1)
	for _, name := range []string{opaque, trustedOpaque} {
		if n, err := unix.Lgetxattr(dir, name, value); err == nil && n == 1 && value[0] == 'y' {
			return true
		}
	}
	return false
}

// ReadInside returns the text of a file of a root file system that is on the host. There need not
// be one. Links are followed as the container would.
func ReadInside(rootfs, name string) (string, error) {
	if rootfs == "" {
		rootfs = "/"
	}
	root, err := unix.Open(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("rootfs %q: %w", rootfs, err)
	}
	defer unix.Close(root)
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT,
	}
	fd, err := unix.Openat2(root, name, how)
	for errors.Is(err, unix.EAGAIN) { // a file was renamed meanwhile, anywhere: openat2(2)
		fd, err = unix.Openat2(root, name, how)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return "", nil
	case errors.Is(err, unix.ENXIO): // a device that nobody drives, as a whiteout is
		return "", nil
	case errors.Is(err, unix.EACCES) && isWhiteout(root, name): // has no mode for others than root
		return "", nil
	case err != nil:
		return "", fmt.Errorf("open %q: %w", "/"+name, err)
	}
	defer unix.Close(fd)
	text, err := files.ReadRegular(fd)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", "/"+name, err)
	}
	return text, nil
}

func isWhiteout(root int, name string) bool {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	return err == nil && stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == 0
}
