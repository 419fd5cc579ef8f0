//go:build linux

package network

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/isolated"
	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/plan"
)

func calls(t *testing.T, write func(p *plan.Plan)) []plan.Call {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	write(p)
	require.NoError(t, p.Err())
	return p.Calls()
}

func lines(calls []plan.Call) (lines []string) {
	for _, c := range calls {
		lines = append(lines, c.Line)
	}
	return lines
}

func TestParsePrefix(t *testing.T) {
	for text, want := range map[string]prefix{
		"10.200.0.1/16":      {[4]byte{10, 200, 0, 1}, 16},
		"0.0.0.0/0":          {},
		"255.255.255.255/32": {[4]byte{255, 255, 255, 255}, 32},
	} {
		got, err := parsePrefix(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{
		"", "10.200.0.1", "10.200.0.1/", "10.200.0/16", "256.0.0.1/16", "10.200.0.1/33",
		"10.200.0.1/-1", "-1.0.0.0/8", "a.b.c.d/8", "::1/128", "/16", "veth of somebody",
	} {
		_, err := parsePrefix(text)
		require.ErrorContains(t, err, strconv.Quote(text)+": not an address with the length")
	}
}

func TestMask(t *testing.T) {
	for bits, want := range map[int][4]byte{
		0: {}, 1: {128}, 8: {255}, 12: {255, 240}, 16: {255, 255}, 17: {255, 255, 128},
		31: {255, 255, 255, 254}, 32: {255, 255, 255, 255},
	} {
		require.Equal(t, want, prefix{bits: bits}.mask(), bits)
	}
}

// Two networks overlap if one has the other in it.
func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		one, other string
		want       bool
	}{
		{"10.200.0.1/16", "10.200.0.0/16", true},
		{"10.200.0.1/16", "10.0.0.0/8", true},
		{"10.200.0.1/16", "10.200.77.5/32", true},
		{"10.200.0.1/16", "0.0.0.0/0", true},
		{"10.200.0.1/16", "0.0.0.0/1", true},
		{"10.200.0.1/16", "128.0.0.0/1", false},
		{"10.200.0.1/16", "10.201.0.0/16", false},
		{"10.200.0.1/16", "10.202.0.0/15", false},
		{"10.201.0.1/16", "10.200.0.0/15", true},
		{"10.200.0.1/16", "10.128.0.0/9", true},
		{"10.200.0.1/16", "10.0.0.0/9", false},
		{"172.29.0.1/16", "172.17.0.0/16", false}, // Docker's
		{"192.168.0.1/16", "192.168.1.0/24", true},
	} {
		one, err := parsePrefix(c.one)
		require.NoError(t, err)
		other, err := parsePrefix(c.other)
		require.NoError(t, err)
		require.Equal(t, c.want, one.overlaps(other), "%s and %s", c.one, c.other)
		require.Equal(t, c.want, other.overlaps(one), "%s and %s", c.other, c.one)
	}
}

// The subnets are private (RFC 1918, RFC 6598), and no two are the same, so that one is free if
// another is not. All are a /16: the rule for packets that leave compares the first two bytes, and
// the number of a port is the rest of the address.
func TestSubnets(t *testing.T) {
	_, shared, err := net.ParseCIDR("100.64.0.0/10")
	require.NoError(t, err)
	for i, subnet := range subnets {
		ip := net.IP(subnet.ip[:])
		require.True(t, ip.IsPrivate() || shared.Contains(ip), subnet)
		require.Equal(t, 16, subnet.bits)
		require.Equal(t, []byte{0, 1}, subnet.ip[2:], "the gateway, as Place.Join knows it")
		for _, other := range subnets[:i] {
			require.False(t, subnet.overlaps(other), "%s and %s", subnet, other)
		}
	}
}

