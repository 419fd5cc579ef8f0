//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

// nameFiles in /etc tell a program what it and others are called: hosts(5), hostname(5) and
// resolv.conf(5).
var nameFiles = []string{"hosts", "hostname", "resolv.conf"}

// localhost are the lines of hosts(5) that every container has.
const localhost = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

// WriteNames writes them on the stage, before the host is left. address is that of the container,
// or empty.
func (r *Root) WriteNames(hostname, address string) error {
	p := r.p
	resolvers, err := r.resolvers()
	if err != nil {
		return err
	}
	if address == "" {
		address = "127.0.1.1"
	}
	for i, text := range []string{
		localhost + address + " " + hostname + "\n",
		hostname + "\n",
		resolvers,
	} {
		name := "etc/" + nameFiles[i]
		p.About("write", "/"+name)
		fd := p.Create(r.stage, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o644, 0)
		p.Write(fd, text)
		p.MustReturn(uint64(len(text)))
		p.Close(fd)
		r.names = append(r.names, p.OpenTree(r.stage, name, 0))
	}
	return nil
}

// resolvers is the resolv.conf of the host, without servers on the loopback interface of the host:
// the container has another. Where systemd-resolved is that server, it keeps a file with those
// behind it.
func (r *Root) resolvers() (string, error) {
	text, err := files.ReadIfThere("/etc/resolv.conf")
	if err != nil || !r.c.Namespaces.Has(unix.CLONE_NEWNET) {
		return text, err
	}
	if strings.Contains(text, "127.0.0.53") {
		behind, err := files.ReadIfThere("/run/systemd/resolve/resolv.conf")
		if err != nil {
			return "", err
		}
		if behind != "" {
			text = behind
		}
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) < 2 || fields[0] != "nameserver" ||
			!isLoopback(fields[1]) {
			kept.WriteString(line)
		}
	}
	return kept.String(), nil
}

func isLoopback(address string) bool {
	return strings.HasPrefix(address, "127.") || address == "::1"
}

// bindNames mounts them over those of the root file system. What has no place for them goes
// without: a link to a directory that is not there, to a device, or a root file system that cannot
// be written to.
func (r *Root) bindNames() {
	p := r.p
	p.About("open", "/etc")
	p.Mkdirat(r.root, "etc", 0o755)
	p.Allow(unix.EEXIST, unix.EROFS)
	etc := p.Openat2(r.root, "etc", unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_IN_ROOT)
	p.Unless(func() {
		for i, name := range nameFiles {
			p.About("bind", path.Join("/etc", name))
			p.Hint(plan.ErrCheck, "leads into /proc or /sys")
			r.bindName(etc, name, r.names[i])
		}
	}, unix.ENOENT, unix.ENOTDIR)
}

func (r *Root) bindName(etc plan.FD, name string, tree plan.FD) {
	p := r.p
	p.Mknodat(etc, name, 0o644)
	p.Allow(unix.EEXIST, unix.EROFS)
	target := p.Openat2(r.root, "etc/"+name, unix.O_PATH, unix.RESOLVE_IN_ROOT)
	p.Unless(func() {
		r.mustBeOutsideKernel(target)
		p.Must(p.Statx(target), plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFREG))
		p.Unless(func() { p.MoveMountTo(tree, target) }, plan.ErrCheck) // not a regular file
	}, unix.ENOENT, unix.ENOTDIR)
}

// mustBeOutsideKernel adds calls that fail if a descriptor leads into the kernel's own file systems
// (CVE-2025-52881).
func (r *Root) mustBeOutsideKernel(fd plan.FD) {
	at := r.p.Statfs(fd)
	for _, magic := range []uint64{unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC} {
		r.p.MustNot(at, 0, ^uint64(0), magic)
	}
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
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open %q: %w", "/"+name, err)
	}
	defer unix.Close(fd)
	text, err := files.ReadRegular(fd)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", "/"+name, err)
	}
	return text, nil
}
