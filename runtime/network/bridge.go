//go:build linux

// Package network connects containers: by a bridge of the host with a pair of veth(4) interfaces
// for each container, one end a port of the bridge, the other eth0 in the container.
package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
)

const bridgeName = "container0"

// A prefix is an address of IPv4 and how many of its bits are those of the network. (Package netip
// takes longer to be there than the bridge.)
type prefix struct {
	ip   [4]byte
	bits int
}

func (p prefix) String() string { return dotted(p.ip) + "/" + strconv.Itoa(p.bits) }

func dotted(ip [4]byte) string { return fmt.Sprintf("%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]) }

func (p prefix) mask() (mask [4]byte) {
	for i := range p.bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

func (p prefix) overlaps(other prefix) bool {
	for i, m := range (prefix{bits: min(p.bits, other.bits)}).mask() {
		if (p.ip[i]^other.ip[i])&m != 0 {
			return false
		}
	}
	return true
}

func parsePrefix(text string) (p prefix, err error) {
	_, err = fmt.Sscanf(text, "%d.%d.%d.%d/%d", &p.ip[0], &p.ip[1], &p.ip[2], &p.ip[3], &p.bits)
	if err != nil || p.bits < 0 || p.bits > 32 {
		return p, fmt.Errorf("%q: not an address with the length of its prefix", text)
	}
	return p, nil
}

// A Place is that of a container on the bridge.
type Place struct {
	address, gateway prefix // of eth0, and of the bridge
	host             int    // a descriptor of the host's network namespace, for locks on it, or -1
	trace            func(what string)
}

// Example is a place for a plan that will not be made.
func Example() *Place {
	return &Place{
		address: prefix{[4]byte{10, 200, 0, 2}, 16},
		gateway: prefix{[4]byte{10, 200, 0, 1}, 16},
		host:    -1,
	}
}

// Address is that of the container, or empty if it has none.
func (b *Place) Address() string {
	if b == nil {
		return ""
	}
	return dotted(b.address.ip)
}

// Join makes the pair of the container whose process 1 is pid, and the bridge if it is the first.
// What it made it returns even with an error. trace, if not nil, hears of what is made. A wait ends
// with the error of interrupted, if it returns one.
func Join(
	pid int, trace func(what string), interrupted func() error,
) (b *Place, err error) {
	b = &Place{host: -1, trace: trace}
	netns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return b, fmt.Errorf("network: open namespace of %d: %w", pid, err)
	}
	defer unix.Close(netns)
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	defer rt.close()
	if err != nil {
		return b, fmt.Errorf("network: %w", err)
	}
	if err := b.enter(rt, interrupted); err != nil {
		return b, fmt.Errorf("network: make bridge %q: %w", bridgeName, err)
	}
	index, gateway, err := findBridge(rt)
	if err != nil {
		return b, fmt.Errorf("network: find bridge %q: %w", bridgeName, err)
	}
	// The name of the port has the number of the address, so that the kernel refuses a number that
	// is taken, and nobody keeps a list. 0 is the network, 1 the gateway, 65535 the broadcast
	// address.
	const first, count = 2, 65533
	start := rand.IntN(1000) // 1000 make it unlikely to ask in vain, and keep the addresses short
	for i := range count {
		number := first + (start+i)%count
		ip := [4]byte{gateway.ip[0], gateway.ip[1], byte(number >> 8), byte(number)}
		port := fmt.Sprint("container", number)
		_, err = rt.do(addVeth(port, netns, ip))
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return b, fmt.Errorf("network: add veth %q: %w", port, err)
		}
		if _, err := rt.do(makePort(port, index)); err != nil {
			return b, fmt.Errorf("network: port %q of bridge %q: %w", port, bridgeName, err)
		}
		if err := awaitUp(rt, port, interrupted); err != nil {
			return b, fmt.Errorf("network: %w", err)
		}
		b.address, b.gateway = prefix{ip, gateway.bits}, gateway
		b.say("veth %s of bridge %s, eth0 %s", port, bridgeName, b.address)
		return b, nil
	}
	return b, fmt.Errorf("network: add veth: %w", err)
}

// patience is much longer than it takes the kernel to notice a carrier, or another container to
// make or remove the bridge, even on a slow and busy machine.
const patience = time.Minute

// awaitUp waits until the kernel has noticed the carriers of the port, its peer and the bridge,
// which it does in a thread of its own. Before, each of them drops what it is to send, and the
// first packet of the container would be lost: it would wait a second until the address it is for
// is asked for again (arp(7)). Newer kernels notice at the latest when they are asked
// (linkwatch_sync_dev in net/core/rtnetlink.c). There is nothing to wait for if somebody has set
// one of them down.
func awaitUp(rt netlink, port string, interrupted func() error) error {
	link, err := rt.do(getLink(port))
	if err != nil {
		return fmt.Errorf("interface %q: %w", port, err)
	}
	names := []string{port, "eth0", bridgeName}
	questions := []request{getLink(port), getPeer(link[0]), getLink(bridgeName)}
	deadline := time.Now().Add(patience)
	// The kernel's thread waits for the same lock as these questions, so the longer it takes, the
	// fewer of them there are.
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		links, err := rt.do(questions...)
		if err != nil {
			return fmt.Errorf("interfaces %q: %w", names, err)
		}
		if i := slices.IndexFunc(links, isSetDown); i != -1 {
			return fmt.Errorf("interface %q: %w (set down by another program: ip link set %s up)",
				names[i], unix.ENETDOWN, names[i])
		}
		i := slices.IndexFunc(links, isDown)
		if i == -1 {
			return nil
		}
		if err := interrupted(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("interface %q: not up after %v", names[i], patience)
		}
		time.Sleep(pause)
	}
}

