//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// subnets are those that the containers may get, all private (RFC 1918, RFC 6598).
var subnets = []string{"10.200.0.0/16", "10.99.0.0/16", "172.29.0.0/16", "192.168.0.0/16", "100.99.0.0/16"}

// freeSubnet returns the gateway in a subnet that no route of the host overlaps, not even one to a larger network
// such as 10.0.0.0/8. In all tables, and the local one has a route to each address of the host.
func freeSubnet(rt netlink) (gateway netip.Prefix, err error) {
	answers, err := rt.do(newRequest(unix.RTM_GETROUTE, unix.NLM_F_ACK|unix.NLM_F_DUMP, append([]byte{unix.AF_INET}, make([]byte, 11)...)))
	if err != nil {
		return gateway, fmt.Errorf("routes: %w", err)
	}
	for _, subnet := range subnets {
		prefix := netip.MustParsePrefix(subnet)
		if !slices.ContainsFunc(answers, func(route []byte) bool {
			ip, ok := netip.AddrFromSlice(attribute(route, 12, unix.RTA_DST)) // behind a struct rtmsg; the default route has none
			return ok && prefix.Overlaps(netip.PrefixFrom(ip, int(route[1])))
		}) {
			return netip.PrefixFrom(prefix.Addr().Next(), prefix.Bits()), nil
		}
	}
	return gateway, fmt.Errorf("the host has routes to each of the subnets %v", subnets)
}

// hostAddress is the address with this number in the /16 of the gateway.
func hostAddress(gateway netip.Prefix, number int) netip.Addr {
	ip := gateway.Addr().As4()
	return netip.AddrFrom4([4]byte{ip[0], ip[1], byte(number >> 8), byte(number)})
}

// noIPv6 keeps IPv6 off an interface. It would configure itself by what anyone on the bridge says: a container that
// calls itself a router would get the traffic of the others and of the host.
func noIPv6(name string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) { // the kernel has no IPv6
		return nil
	}
	return err
}

// configureNetwork sets up eth0, from inside.
func configureNetwork(address, gateway string) error {
	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	via, err := netip.ParseAddr(gateway)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	trace("eth0 %s, default via %s", address, gateway)
	if err := noIPv6("eth0"); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	link, err := rt.do(getLink("eth0"))
	if err != nil {
		return fmt.Errorf("network: find interface %q: %w", "eth0", err)
	}
	index := linkIndex(link)
	up := newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(index))
	if _, err = rt.do(up, addAddress(index, prefix), addDefaultRoute(via)); err != nil {
		return fmt.Errorf("network: set up interface %q: %s via %s: %w", "eth0", address, gateway, err)
	}
	return nil
}