func TestPlace(t *testing.T) {
	require.Empty(t, (*Place)(nil).Address())
	require.Equal(t, "10.200.0.2", Example().Address())
	require.NoError(t, Example().Leave(), "it has nothing to leave")
	Example().say("nobody hears it")
}

// A network namespace is made by the child, and programs expect that 127.0.0.1 answers.
func TestLoopback(t *testing.T) {
	require.Equal(t, []string{
		`unshare(CLONE_NEWNET)`,
		`socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, 0) as <socket>`,
		`ioctl(<socket>, SIOCSIFFLAGS, {lo IFF_UP})`,
		`close(<socket>)`,
	}, lines(calls(t, Loopback)))
}

// IPv6 stays off, and only a kernel that has none may refuse to say so.
func TestKeepIPv6Off(t *testing.T) {
	got := calls(t, KeepIPv6Off)
	const file = `/proc/sys/net/ipv6/conf/default/disable_ipv6`
	require.Equal(t, []string{
		`openat2(AT_FDCWD, "` + file + `", O_WRONLY|O_CLOEXEC, 0) or ENOENT: leaves out 2`,
		`write(<` + file + `>, "1", 1)`,
		`close(<` + file + `>)`,
	}, lines(got))
}

// The route is last: the kernel takes a gateway only if it can be reached.
func TestConfigure(t *testing.T) {
	place := &Place{
		address: prefix{[4]byte{172, 29, 1, 5}, 12},
		gateway: prefix{[4]byte{172, 29, 0, 1}, 12},
	}
	got := calls(t, place.Configure)
	require.Equal(t, []string{
		`socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, 0) as <socket>`,
		`ioctl(<socket>, SIOCSIFADDR, {eth0 172.29.1.5})`,
		`ioctl(<socket>, SIOCSIFNETMASK, {eth0 255.240.0.0})`,
		`ioctl(<socket>, SIOCADDRT, {default via 172.29.0.1})`,
		`close(<socket>)`,
	}, lines(got))
	for _, c := range append(got, calls(t, Loopback)...) {
		require.Empty(t, c.Allowed, c.Line)
	}
}

// attributesOf are the attributes of a message in text, in their order: their numbers, and their
// values in hex. What nested says is attributes again, it takes apart.
func attributesOf(t *testing.T, body []byte, nested map[string]int) (all []string) {
	var walk func(path string, body []byte)
	walk = func(path string, body []byte) {
		for len(body) > 0 {
			require.GreaterOrEqual(t, len(body), 4, "half an attribute in %s", path)
			length := int(binary.NativeEndian.Uint16(body))
			kind := binary.NativeEndian.Uint16(body[2:])
			require.GreaterOrEqual(t, length, 4)
			require.LessOrEqual(t, length, len(body))
			name := path + strconv.Itoa(int(kind&^unix.NLA_F_NESTED))
			value := body[4:length]
			if header, ok := nested[name]; ok {
				all = append(all, name+" {"+hex.EncodeToString(value[:header])+"}")
				walk(name+".", value[header:])
			} else {
				all = append(all, name+" "+hex.EncodeToString(value))
			}
			next := min((length+3)&^3, len(body))
			require.Equal(t, make([]byte, next-length), body[length:next], "padding of %s", name)
			body = body[next:]
		}
	}
	walk("", body)
	return all
}

// header checks that of a message (netlink(7)), and returns the rest.
func header(t *testing.T, r request, kind, flags uint16) []byte {
	require.Zero(t, len(r)%4)
	require.Equal(t, kind, binary.NativeEndian.Uint16(r[4:]))
	require.Equal(t, flags|unix.NLM_F_REQUEST, binary.NativeEndian.Uint16(r[6:]))
	require.Equal(t, make([]byte, 8), []byte(r[8:16]), "neither a number nor a sender")
	return r[16:]
}

const (
	acknowledge = unix.NLM_F_ACK
	makeOne     = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
)

