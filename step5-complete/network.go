//go:build linux

package main

// Chapter h: A network. Two interfaces that are connected like the ends of a cable (veth(4)): one
// is eth0 in the container, the other a port of a bridge on the host. scripts/bridge.sh makes the
// bridge, which is the gateway to the rest of the world.

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const bridge = "workshop0"

var onBridge bool

func init() {
	flag.Func("net", "none or bridge", func(s string) error {
		onBridge = s == "bridge"
		if !onBridge && s != "none" {
			return errors.New("must be none or bridge")
		}
		return nil
	})
}

// address returns the address with this number in the network of the bridge. The bridge itself has
// number 1.
func address(number byte) *net.IPNet {
	return &net.IPNet{IP: net.IPv4(10, 201, 0, number), Mask: net.CIDRMask(16, 32)}
}

// connectNetwork connects the network namespace of the child to the bridge.
func connectNetwork(cmd *exec.Cmd) error {
	if !onBridge {
		return nil
	}
	if cmd.SysProcAttr.Cloneflags&unix.CLONE_NEWNET == 0 {
		return errors.New("-net bridge: needs net in -ns")
	}
	ports, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("-net bridge: %w (make it with scripts/bridge.sh up)", err)
	}
	// No two interfaces of the host can have the same name. So the kernel finds a free number.
	for number := byte(2); number < 255; number++ {
		pair := &netlink.Veth{
			PeerName:         "eth0",
			PeerNamespace:    netlink.NsPid(cmd.Process.Pid),
			PeerHardwareAddr: net.HardwareAddr{2, 0, 10, 201, 0, number}, // see setUpNetwork
		}
		pair.Name = fmt.Sprint("workshop", number)
		pair.MasterIndex = ports.Attrs().Index
		err = netlink.LinkAdd(pair)
		if err == nil {
			return netlink.LinkSetUp(pair)
		}
		if !errors.Is(err, os.ErrExist) {
			break
		}
	}
	return fmt.Errorf("-net bridge: veth: %w", err)
}

// setUpNetwork gives eth0 its address, whose number the parent has written in the hardware address,
// and a route to everything else, which leads over the bridge.
func setUpNetwork() {
	if !onBridge {
		return
	}
	eth0, err := netlink.LinkByName("eth0")
	must(err, "interface eth0")
	number := eth0.Attrs().HardwareAddr[5]
	must(netlink.AddrAdd(eth0, &netlink.Addr{IPNet: address(number)}), "address of eth0")
	must(netlink.LinkSetUp(eth0), "interface eth0")
	must(netlink.RouteAdd(&netlink.Route{Gw: address(1).IP}), "default route")
}

// addressOfEth0 returns the address of eth0, or the other one if there is no eth0.
func addressOfEth0(other string) string {
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return other
	}
	return address(eth0.Attrs().HardwareAddr[5]).IP.String()
}