func (b *Place) say(format string, args ...any) {
	if b.trace != nil {
		b.trace(fmt.Sprintf(format, args...))
	}
}

// Loopback adds the calls that make a new network namespace, and set up the only interface in it
// (netdevice(7)): programs expect that 127.0.0.1 answers.
func Loopback(p *plan.Plan) {
	p.About("unshare", "net")
	p.Hint(unix.ENOSPC, "not the disk: see /proc/sys/user/max_net_namespaces")
	p.Hint(unix.EPERM, "a user namespace has no rights here: on Ubuntu "+
		"kernel.apparmor_restrict_unprivileged_userns must be 0")
	p.Unshare(unix.CLONE_NEWNET)
	p.About("set up interface", "lo")
	socket := p.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.SetInterfaceFlags(socket, "lo", unix.IFF_UP)
	p.Close(socket)
}

// KeepIPv6Off adds the calls that keep IPv6 off interfaces that come later. It would configure
// itself by what anyone on the bridge says: a container that calls itself a router would get the
// traffic of the others and of the host. It is done while /proc is still the host's, because the
// container's is read-only.
func KeepIPv6Off(p *plan.Plan) {
	const file = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
	p.About("write", file)
	p.Hint(unix.EROFS, "in a container -net bridge takes a /proc/sys that can be written to")
	fd := p.Openat2(plan.CWD, file, unix.O_WRONLY, 0)
	p.Unless(func() {
		p.Write(fd, "1")
		p.Close(fd)
	}, unix.ENOENT) // the kernel has no IPv6
}

// A Setting is one of sysctl(8).
type Setting struct{ Name, Value string }

// Settings let any user of a container have each port, and send pings by sockets that need no right
// (ip(7), icmp(7)): in a network of their own they take nothing away from anybody.
func Settings(lastGroup int) []Setting {
	return []Setting{
		{"net.ipv4.ip_unprivileged_port_start", "0"},
		{"net.ipv4.ping_group_range", fmt.Sprintf("0 %d", lastGroup)},
	}
}

// Set adds the calls for settings, which root of the container makes, because numbers of groups are
// those of whoever writes them. As in KeepIPv6Off /proc is still the host's. Where that is
// read-only, as in a container, they stay what they are, and root has these rights alone.
func Set(p *plan.Plan, settings []Setting) {
	for _, s := range settings {
		file := "/proc/sys/" + strings.ReplaceAll(s.Name, ".", "/")
		p.About("write", file)
		fd := p.Openat2(plan.CWD, file, unix.O_WRONLY, 0)
		p.Unless(func() {
			p.Write(fd, s.Value)
			p.Close(fd)
		}, unix.ENOENT, unix.EROFS, unix.EACCES)
	}
}