// up is the struct ifinfomsg of an interface that is up, which strace(1) shows for
// `ip link add ... up` as {ifi_family=AF_UNSPEC, ifi_index=0, ifi_flags=IFF_UP, ifi_change=0x1}.
const up = "00000000000000000100000001000000"

func little(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		skip.Lacking(t, "the bytes are those of a processor with the least significant byte first")
	}
}

// The requests are those that ip(8) makes, but for the zero behind a text, which the kernel takes
// with or without, and the order of attributes, which makes no difference.
func TestRequests(t *testing.T) {
	little(t)
	ip := [4]byte{10, 200, 0, 2}
	for _, c := range []struct {
		name        string // the command of ip(8) that says the same
		r           request
		kind, flags uint16
		body        string // of fixed size, in hex
		nested      map[string]int
		attributes  []string
	}{
		{
			name: "ip link add container0 address 02:00:0a:c8:00:02 up type bridge",
			r:    addBridge("container0", ip), kind: unix.RTM_NEWLINK, flags: makeOne, body: up,
			nested: map[string]int{"18": 0},
			attributes: []string{
				"3 " + hex.EncodeToString([]byte("container0\x00")), // IFLA_IFNAME
				"1 02000ac80002", // IFLA_ADDRESS
				"18 {}",          // IFLA_LINKINFO
				"18.1 " + hex.EncodeToString([]byte("bridge\x00")), // IFLA_INFO_KIND
			},
		},
		{
			name: "ip link set container0 up alias 10.200.0.1/16",
			r:    setAlias("container0", "10.200.0.1/16"),
			kind: unix.RTM_NEWLINK, flags: acknowledge, body: up,
			attributes: []string{
				"3 " + hex.EncodeToString([]byte("container0\x00")),
				"20 " + hex.EncodeToString([]byte("10.200.0.1/16\x00")), // IFLA_IFALIAS
			},
		},
		{
			name: "ip link add eth0 address 02:00:0a:c8:00:02 netns ... up type veth " +
				"peer name container2",
			r:    addVeth("container2", 7, ip),
			kind: unix.RTM_NEWLINK, flags: makeOne, body: up,
			// VETH_INFO_PEER begins with a struct ifinfomsg.
			nested: map[string]int{"18": 0, "18.2": 0, "18.2.1": 16},
			attributes: []string{
				"3 " + hex.EncodeToString([]byte("eth0\x00")),
				"1 02000ac80002",
				"28 07000000", // IFLA_NET_NS_FD
				"18 {}",
				"18.1 " + hex.EncodeToString([]byte("veth\x00")),
				"18.2 {}", // IFLA_INFO_DATA
				"18.2.1 {00000000000000000000000000000000}", // it is down until makePort
				"18.2.1.3 " + hex.EncodeToString([]byte("container2\x00")),
			},
		},
		{
			name: "ip link set container2 up master container0",
			r:    makePort("container2", 3),
			kind: unix.RTM_NEWLINK, flags: acknowledge, body: up,
			attributes: []string{
				"3 " + hex.EncodeToString([]byte("container2\x00")),
				"10 03000000", // IFLA_MASTER
			},
		},
		{
			name: "ip addr add 10.200.0.1/16 dev container0",
			r:    addAddress(3, prefix{[4]byte{10, 200, 0, 1}, 16}),
			kind: unix.RTM_NEWADDR, flags: makeOne,
			body:       "0210000003000000",                   // struct ifaddrmsg
			attributes: []string{"2 0ac80001", "1 0ac80001"}, // IFA_LOCAL, IFA_ADDRESS
		},
		{
			name: "ip link show container0",
			r:    getLink("container0"), kind: unix.RTM_GETLINK, flags: acknowledge,
			body:       strings.Repeat("00", 16),
			attributes: []string{"3 " + hex.EncodeToString([]byte("container0\x00"))},
		},
		{
			name: "ip -4 route show table all",
			r:    getRoutes(), kind: unix.RTM_GETROUTE, flags: acknowledge | unix.NLM_F_DUMP,
			body: "02" + strings.Repeat("00", 11), // struct rtmsg
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			rest := header(t, c.r, c.kind, c.flags)
			size := len(c.body) / 2
			require.Equal(t, c.body, hex.EncodeToString(rest[:size]))
			require.Equal(t, c.attributes, attributesOf(t, rest[size:], c.nested))
		})
	}
}

