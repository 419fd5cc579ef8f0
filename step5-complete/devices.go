//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// devices are the ones of every container, with the numbers that the kernel's list of devices gives them.
var devices = []struct {
	path         string // below /
	major, minor uint32
}{
	{"dev/null", 1, 3},
	{"dev/zero", 1, 5},
	{"dev/full", 1, 7},
	{"dev/random", 1, 8},
	{"dev/urandom", 1, 9},
	{"dev/tty", 5, 0},
}

// deviceLinks are links that programs expect, each with its target.
var deviceLinks = [][2]string{
	{"/dev/ptmx", "pts/ptmx"},
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
}

// makeDevices fills /dev, a tmpfs where device files do not work, with mounts of the host's: a user
// namespace may not make any, and root without one may make only what is of no use.
func makeDevices(h *host) error {
	trace("bind /dev/null, zero, full, random, urandom, tty")
	for _, d := range devices {
		if err := bindDevice(h, d.path, unix.Mkdev(d.major, d.minor)); err != nil {
			return fmt.Errorf("device %q: %w", "/"+d.path, err)
		}
	}
	for _, link := range deviceLinks {
		if err := os.Symlink(link[1], link[0]); err != nil {
			return err
		}
	}
	return nil
}

// bindDevice makes sure that it is that device: the host may be a container too, with anything in its /dev.
func bindDevice(h *host, path string, dev uint64) error {
	fd, err := h.clone(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFCHR || stat.Rdev != dev {
		return errors.New("not that device on the host")
	}
	if err := unix.Mknod("/"+path, unix.S_IFREG|0o666, 0); err != nil {
		return err
	}
	return attach(fd, "/"+path)
}
