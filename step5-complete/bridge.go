//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// bridge is the container's place in the network between containers: a bridge of the host with a pair of
// veth(4) interfaces for each, one end a port of the bridge, the other eth0 in the container.
type bridge struct {
	address, gateway string   // of eth0, with the length of the prefix, and of the bridge
	host             *os.File // the network namespace of the host, for the locks on it
}

// joinBridge makes the container's pair, and the bridge if it is the first. What it made it returns even with an error.
func joinBridge(pid int) (b *bridge, err error) {
	netns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network: open namespace of %d: %w", pid, err)
	}
	defer unix.Close(netns)
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	b = &bridge{}
	if err := b.enter(rt); err != nil {
		return b, fmt.Errorf("network: make bridge %q: %w", bridgeName, err)
	}
	index, gateway, err := findBridge(rt)
	if err != nil {
		return b, fmt.Errorf("network: find bridge %q: %w", bridgeName, err)
	}
	// The name of the port has the number of the address, so that the kernel refuses a number that is taken, and
	// nobody keeps a list. 0 is the network, 1 the gateway, 65535 the broadcast address.
	const first, count = 2, 65533
	start := rand.IntN(1000) // 1000 make it unlikely to ask in vain, and keep the addresses short
	for i := range count {
		number := first + (start+i)%count
		ip := hostAddress(gateway, number)
		port := fmt.Sprint("container", number)
		_, err = rt.do(addVeth(port, index, netns, ip))
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return b, fmt.Errorf("network: add veth %q: %w", port, err)
		}
		b.address, b.gateway = netip.PrefixFrom(ip, gateway.Bits()).String(), gateway.Addr().String()
		trace("veth %s of bridge %s, eth0 %s", port, bridgeName, b.address)
		return b, nil
	}
	return b, fmt.Errorf("network: add veth: %w", err)
}
