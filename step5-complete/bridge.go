//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bridge is the container's place in the network between containers: a bridge of the host with a pair of
// veth(4) interfaces for each, one end a port of the bridge, the other eth0 in the container.
type bridge struct {
	address, gateway string // of eth0, with the length of the prefix, and of the bridge
	member           int    // a socket: see newMember
}

const bridgeName = "container0"

// joinBridge makes the container's pair, and the bridge if it is the first.
func joinBridge(pid int) (b *bridge, err error) {
	netns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network: open namespace: %w", err)
	}
	defer unix.Close(netns)
	unlock, err := lockNetwork()
	if err != nil {
		return nil, err
	}
	defer unlock()
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return nil, err
	}
	index, gateway, err := findBridge(rt)
	if errors.Is(err, unix.ENODEV) {
		index, gateway, err = makeBridge(rt)
	}
	if err != nil {
		return nil, fmt.Errorf("network: bridge %q: %w", bridgeName, err)
	}
	for {
		// Any number from 2 to 65534: with a few containers the first one that comes up is free.
		number := 2 + rand.IntN(65533)
		network := gateway.As4()
		b = &bridge{gateway: gateway.String()}
		b.address = fmt.Sprintf("%d.%d.%d.%d/16", network[0], network[1], number>>8, number&255)
		if b.member, err = newMember(number); errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("network: address %s: %w", b.address, err)
		}
		port := fmt.Sprint("container", number)
		if err = addVeth(rt, port, index, netns); errors.Is(err, unix.EEXIST) { // one that is about to go
			unix.Close(b.member)
			continue
		}
		if err != nil {
			return b, fmt.Errorf("network: veth %q: %w", port, err)
		}
		trace("veth %s of bridge %s, eth0 %s", port, bridgeName, b.address)
		return b, nil
	}
}

// leave removes the bridge when the last container is gone. The pair goes with the container's namespace.
func (b *bridge) leave() error {
	if b == nil {
		return nil
	}
	unlock, err := lockNetwork()
	if err != nil {
		return err
	}
	defer unlock()
	unix.Close(b.member)
	if members, err := os.ReadFile("/proc/net/unix"); err != nil || strings.Contains(string(members), "@"+bridgeName+"/") {
		return err
	}
	return removeBridge()
}

// newMember takes an address for as long as this process lives, and so without a trace of one that was killed: the
// name of an abstract socket (unix(7)) is unique in a network namespace.
func newMember(number int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@%s/%d", bridgeName, number)}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// lockNetwork keeps others from making and removing the bridge. The lock is on the network namespace itself.
func lockNetwork() (unlock func(), err error) {
	f, err := lock("/proc/self/ns/net", unix.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	return func() { f.Close() }, nil
}
