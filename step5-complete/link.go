//go:build linux

package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The requests to rtnetlink(7) that a bridge, a pair of interfaces, an address and a route take.

const makeNew = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL

// linkBody is the struct ifinfomsg of an interface that is up. Without an index, an attribute has its name.
func linkBody(index int) []byte {
	body := make([]byte, 16)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP) // of the flags, change this one
	return body
}

// hardwareAddress is a local one (IEEE 802) that ends in the IP address. So an address has the same one whoever
// gets it next, and nobody on the bridge remembers a wrong one (arp(7)).
func hardwareAddress(ip netip.Addr) []byte {
	return append([]byte{2, 0}, ip.AsSlice()...)
}

// addBridge makes a bridge. By default it takes the hardware address of some port, and another when that one goes.
func addBridge(name string, ip netip.Addr) request {
	info := request(nil).addText(unix.IFLA_INFO_KIND, "bridge")
	return newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).addText(unix.IFLA_IFNAME, name).
		add(unix.IFLA_ADDRESS, hardwareAddress(ip)).add(unix.IFLA_LINKINFO, info)
}

// setAlias keeps a text with an interface.
func setAlias(name, text string) request {
	return newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).addText(unix.IFLA_IFALIAS, text)
}

// addVeth makes a pair (veth(4)): name, which is up and a port of the bridge; and eth0, in the network namespace.
func addVeth(name string, bridge, netns int, ip netip.Addr) request {
	const vethInfoPeer = 1 // the kernel's VETH_INFO_PEER, an ifinfomsg and attributes
	peer := request(make([]byte, 16)).addText(unix.IFLA_IFNAME, "eth0").
		add(unix.IFLA_ADDRESS, hardwareAddress(ip)).addNumber(unix.IFLA_NET_NS_FD, uint32(netns))
	info := request(nil).addText(unix.IFLA_INFO_KIND, "veth").
		add(unix.IFLA_INFO_DATA, request(nil).add(vethInfoPeer, peer))
	return newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).addNumber(unix.IFLA_MASTER, uint32(bridge)).add(unix.IFLA_LINKINFO, info)
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

// getLink asks for the interface with this name.
func getLink(name string) request {
	return newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, 16)).addText(unix.IFLA_IFNAME, name)
}

// linkIndex is the index in an answer to getLink, an ifinfomsg.
func linkIndex(answers [][]byte) int {
	return int(binary.NativeEndian.Uint32(answers[0][4:]))
}