// What strace(1) shows of ip(8) for the peer of a pair has the same attributes.
func TestPeerOfIP(t *testing.T) {
	little(t)
	const recorded = "\x24\x00\x01\x00" + // VETH_INFO_PEER
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x0f\x00\x03\x00\x63\x6f\x6e\x74\x61\x69\x6e\x65\x72\x32\x00\x00"
	want := attributesOf(t, []byte(recorded), map[string]int{"1": 16})
	rest := header(t, addVeth("container2", 7, [4]byte{10, 200, 0, 2}), unix.RTM_NEWLINK, makeOne)
	data := attribute(attribute(rest, 16, unix.IFLA_LINKINFO), 0, unix.IFLA_INFO_DATA)
	require.Equal(t, want, attributesOf(t, data, map[string]int{"1": 16}))
}

// The expressions of nftables have numbers in the order of the network (libnftnl).
func TestExpressions(t *testing.T) {
	little(t)
	require.Equal(t, []string{"1 00000007", "2 0000000c"},
		attributesOf(t, numbers(1, 7, 2, 12), nil))
	require.Equal(t, []string{"1 00000001", "2 00000000", "3 {}", "3.1 0ac8"},
		attributesOf(t, compare(unix.NFT_CMP_EQ, []byte{10, 200}), map[string]int{"3": 0}))
	list := request(nil).addExpression("masq", nil).addExpression("meta", numbers(1, 2))
	require.Equal(t, []string{
		"1 {}", "1.1 " + hex.EncodeToString([]byte("masq\x00")), "1.2 {}",
		"1 {}", "1.1 " + hex.EncodeToString([]byte("meta\x00")), "1.2 {}", "1.2.1 00000002",
	}, attributesOf(t, list, map[string]int{"1": 0, "1.2": 0}))
	rest := header(t, nftRequest(unix.NFT_MSG_NEWTABLE, acknowledge),
		unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, acknowledge)
	require.Equal(t, "02000000", hex.EncodeToString(rest), "struct nfgenmsg: IPv4")
}

// An answer is what the kernel sends, but a message that is cut off must not be read beyond its
// end.
func TestAttribute(t *testing.T) {
	body := append([]byte("head"), request(nil).addText(1, "a").addNumber(2, 7).addText(1, "b")...)
	require.Equal(t, "a\x00", string(attribute(body, 4, 1)), "the first")
	require.Equal(t, binary.NativeEndian.AppendUint32(nil, 7), attribute(body, 4, 2))
	require.Nil(t, attribute(body, 4, 3))
	require.Nil(t, attribute(nil, 0, 1))
	require.Nil(t, attribute(body, 400, 1))
	require.Empty(t, attribute(request(nil).add(5, nil), 0, 5))
	require.NotNil(t, attribute(request(nil).add(5, nil), 0, 5))
	for end := range body {
		part := body[:end:end]
		for kind := range uint16(4) {
			require.NotPanics(t, func() { attribute(part, 4, kind) }, "%d of %d", kind, end)
		}
		require.Nil(t, attribute(part, 4, 3))
	}
	require.Nil(t, attribute([]byte{3, 0, 1, 0, 8, 0, 1, 0}, 0, 1), "a length that leads nowhere")
	require.Nil(t, attribute(make([]byte, 64), 0, 0), "nor does none")
}