// Configure adds the calls that give eth0 its address, from inside, and the route.
func (b *Place) Configure(p *plan.Plan) {
	p.About("set address of interface", "eth0")
	socket := p.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.SetInterfaceAddress(socket, "eth0", b.address.ip)
	p.SetInterfaceNetmask(socket, "eth0", b.address.mask())
	p.About("route by", dotted(b.gateway.ip))
	p.AddDefaultRoute(socket, b.gateway.ip)
	p.Close(socket)
}

// The containers on the bridge are counted by two locks on the network namespace of the host. The
// kernel drops them when a runtime ends, however it does: no list is out of date. One of
// fcntl_locking(2), which all can have at the same time, is held as long as the container is there.
// The lock of flock(2) is exclusive while the bridge is made or removed, and shared while
// containers are counted in on a bridge that is there: a hundred at once do not wait for each
// other. Anybody in the namespace can have such locks too. So nobody waits forever, and a bridge
// that is missing is made whatever the count says; one that stays because of a false count is there
// for the next container.

// enter counts this container in. The first one makes the bridge, anew if there is one that a
// killed runtime left. A bridge that others are counted on is whole, because each of them made it
// or found it so.
func (b *Place) enter(rt netlink, interrupted func() error) (err error) {
	if b.host, err = unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open /proc/self/ns/net: %w", err)
	}
	defer func() {
		if err == nil { // an error leaves the lock, and Leave has work to do
			err = unix.Flock(b.host, unix.LOCK_UN)
			return
		}
		unix.Close(b.host)
		b.host = -1
	}()
	for _, how := range []int{unix.LOCK_SH, unix.LOCK_EX} {
		if err := b.lock(how, patience, interrupted); err != nil {
			return err
		}
		alone, err := b.alone()
		if err != nil {
			return err
		}
		if !alone && unix.Access("/proc/sys/net/ipv4/conf/"+bridgeName, unix.F_OK) == nil {
			return b.count(unix.F_RDLCK)
		}
	}
	if err := b.count(unix.F_RDLCK); err != nil {
		return err
	}
	if err := b.removeBridge(); err != nil {
		return err
	}
	return b.makeBridge(rt)
}

// goesOn is the interrupted of a wait that no signal ends.
func goesOn() error { return nil }

// lock waits for the lock of flock(2), LOCK_SH or LOCK_EX, for at most the timeout.
func (b *Place) lock(how int, timeout time.Duration, interrupted func() error) error {
	err := unix.Flock(b.host, how|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- unix.Flock(b.host, how) }()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Second / 10):
			if err := interrupted(); err != nil {
				return err
			}
		}
	}
	return errors.New(
		"flock /proc/self/ns/net: another process keeps its lock on it (lslocks shows which)")
}

// count counts this container in (F_RDLCK) or out (F_UNLCK).
func (b *Place) count(how int16) error {
	l := unix.Flock_t{Type: how}
	if err := unix.FcntlFlock(uintptr(b.host), unix.F_OFD_SETLK, &l); err != nil {
		return fmt.Errorf("fcntl: %w", err)
	}
	return nil
}

// alone tells whether there is no other container: a lock that cannot be shared could be had.
func (b *Place) alone() (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(b.host), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("fcntl: %w", err)
	}
	return l.Type == unix.F_UNLCK, nil
}

// Leave removes the bridge when the last container is gone. The pair goes with the container's
// namespace.
func (b *Place) Leave() error {
	if b.host == -1 {
		return nil
	}
	defer unix.Close(b.host)
	if err := b.leave(); err != nil {
		return fmt.Errorf("network: remove bridge %q: %w", bridgeName, err)
	}
	return nil
}

// leave counts this container out, without a wait if there are others. Of several that leave at
// once at least the last to ask finds itself alone. Another one may come before the lock is there.
func (b *Place) leave() error {
	if err := b.count(unix.F_UNLCK); err != nil {
		return err
	}
	if alone, err := b.alone(); err != nil || !alone {
		return err
	}
	// No signal ends this wait: the bridge would stay behind.
	if err := b.lock(unix.LOCK_EX, patience, goesOn); err != nil {
		return err
	}
	if alone, err := b.alone(); err != nil || !alone {
		return err
	}
	return b.removeBridge()
}

