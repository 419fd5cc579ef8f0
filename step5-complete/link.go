//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The requests to rtnetlink(7) that a bridge, a pair of interfaces and an address take.

const makeNew = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL

// linkBody is the struct ifinfomsg of an interface that is up.
func linkBody(index int) []byte {
	body := make([]byte, 16)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP) // of the flags, change this one
	return body
}

// addBridge makes a bridge.
func addBridge(name string) request {
	info := request(nil).addText(unix.IFLA_INFO_KIND, "bridge")
	return newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).add(unix.IFLA_LINKINFO, info)
}

// setAlias keeps a text with an interface.
func setAlias(index int, text string) request {
	return newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(index)).addText(unix.IFLA_IFALIAS, text)
}

// addVeth makes a pair: name, a port of the bridge, and eth0, in the network namespace.
func addVeth(rt netlink, name string, bridge, netns int) error {
	const vethInfoPeer = 1 // the kernel's VETH_INFO_PEER, an ifinfomsg and attributes
	peer := request(make([]byte, 16)).addText(unix.IFLA_IFNAME, "eth0").addNumber(unix.IFLA_NET_NS_FD, uint32(netns))
	info := request(nil).addText(unix.IFLA_INFO_KIND, "veth").
		add(unix.IFLA_INFO_DATA, request(nil).add(vethInfoPeer, peer))
	_, err := rt.do(newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).addNumber(unix.IFLA_MASTER, uint32(bridge)).add(unix.IFLA_LINKINFO, info))
	return err
}

// addAddress gives an interface an address, and with it a route to its network.
func addAddress(index int, address netip.Prefix) request {
	body := []byte{unix.AF_INET, byte(address.Bits()), 0, unix.RT_SCOPE_UNIVERSE, 0, 0, 0, 0} // struct ifaddrmsg
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	ip := address.Addr().AsSlice()
	return newRequest(unix.RTM_NEWADDR, makeNew, body).add(unix.IFA_LOCAL, ip).add(unix.IFA_ADDRESS, ip)
}

// addDefaultRoute sends what is for elsewhere to the gateway.
func addDefaultRoute(gateway netip.Addr) request {
	body := []byte{ // struct rtmsg
		unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0,
	}
	return newRequest(unix.RTM_NEWROUTE, makeNew, body).add(unix.RTA_GATEWAY, gateway.AsSlice())
}

// configureNetwork sets up eth0, from inside.
func configureNetwork(address, gateway string) error {
	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return err
	}
	link, err := rt.do(newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, 16)).addText(unix.IFLA_IFNAME, "eth0"))
	if err != nil {
		return fmt.Errorf("network: eth0: %w", err)
	}
	index := int(binary.NativeEndian.Uint32(link[4:]))
	trace("eth0 %s, default via %s", address, gateway)
	_, err = rt.do(newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(index)), addAddress(index, prefix),
		addDefaultRoute(netip.MustParseAddr(gateway)))
	if err != nil {
		return fmt.Errorf("network: eth0 %s: %w", address, err)
	}
	return nil
}

// freeSubnet finds one that no route leads to yet.
func freeSubnet() (gateway netip.Addr, err error) {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return gateway, err
	}
	for second := byte(200); second < 250; second++ {
		if !strings.Contains(string(routes), fmt.Sprintf("%02X0A\t", second)) {
			return netip.AddrFrom4([4]byte{10, second, 0, 1}), nil
		}
	}
	return gateway, errors.New("no free subnet among 10.200.0.0/16 to 10.249.0.0/16")
}
