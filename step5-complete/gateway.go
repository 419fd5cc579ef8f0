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

const (
	bridgeName  = "container0"
	forwardFile = "/proc/sys/net/ipv4/ip_forward"
)

// alias is what `ip link` shows beside the bridge: its address, and how forwarding was before. The kernel keeps it as
// long as the bridge, so no file can be out of date.
const alias = "%s ip_forward=%s"

// findBridge returns the index, the address and the alias of the bridge; ENODEV if there is none.
func findBridge(rt netlink) (index int, gateway netip.Prefix, forward string, err error) {
	link, err := rt.do(getLink(bridgeName))
	if err != nil {
		return 0, gateway, "", err
	}
	var address string
	text := strings.TrimRight(string(attribute(link[0], 16, unix.IFLA_IFALIAS)), "\x00")
	if _, err := fmt.Sscanf(text, alias, &address, &forward); err != nil {
		return 0, gateway, "", errors.New("made by another program: it has no such alias")
	}
	gateway, err = netip.ParsePrefix(address)
	return linkIndex(link), gateway, forward, err
}

// makeBridge makes the bridge in a free subnet, and this host the router between it and all else.
func makeBridge(rt netlink) (err error) {
	defer func() {
		if err != nil {
			_ = removeBridge() // what there is of it; the first error counts
		}
	}()
	forward, err := os.ReadFile(forwardFile)
	if err != nil {
		return err
	}
	gateway, err := freeSubnet(rt)
	if err != nil {
		return err
	}
	trace("bridge %s %s", bridgeName, gateway)
	// One call for both: there is no bridge of ours without the alias, even if this process is killed.
	text := fmt.Sprintf(alias, gateway, strings.TrimSpace(string(forward)))
	if _, err := rt.do(addBridge(bridgeName, gateway.Addr()), setAlias(bridgeName, text)); err != nil {
		return err
	}
	index, _, _, err := findBridge(rt)
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
	return setForwarding("1")
}

// removeBridge takes back all that there is of it, the bridge last: as long as it is there, what a killed runtime left
// can be found.
func removeBridge() error {
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return err
	}
	index, _, forward, err := findBridge(rt)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	trace("remove bridge %s", bridgeName)
	if err := errors.Join(removeMasquerade(), setForwarding(forward)); err != nil {
		return err
	}
	_, err = rt.do(newRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkBody(index)))
	return err
}

// setForwarding makes the host a router or not (net.ipv4.ip_forward). Where /proc/sys is read-only it may be right already.
func setForwarding(value string) error {
	if now, err := os.ReadFile(forwardFile); err == nil && strings.TrimSpace(string(now)) == value {
		return nil
	}
	return os.WriteFile(forwardFile, []byte(value), 0)
}
