//go:build linux

package main

import "golang.org/x/sys/unix"

// pivotRoot makes dir the root of the mount namespace.
func pivotRoot(dir string, cloneFlags uintptr) {
	dir = receiveRootfs(dir) // f
	// pivot_root(2) takes only a mount point, and a bind mount of dir on itself is one. With MS_REC
	// the mounts below dir come along.
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		fail(125, "rootfs %q: %v (make one with scripts/mkrootfs.sh)", dir, err)
	}
	must(unix.Chdir(dir), "rootfs %q", dir)
	devices := openDevices()         // b
	nameservers := readNameservers() // c
	mountLayer()                     // c
	// With "." for both, the old root lies on top of the new one and needs no directory of its own.
	must(unix.PivotRoot(".", "."), "pivot_root %q", dir)
	// A new proc(5) shows the pid namespace of this process. In a user namespace it can be mounted
	// only while another proc is in sight, such as that of the old root.
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	must(unix.Mount("proc", "/proc", "proc", flags, ""), "mount proc on /proc")
	mountKernel(cloneFlags) // b
	mountDev(devices)       // b
	hidePaths()             // b
	mountTerminals()        // g
	must(unix.Unmount(".", unix.MNT_DETACH), "unmount the old root")
	writeNames(nameservers) // c
}
