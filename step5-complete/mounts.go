//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

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
	noSuidExecDev = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV
	noSuidExec    = unix.MS_NOSUID | unix.MS_NOEXEC
)

// mountList lists what a root file system lacks. It looks at the /proc of the host.
func mountList() []mount {
	mounts := []mount{
		{"proc", "/proc", noSuidExecDev, "", "proc"},
		{"sysfs", "/sys", noSuidExecDev | unix.MS_RDONLY, "", "sys"},
		{"tmpfs", "/dev", unix.MS_NOSUID | unix.MS_STRICTATIME, "mode=755,size=65536k", ""},
		{"devpts", "/dev/pts", noSuidExec, devptsOptions(), ""},
		{"tmpfs", "/dev/shm", noSuidExecDev, "mode=1777,size=65536k", ""},
	}
	if has(unix.CLONE_NEWIPC) {
		mounts = append(mounts, mount{"mqueue", "/dev/mqueue", noSuidExecDev, "", ""})
	}
	return mounts
}

// mountAll mounts the list. Targets below /dev are made; /proc, /sys and /dev must be there.
func mountAll(mounts []mount, h *host) error {
	for _, m := range mounts {
		if err := m.do(h); err != nil {
			return fmt.Errorf("mount %s %q: %w", m.fstype, m.target, err)
		}
	}
	return makeDevices(h)
}

func (m mount) do(h *host) error {
	if err := unix.Mkdir(m.target, 0o755); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EROFS) {
		return err
	}
	err := unix.Mount(m.fstype, m.target, m.fstype, m.flags, m.data)
	if m.host == "" || !errors.Is(err, unix.EPERM) {
		return err
	}
	// A user namespace may mount proc and sysfs only if the pid and net namespaces that they show are its own.
	return h.bind(m.host, m.target, m.flags&unix.MS_RDONLY != 0)
}

// devptsOptions gives the terminals to the group tty, which is 5 everywhere, if the user namespace has it.
func devptsOptions() string {
	options := "newinstance,ptmxmode=0666,mode=0620"
	gidMap, _ := os.ReadFile("/proc/self/gid_map") // none without user namespaces, and then no group is missing
	for line := range bytes.Lines(gidMap) {
		var inside, outside, count uint32
		if _, err := fmt.Sscan(string(line), &inside, &outside, &count); err == nil && inside <= 5 && 5-inside < count {
			return options + ",gid=5"
		}
	}
	return options
}