// The kernel refuses with a number, and newer ones with words.
func TestRefusal(t *testing.T) {
	message := func(number int32, flags uint16, attributes request) syscall.NetlinkMessage {
		data := binary.NativeEndian.AppendUint32(nil, uint32(number))
		data = append(data, make([]byte, 16)...) // the header of the request
		return syscall.NetlinkMessage{
			Header: syscall.NlMsghdr{Flags: flags},
			Data:   append(data, attributes...),
		}
	}
	words := request(nil).addText(unix.NLMSGERR_ATTR_MSG, "no room")
	require.NoError(t, refusal(message(0, 0, nil)))
	require.NoError(t, refusal(message(0, unix.NLM_F_ACK_TLVS, words)), "a warning is no refusal")
	err := refusal(message(-int32(unix.EEXIST), 0, nil))
	require.Equal(t, unix.EEXIST, err)
	err = refusal(message(-int32(unix.EINVAL), unix.NLM_F_ACK_TLVS, words))
	require.ErrorIs(t, err, unix.EINVAL)
	require.EqualError(t, err, "invalid argument (no room)")
	require.Equal(t, unix.EINVAL, refusal(message(-int32(unix.EINVAL), 0, words)), "no attributes")
	require.Equal(t, unix.EINVAL, refusal(message(-int32(unix.EINVAL), unix.NLM_F_ACK_TLVS, nil)))
}

// What asks for nothing but an answer anybody may ask.
func TestAnswers(t *testing.T) {
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer rt.close()
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	answers, err := rt.do(getLink("lo"))
	require.NoError(t, err)
	require.Len(t, answers, 1)
	require.Equal(t, lo.Index, linkIndex(answers))
	require.Equal(t, "lo\x00", string(attribute(answers[0], 16, unix.IFLA_IFNAME)))

	// Two at once, each with its answer.
	answers, err = rt.do(getLink("lo"), getLink("lo"))
	require.NoError(t, err)
	require.Len(t, answers, 2)

	_, err = rt.do(getRoutes())
	require.NoError(t, err)
	_, err = rt.do(getLink("nobody-has-it"))
	require.ErrorIs(t, err, unix.ENODEV)
	_, _, err = findBridge(rt)
	require.True(t, err == nil || errors.Is(err, unix.ENODEV), err)
}

func TestRoutes(t *testing.T) {
	answer := func(bits, kind byte, attributes request) []byte {
		return append([]byte{unix.AF_INET, bits, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0}, attributes...)
	}
	to := request(nil).addNumber(unix.RTA_TABLE, 254).add(unix.RTA_DST, []byte{10, 1, 0, 0})
	got, dropped, ok := routePrefix(answer(16, unix.RTN_UNICAST, to))
	require.True(t, ok)
	require.False(t, dropped)
	require.Equal(t, "10.1.0.0/16", got.String())
	_, _, ok = routePrefix(answer(0, unix.RTN_UNICAST, request(nil).addNumber(unix.RTA_TABLE, 254)))
	require.False(t, ok, "a default route overlaps nothing")
	ofIPv6 := request(nil).add(unix.RTA_DST, make([]byte, 16))
	_, _, ok = routePrefix(answer(64, unix.RTN_UNICAST, ofIPv6))
	require.False(t, ok, "of IPv6")

	for _, c := range []struct {
		route string
		kind  byte
		takes bool
	}{
		{"0.0.0.0/0", unix.RTN_UNICAST, false},
		{"0.0.0.0/1", unix.RTN_UNICAST, false}, // half of the default route, of a VPN
		{"0.0.0.0/5", unix.RTN_UNICAST, false}, // all but the networks of the caller
		{"10.0.0.0/7", unix.RTN_UNICAST, false},
		{"10.0.0.0/8", unix.RTN_UNICAST, true},
		{"10.200.0.0/16", unix.RTN_UNICAST, true},
		{"10.200.5.0/24", unix.RTN_UNICAST, true},
		{"10.200.5.1/32", unix.RTN_LOCAL, true},
		{"10.201.0.0/16", unix.RTN_UNICAST, false},
		{"10.0.0.0/8", unix.RTN_UNREACHABLE, false}, // a router that lets nothing private out
		{"10.0.0.0/8", unix.RTN_BLACKHOLE, false},
		{"10.0.0.0/8", unix.RTN_PROHIBIT, false},
		{"10.0.0.0/8", unix.RTN_THROW, false},
		{"10.200.0.0/16", unix.RTN_BLACKHOLE, true}, // reserved, as a network of containers does
		{"10.200.7.0/26", unix.RTN_BLACKHOLE, true},
	} {
		destination, err := parsePrefix(c.route)
		require.NoError(t, err)
		route := answer(byte(destination.bits), c.kind,
			request(nil).add(unix.RTA_DST, destination.ip[:]))
		require.Equal(t, c.takes, subnets[0].isTakenBy(route), "%s of type %d", c.route, c.kind)
	}
}

