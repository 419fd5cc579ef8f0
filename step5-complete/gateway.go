//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const bridgeName = "container0"

// findBridge returns the index and the address of the bridge; ENODEV if there is none. The address is also its alias,
// which `ip link` shows and the kernel keeps as long as the bridge, so no file can be out of date.
func findBridge(rt netlink) (index int, gateway netip.Prefix, err error) {
	link, err := rt.do(getLink(bridgeName))
	if err != nil {
		return 0, gateway, err
	}
	alias := strings.TrimRight(string(attribute(link[0], 16, unix.IFLA_IFALIAS)), "\x00")
	if gateway, err = netip.ParsePrefix(alias); err != nil {
		return 0, gateway, errors.New("made by another program: it has no such alias")
	}
	return linkIndex(link), gateway, nil
}

// makeBridge makes the bridge in a free subnet, and this host the router between it and all else.
func makeBridge(rt netlink) (err error) {
	defer func() {
		if err != nil {
			_ = removeBridge() // what there is of it; the first error counts
		}
	}()
	gateway, err := freeSubnet(rt)
	if err != nil {
		return err
	}
	trace("bridge %s %s", bridgeName, gateway)
	// One call for both: there is no bridge of ours without the alias, even if this process is killed.
	if _, err := rt.do(addBridge(bridgeName, gateway.Addr()), setAlias(bridgeName, gateway.String())); err != nil {
		return err
	}
	index, _, err := findBridge(rt)
	if err != nil {
		return err
	}
	if err := noIPv6(bridgeName); err != nil {
		return err
	}
	if _, err := rt.do(addAddress(index, gateway)); err != nil {
		return fmt.Errorf("address %s: %w", gateway, err)
	}
	if err := masquerade(gateway); err != nil {
		return err
	}
	return changeForwarding("0", forwardForUs)
}

// removeBridge takes back all that there is of it, the bridge last: as long as it is there, what a killed runtime left
// can be found.
func removeBridge() error {
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return err
	}
	index, _, err := findBridge(rt)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	trace("remove bridge %s", bridgeName)
	if err := errors.Join(removeMasquerade(), changeForwarding(forwardForUs, "0")); err != nil {
		return err
	}
	_, err = rt.do(newRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkBody(index)))
	return err
}

// forwardForUs makes the host a router (net.ipv4.ip_forward): for the kernel any number but 0 does. Other programs write
// 1, as Docker does, also when they find a 2. So a 2 that is still there is ours to take back, and a 1 is not.
const forwardForUs = "2"

// changeForwarding changes one value to another, and leaves a third one alone.
func changeForwarding(from, to string) error {
	const file = "/proc/sys/net/ipv4/ip_forward"
	now, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(now)) != from {
		return err
	}
	return os.WriteFile(file, []byte(to), 0)
}