// findBridge returns the index and the address of the bridge; ENODEV if there is none. The address
// is also its alias, which `ip link` shows and the kernel keeps as long as the bridge, so no file
// can be out of date.
func findBridge(rt netlink) (index int, gateway prefix, err error) {
	link, err := rt.do(getLink(bridgeName))
	if err != nil {
		return 0, gateway, err
	}
	alias := strings.TrimRight(string(attribute(link[0], 16, unix.IFLA_IFALIAS)), "\x00")
	if gateway, err = parsePrefix(alias); err != nil {
		return 0, gateway, errors.New("made by another program: it has no such alias")
	}
	return linkIndex(link), gateway, nil
}

// makeBridge makes the bridge in a free subnet, and this host the router between it and all else.
func (b *Place) makeBridge(rt netlink) (err error) {
	defer func() {
		if err != nil {
			_ = b.removeBridge() // what there is of it; the first error counts
		}
	}()
	gateway, err := freeSubnet(rt)
	if err != nil {
		return err
	}
	b.say("bridge %s %s", bridgeName, gateway)
	// One call for both: there is no bridge of ours without the alias, even if this process is
	// killed.
	_, err = rt.do(addBridge(bridgeName, gateway.ip), setAlias(bridgeName, gateway.String()))
	if err != nil {
		return err
	}
	index, _, err := findBridge(rt)
	if err != nil {
		return err
	}
	// As in KeepIPv6Off.
	err = files.Write("/proc/sys/net/ipv6/conf/"+bridgeName+"/disable_ipv6", "1")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("disable_ipv6: %w", err)
	}
	if _, err := rt.do(addAddress(index, gateway)); err != nil {
		return fmt.Errorf("address %s: %w", gateway, err)
	}
	if err := addMasquerade(gateway); err != nil {
		return err
	}
	return changeForwarding("0", forwardForUs)
}

// removeBridge takes back all that there is of it, the bridge last: as long as it is there, what a
// killed runtime left can be found.
func (b *Place) removeBridge() error {
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
	b.say("remove bridge %s", bridgeName)
	if err := errors.Join(removeMasquerade(), changeForwarding(forwardForUs, "0")); err != nil {
		return err
	}
	_, err = rt.do(newRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkBody(index)))
	return err
}

// subnets are those that the containers may get, all private (RFC 1918, RFC 6598), each with the
// address of the gateway.
var subnets = [...]prefix{
	{[4]byte{10, 200, 0, 1}, 16},
	{[4]byte{10, 99, 0, 1}, 16},
	{[4]byte{172, 29, 0, 1}, 16},
	{[4]byte{192, 168, 0, 1}, 16},
	{[4]byte{100, 99, 0, 1}, 16},
}

// freeSubnet returns the gateway in a subnet that no route of the host takes. All tables count, and
// the local one has a route to each address of the host.
func freeSubnet(rt netlink) (gateway prefix, err error) {
	routes, err := rt.do(getRoutes())
	if err != nil {
		return gateway, fmt.Errorf("routes: %w", err)
	}
next:
	for _, subnet := range subnets {
		for _, route := range routes {
			if subnet.isTakenBy(route) {
				continue next
			}
		}
		return subnet, nil
	}
	return gateway, fmt.Errorf("the host has routes to each of the subnets %v", subnets)
}

// leastPrivate is the length of the prefix of 10.0.0.0/8, the largest private network (RFC 1918).
const leastPrivate = 8

// isTakenBy tells whether a route leads to addresses of a subnet, be it to a larger network such as
// 10.0.0.0/8. Two kinds do not. A network larger than any private one is a part of the default
// route: a VPN has two halves of it, to be preferred to the one that is there. And a router drops
// what is for private networks that it has no better route to, such as the one to the subnet.
func (p prefix) isTakenBy(route []byte) bool {
	destination, dropped, ok := routePrefix(route)
	if !ok || destination.bits < leastPrivate || dropped && destination.bits < p.bits {
		return false
	}
	return p.overlaps(destination)
}

// forwardForUs makes the host a router (net.ipv4.ip_forward): for the kernel any number but 0 does.
// Other programs write 1, as Docker does, also when they find a 2. So a 2 that is still there is
// ours to take back, and a 1 is not.
const forwardForUs = "2"

// changeForwarding changes one value to another, and leaves a third one alone.
func changeForwarding(from, to string) error {
	const file = "/proc/sys/net/ipv4/ip_forward"
	now, err := files.Read(file)
	if err != nil || strings.TrimSpace(now) != from {
		return err
	}
	return files.Write(file, to)
}