// sleeping starts a process in another network namespace, as a container is.
func sleeping(t *testing.T) (pid int) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNET}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func forwarding(t *testing.T) string {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// The kernel takes the requests for what they are meant: the first container finds a bridge made,
// the last one leaves nothing behind.
func TestJoinAndLeave(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	var trace []string
	first, err := Join(sleeping(t), func(what string) { trace = append(trace, what) }, goesOn)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		skip.Lacking(t, fmt.Sprint("the kernel has no bridge, veth or nftables: ", err))
	}
	require.NoError(t, err)
	require.Equal(t, "bridge container0 10.200.0.1/16", trace[0])
	require.Regexp(t, `^veth container\d+ of bridge container0, eth0 10\.200\.\d+\.\d+/16$`,
		trace[1])
	second, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	require.NotEqual(t, first.Address(), second.Address())

	bridge, err := net.InterfaceByName("container0")
	require.NoError(t, err)
	require.NotZero(t, bridge.Flags&net.FlagUp)
	require.Equal(t, "02:00:0a:c8:00:01", bridge.HardwareAddr.String())
	addresses, err := bridge.Addrs()
	require.NoError(t, err)
	require.Equal(t, "[10.200.0.1/16]", fmt.Sprint(addresses), "and none of IPv6")
	require.Equal(t, "2", forwarding(t))
	all, err := net.Interfaces()
	require.NoError(t, err)
	ports := 0
	for _, i := range all {
		if strings.HasPrefix(i.Name, "container") && i.Name != "container0" {
			require.NotZero(t, i.Flags&net.FlagUp, i.Name)
			ports++
		}
	}
	require.Equal(t, 2, ports)
	rules := func() string {
		text, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return ""
		}
		require.NoError(t, err, string(text))
		return strings.Join(strings.Fields(string(text)), " ")
	}
	if r := rules(); r != "" {
		require.Equal(
			t,
			"table ip container0 { chain postrouting { type nat hook postrouting "+
				"priority srcnat; policy accept; "+
				`ip saddr 10.200.0.0/16 oifname != "container0" masquerade } }`,
			r,
		)
	}

	require.NoError(t, first.Leave())
	_, err = net.InterfaceByName("container0")
	require.NoError(t, err, "another container is there")
	require.NoError(t, second.Leave())
	_, err = net.InterfaceByName("container0")
	require.Error(t, err)
	require.Equal(t, "0", forwarding(t))
	require.Empty(t, rules())
}

// linksThatAreUp are the names of the interfaces whose carrier the kernel has noticed, in this
// network namespace or in that of an attribute. Other than a question about one interface, one
// about all changes nothing.
func linksThatAreUp(t *testing.T, rt netlink, namespace ...byte) (names []string) {
	all := newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK|unix.NLM_F_DUMP, make([]byte, 16))
	if namespace != nil {
		all = all.add(unix.IFLA_IF_NETNSID, namespace)
	}
	links, err := rt.do(all)
	require.NoError(t, err)
	for _, link := range links {
		if !isDown(link) {
			name := bytes.TrimRight(attribute(link, 16, unix.IFLA_IFNAME), "\x00")
			names = append(names, string(name))
		}
	}
	return names
}

