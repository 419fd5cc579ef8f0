//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const forwardFile = "/proc/sys/net/ipv4/ip_forward"

// findBridge returns the index and the address of the bridge; ENODEV if there is none.
func findBridge(rt netlink) (index int, gateway netip.Addr, err error) {
	link, err := getBridge(rt)
	if err != nil {
		return 0, gateway, err
	}
	request, err := unix.NewIfreq(bridgeName)
	if err != nil {
		return 0, gateway, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, gateway, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFADDR, request); err != nil { // netdevice(7)
		return 0, gateway, err
	}
	address, err := request.Inet4Addr()
	if err != nil {
		return 0, gateway, err
	}
	gateway, _ = netip.AddrFromSlice(address)
	return int(binary.NativeEndian.Uint32(link[4:])), gateway, nil
}

func getBridge(rt netlink) (link []byte, err error) {
	return rt.do(newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, 16)).addText(unix.IFLA_IFNAME, bridgeName))
}

// makeBridge makes the bridge in a free subnet, and this host the router between it and all else. How that was before is
// kept in the alias of the bridge.
func makeBridge(rt netlink) (index int, gateway netip.Addr, err error) {
	defer func() {
		if err != nil {
			_ = removeBridge() // what there is of it
		}
	}()
	forward, err := os.ReadFile(forwardFile)
	if err != nil {
		return 0, gateway, err
	}
	if gateway, err = freeSubnet(); err != nil {
		return 0, gateway, err
	}
	trace("bridge %s %s", bridgeName, gateway)
	if _, err = rt.do(addBridge(bridgeName)); err != nil {
		return 0, gateway, err
	}
	link, err := getBridge(rt)
	if err != nil {
		return 0, gateway, err
	}
	index = int(binary.NativeEndian.Uint32(link[4:]))
	alias := "ip_forward=" + strings.TrimSpace(string(forward))
	if _, err = rt.do(setAlias(index, alias), addAddress(index, netip.PrefixFrom(gateway, 16))); err != nil {
		return 0, gateway, fmt.Errorf("address %s: %w", gateway, err)
	}
	if err = masquerade(gateway); err != nil {
		return 0, gateway, err
	}
	return index, gateway, os.WriteFile(forwardFile, []byte("1"), 0)
}

// removeBridge takes all of that back.
func removeBridge() error {
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return err
	}
	link, err := getBridge(rt)
	if err != nil {
		return fmt.Errorf("network: bridge %q: %w", bridgeName, err)
	}
	trace("remove bridge %s", bridgeName)
	if alias := attribute(link, 16, unix.IFLA_IFALIAS); strings.HasPrefix(string(alias), "ip_forward=0") {
		if err := os.WriteFile(forwardFile, []byte("0"), 0); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}
	if _, err := rt.do(newRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, link[:16])); err != nil {
		return fmt.Errorf("network: bridge %q: %w", bridgeName, err)
	}
	return removeMasquerade()
}
