//go:build linux

package main

import (
	"flag"
	"fmt"

	"golang.org/x/sys/unix"
)

var network = flag.String("net", "none", "`NETWORK`: none (a loopback interface), bridge (with the other containers and beyond), host")

// connectNetwork sets up the interfaces of a new network namespace.
func connectNetwork(j *job) error {
	if !has(unix.CLONE_NEWNET) {
		return nil
	}
	trace("ifup lo")
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set up interface %q: %w", "lo", err)
	}
	if j.address == "" {
		return nil
	}
	return configureNetwork(j.address, j.gateway)
}

// loopbackUp sets up the only interface of a new network namespace (netdevice(7)): programs expect that
// 127.0.0.1 answers.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