// The kernel has noticed all carriers when a container goes on, and forwards its first packet.
func TestUpAtOnce(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer rt.close()
	for range 20 { // the first makes the bridge, all others find it
		place, err := Join(sleeping(t), nil, goesOn)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
			skip.Lacking(t, fmt.Sprint("the kernel has no bridge, veth or nftables: ", err))
		}
		require.NoError(t, err)
		port := fmt.Sprint("container", binary.BigEndian.Uint16(place.address.ip[2:]))
		require.Subset(t, linksThatAreUp(t, rt), []string{bridgeName, port})
		link, err := rt.do(getLink(port))
		require.NoError(t, err)
		namespace := attribute(link[0], 16, unix.IFLA_LINK_NETNSID)
		require.NotNil(t, namespace)
		require.Equal(t, []string{"eth0"}, linksThatAreUp(t, rt, namespace...))
		defer func() { require.NoError(t, place.Leave()) }()
	}
}

// A subnet to which the host has a route is somebody else's, also by a route to a larger network.
func TestFreeSubnet(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer rt.close()
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	_, err = rt.do(newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(lo.Index)))
	require.NoError(t, err)
	for i, c := range []struct{ taken, want string }{
		{"10.200.3.4/32", "10.99.0.1/16"},
		{"10.0.0.0/8", "172.29.0.1/16"},
		{"172.16.0.0/12", "192.168.0.1/16"},
		{"192.168.1.1/24", "100.99.0.1/16"},
		{"100.64.0.0/10", ""},
	} {
		free, err := freeSubnet(rt)
		require.NoError(t, err)
		if i == 0 {
			require.Equal(t, "10.200.0.1/16", free.String())
		}
		taken, err := parsePrefix(c.taken)
		require.NoError(t, err)
		_, err = rt.do(addAddress(lo.Index, taken))
		require.NoError(t, err)
		free, err = freeSubnet(rt)
		if c.want == "" {
			require.ErrorContains(t, err,
				"the host has routes to each of the subnets [10.200.0.1/16 ")
			return
		}
		require.NoError(t, err)
		require.Equal(t, c.want, free.String())
	}
}

// What another program has set is left as it is.
func TestForwarding(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	for _, c := range []struct{ now, from, to, want string }{
		{"0", "0", "2", "2"},
		{"1", "0", "2", "1"},
		{"2", "2", "0", "0"},
		{"1", "2", "0", "1"},
		{"0", "2", "0", "0"},
	} {
		require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(c.now), 0))
		require.NoError(t, changeForwarding(c.from, c.to))
		require.Equal(t, c.want, forwarding(t), "%+v", c)
	}
}

// A bridge of another program with the same name is left alone.
func TestBridgeOfAnotherProgram(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer rt.close()
	_, err = rt.do(addBridge(bridgeName, [4]byte{10, 1, 2, 3}))
	require.NoError(t, err)
	_, err = Join(sleeping(t), nil, goesOn)
	require.EqualError(t, err,
		`network: make bridge "container0": made by another program: it has no such alias`)
	_, err = net.InterfaceByName(bridgeName)
	require.NoError(t, err)
}

// Somebody has set the bridge down, while a container is there: the next one is not kept waiting.
func TestBridgeIsSetDown(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	rt, err := openNetlink(unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer rt.close()
	first, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	bridge, _, err := findBridge(rt)
	require.NoError(t, err)
	body := linkBody(bridge)
	binary.NativeEndian.PutUint32(body[8:], 0)
	_, err = rt.do(newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, body))
	require.NoError(t, err)
	second, err := Join(sleeping(t), nil, goesOn)
	require.EqualError(t, err, `network: interface "container0": network is down `+
		`(set down by another program: ip link set container0 up)`)
	require.NoError(t, second.Leave())
	require.NoError(t, first.Leave())
	_, err = net.InterfaceByName(bridgeName)
	require.Error(t, err)
}

