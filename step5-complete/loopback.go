//go:build linux

package main

// Chapter b: /dev, /sys and what /proc gives away. A new network namespace has one interface, lo,
// and it is down: not even 127.0.0.1 answers.

import "golang.org/x/sys/unix"

// loopbackUp sets lo up (netdevice(7)).
func loopbackUp(cloneFlags uintptr) {
	if cloneFlags&unix.CLONE_NEWNET == 0 {
		return // it is the host's
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(err, "socket")
	lo, err := unix.NewIfreq("lo")
	must(err, "interface lo")
	lo.SetUint16(unix.IFF_UP)
	must(unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo), "interface lo")
}
