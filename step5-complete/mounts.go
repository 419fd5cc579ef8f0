//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is one mount of the container: mount(2).
type mount struct {
	fstype, target string
	flags          uintptr
	data           string
	host           string // the path to bind instead, where the kernel refuses a new one; or none
}

const (
	noSuidExec    = unix.MS_NOSUID | unix.MS_NOEXEC
	noSuidExecDev = noSuidExec | unix.MS_NODEV
)

// mountList lists what a root file system lacks. It looks at the /proc of the host.
func mountList() []mount {
	proc := mount{"proc", "/proc", noSuidExecDev, "", ""}
	sys := mount{"sysfs", "/sys", noSuidExecDev | unix.MS_RDONLY, "", ""}
	if !has(unix.CLONE_NEWPID) { // a user namespace may mount what shows only namespaces that are its own
		proc.host = "proc"
	}
	if !has(unix.CLONE_NEWNET) {
		sys.host = "sys"
	}
	mounts := []mount{
		proc, sys,
		{"tmpfs", "/dev", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME, "mode=755,size=65536k", ""},
		{"devpts", "/dev/pts", noSuidExec, devptsOptions(), ""},
		{"tmpfs", "/dev/shm", noSuidExecDev, "mode=1777,size=65536k", ""},
	}
	if has(unix.CLONE_NEWIPC) {
		mounts = append(mounts, mount{"mqueue", "/dev/mqueue", noSuidExecDev, "", ""})
	}
	return append(mounts, cgroupMounts()...)
}

func mountAll(mounts []mount, h *host) error {
	for _, m := range mounts {
		trace("mount %s %s %s", m.fstype, m.target, strings.Trim(strings.Join(append(flagNames(m.flags), m.data), ","), ","))
		if err := m.do(h); err != nil {
			return fmt.Errorf("mount %s %q: %w", m.fstype, m.target, err)
		}
	}
	return nil
}

func (m mount) do(h *host) error {
	target, err := openTarget(m.target, true)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := unix.Fchdir(target); err != nil {
		return err
	}
	err = unix.Mount(m.fstype, ".", m.fstype, m.flags, m.data)
	if m.host == "" || !errors.Is(err, unix.EPERM) {
		return err
	}
	return h.bind(m.host, target, m.flags)
}

// devptsOptions gives the terminals to the group tty, which is 5 everywhere, if the user namespace has it.
func devptsOptions() string {
	options := "newinstance,ptmxmode=0666,mode=0620"
	if hasID("/proc/self/gid_map", 5) {
		options += ",gid=5"
	}
	return options
}

// flagNames are the names that mount(8) has for the flags of mount(2).
func flagNames(flags uintptr) (names []string) {
	for i, name := range []string{"ro", "nosuid", "nodev", "noexec"} { // bits 0 to 3
		if flags>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return names
}