// What a runtime left that was killed is made anew.
func TestBridgeIsMadeAnew(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	killed, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	before, err := net.InterfaceByName(bridgeName)
	require.NoError(t, err)
	require.NoError(t, unix.Close(killed.host)) // the kernel drops its locks
	place, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	after, err := net.InterfaceByName(bridgeName)
	require.NoError(t, err)
	require.NotEqual(t, before.Index, after.Index)
	require.NoError(t, place.Leave())
	_, err = net.InterfaceByName(bridgeName)
	require.Error(t, err)
}

// Anybody can have a lock that counts like that of a container: a bridge that is missing is made
// all the same, and stays.
func TestBridgeIsMadeWhateverTheCountSays(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	fd := openNamespace(t)
	shared := &unix.Flock_t{Type: unix.F_RDLCK}
	require.NoError(t, unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, shared))
	place, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	require.NoError(t, place.Leave())
	_, err = net.InterfaceByName(bridgeName)
	require.NoError(t, err)
}

// openNamespace opens the network namespace once more, as another process does that locks it.
func openNamespace(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// Containers on a bridge that is there wait neither for those that come nor for those that go: with
// a hundred at once on a slow machine, some would wait in vain.
func TestContainersDoNotWaitForOthers(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	first, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	fd := openNamespace(t)
	require.NoError(t, unix.Flock(fd, unix.LOCK_SH), "as another that comes")
	second, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(fd, unix.LOCK_EX), "as another that goes")
	require.NoError(t, second.Leave())
	require.NoError(t, unix.Flock(fd, unix.LOCK_UN))
	require.NoError(t, first.Leave())
	_, err = net.InterfaceByName(bridgeName)
	require.Error(t, err)
}

// A container that comes while the last one waits to remove the bridge keeps it.
func TestAnotherComesAtTheEnd(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	last, err := Join(sleeping(t), nil, goesOn)
	require.NoError(t, err)
	fd := openNamespace(t)
	require.NoError(t, unix.Flock(fd, unix.LOCK_SH))
	left := make(chan error, 1)
	go func() { left <- last.Leave() }()
	waits := fmt.Sprintf("-> FLOCK  ADVISORY  WRITE %d ", os.Getpid()) // proc_locks(5)
	require.Eventually(t, func() bool {
		locks, err := os.ReadFile("/proc/locks")
		return err == nil && strings.Contains(string(locks), waits)
	}, time.Minute, time.Millisecond)
	other := &Place{host: fd}
	require.NoError(t, other.count(unix.F_RDLCK))
	require.NoError(t, unix.Flock(fd, unix.LOCK_UN))
	require.NoError(t, <-left)
	_, err = net.InterfaceByName(bridgeName)
	require.NoError(t, err)
}

// Who can open a file can lock it: nobody waits forever for a program that keeps its lock, nor
// after a signal.
func TestLockedByAnotherProgram(t *testing.T) {
	// It is the namespace of the test: other tests may look at the lock of this one.
	other, place := openNamespace(t), &Place{host: openNamespace(t)}
	require.NoError(t, unix.Flock(other, unix.LOCK_EX))
	for _, how := range []int{unix.LOCK_SH, unix.LOCK_EX} {
		err := place.lock(how, time.Nanosecond, goesOn)
		require.EqualError(t, err, "flock /proc/self/ns/net: another process keeps its lock on it "+
			"(lslocks shows which)")
		err = place.lock(how, time.Hour, func() error { return unix.EINTR })
		require.Equal(t, unix.EINTR, err)
	}
}

func TestJoinNobody(t *testing.T) {
	_, err := Join(1<<30, nil, goesOn)
	require.EqualError(t, err, "network: open namespace of 1073741824: no such file or directory")
}
