//go:build linux

package record

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// networkCalls ask the kernel for interfaces, addresses and rules (netlink(7)).
var networkCalls = []callKind{
	{
		number: unix.SYS_SENDTO, name: "sendto", man: "netlink(7)", decode: decodeSendto,
		looks: lookNetwork,
	},
	{
		number: unix.SYS_SENDMSG, name: "sendmsg", man: "netlink(7)", decode: decodeSendmsg,
		looks: lookNetwork,
	},
}

const mostMessage = 1 << 16

func decodeSendto(c *call) bool {
	fd := c.number(0)
	return c.sends(fd, c.file(fd), func() []byte {
		return c.memory(c.raw[1], int(min(c.raw[2], mostMessage)))
	})
}

// decodeSendmsg reads struct msghdr.
func decodeSendmsg(c *call) bool {
	const partsAt, countAt, mostParts = 16, 24, 16
	fd := c.number(0)
	return c.sends(fd, c.file(fd), func() (data []byte) {
		header := structure(c.memory(c.raw[1], 32))
		for i := range min(header.u64(countAt), mostParts) {
			part := structure(c.memory(header.u64(partsAt)+16*i, 16))
			data = append(data, c.memory(part.u64(0), int(min(part.u64(8), mostMessage)))...)
		}
		return data
	})
}

// sends decodes what is sent on a socket with a name, as in "socket:[4711]", if that is one of
// netlink.
func (c *call) sends(fd int, name string, read func() []byte) bool {
	protocol, ok := c.tracer.sockets[name]
	if ok && !isConfigured(protocol) {
		return false
	}
	s := c.copySocket(fd, name)
	defer s.close()
	if !ok {
		protocol = s.protocol(c)
		if s.fd >= 0 {
			c.tracer.sockets[name] = protocol
		}
	}
	if !isConfigured(protocol) {
		return false
	}
	var words, keys []string
	messages := splitMessages(read())
	for _, m := range messages {
		word, key := m.describe(protocol, s.interfaceName)
		if word != "" {
			words = append(words, word)
			keys = append(keys, key)
		}
	}
	if len(words) == 0 {
		return false
	}
	c.arg("netlink", strings.Join(keys, ", "))
	c.words = list(words)
	c.key = "netlink " + strings.Join(keys, ", ")
	c.about = strings.Join(keys, ", ")
	c.looks |= lookNetwork
	if s.ready() != 0 {
		return true // an answer to another message comes first
	}
	c.answer = func() unix.Errno {
		s := c.copySocket(fd, name)
		defer s.close()
		return s.refusal(messages)
	}
	return true
}

// isConfigured tells whether a protocol of netlink(7) is one by which networks are configured.
func isConfigured(protocol int) bool {
	return protocol == unix.NETLINK_ROUTE || protocol == unix.NETLINK_NETFILTER
}

// socket is a descriptor of our own for a socket of a thread.
type socket struct {
	fd   int // -1 if there is none
	name string
}

// copySocket gets a descriptor by pidfd_getfd(2).
func (c *call) copySocket(fd int, name string) socket {
	none := socket{fd: -1, name: name}
	if !strings.HasPrefix(name, "socket:[") {
		return none
	}
	process, err := unix.PidfdOpen(c.thread.process.pid, 0)
	if err != nil {
		return none // its first thread has ended
	}
	defer unix.Close(process)
	copied, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return none
	}
	s := socket{fd: copied, name: name}
	// The thread may have a table of descriptors of its own, without CLONE_FILES.
	if readLink("/proc/self/fd/"+strconv.Itoa(copied)) != name {
		s.close()
		return none
	}
	return s
}

func (s socket) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
}

// ready is what poll(2) tells of a socket: that there is something to read, or an error, which
// recv(2) would take away from the program.
func (s socket) ready() int16 {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return unix.POLLERR
	}
	return fds[0].Revents // of a descriptor below 0 there are none
}

// protocol is that of a socket of netlink(7), or -1.
func (s socket) protocol(c *call) int {
	if s.fd < 0 {
		return c.boundProtocol(s.name)
	}
	domain, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_NETLINK {
		return -1
	}
	protocol, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return -1
	}
	return protocol
}

// boundProtocol is the protocol of a socket that is not ours to copy. The table has only those that
// have an address: a socket that was not bound gets it by its first message.
func (c *call) boundProtocol(name string) int {
	inode := strings.TrimSuffix(strings.TrimPrefix(name, "socket:["), "]")
	text, _ := readFile(c.proc("net/netlink")) // an error: it has none
	for line := range strings.Lines(string(text)) {
		// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		fields := strings.Fields(line)
		if len(fields) == 10 && fields[9] == inode {
			if protocol, err := strconv.Atoi(fields[1]); err == nil {
				return protocol
			}
		}
	}
	return -1
}

// interfaceName is the name of an interface by its number, in the namespace of the socket.
func (s socket) interfaceName(index int) string {
	if request, err := unix.NewIfreq(""); err == nil && s.fd >= 0 {
		request.SetUint32(uint32(index))
		if unix.IoctlIfreq(s.fd, unix.SIOCGIFNAME, request) == nil {
			return request.Name()
		}
	}
	return fmt.Sprintf("number %d", index)
}

// refusal is the error with which the kernel has answered one of the messages, or 0. That answer is
// there when the call returns. It stays for the program: we only look at it.
func (s socket) refusal(messages []message) unix.Errno {
	if s.ready() != unix.POLLIN {
		return 0
	}
	// struct nlmsgerr: the error, and the header of the message that it is about
	const errorAt, kindAt, sequenceAt, size = 0, 8, 12, 20
	buffer := make([]byte, ptrace.PageSize)
	n, _, err := unix.Recvfrom(s.fd, buffer, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	for _, answer := range splitMessages(buffer[:n]) {
		if answer.kind != unix.NLMSG_ERROR || len(answer.body) < size {
			continue
		}
		isOf := func(m message) bool {
			return m.kind == int(answer.body.u16(kindAt)) &&
				m.sequence == answer.body.u32(sequenceAt)
		}
		number := -int32(answer.body.u32(errorAt))
		if number > 0 && slices.ContainsFunc(messages, isOf) {
			return unix.Errno(number)
		}
	}
	return 0
}

// message is a message of netlink(7).
type message struct {
	kind     int
	sequence uint32
	body     structure
}

func align4(n int) int { return (n + 3) &^ 3 }

func splitMessages(data structure) (messages []message) {
	const header = 16
	for len(data) >= header {
		size := int(data.u32(0))
		if size < header || size > len(data) {
			break
		}
		messages = append(messages, message{
			kind:     int(data.u16(4)),
			sequence: uint32(data.u32(8)),
			body:     data[header:size],
		})
		data = data[min(align4(size), len(data)):]
	}
	return messages
}

// attributes are those that follow a header, by their kind.
func (s structure) attributes(after int) map[int]structure {
	const header, nested = 4, 0x3fff
	found := map[int]structure{}
	for data := s[min(after, len(s)):]; len(data) >= header; {
		size := int(data.u16(0))
		if size < header || size > len(data) {
			break
		}
		found[int(data.u16(2))&nested] = data[header:size]
		data = data[min(align4(size), len(data)):]
	}
	return found
}

// text is a text that may end with a zero byte.
func (s structure) text() string {
	if end := bytes.IndexByte(s, 0); end >= 0 {
		s = s[:end]
	}
	return string(s)
}

func (s structure) address() string {
	a, ok := netip.AddrFromSlice(s)
	if !ok {
		return ""
	}
	return a.String()
}

// describe says what a message asks for, in a sentence and as a key. It is "" if that changes
// nothing.
func (m message) describe(protocol int, nameOf func(int) string) (words, key string) {
	if protocol == unix.NETLINK_NETFILTER {
		return m.describeRule()
	}
	switch m.kind {
	case unix.RTM_NEWLINK, unix.RTM_SETLINK:
		return m.describeLink(nameOf)
	case unix.RTM_DELLINK:
		name := m.linkName(nameOf)
		return "the interface " + name + " is removed", "link del " + name
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return m.describeAddress(nameOf)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return m.describeRoute(nameOf)
	case unix.RTM_NEWNEIGH:
		return "an entry of the table of neighbours", "neigh add"
	case unix.RTM_NEWRULE:
		return "a rule of routing", "rule add"
	case unix.RTM_NEWQDISC:
		return "a queue of packets", "qdisc add"
	}
	return "", ""
}

const ifinfoSize = 16

// linkName is the interface that struct ifinfomsg is about.
func (m message) linkName(nameOf func(int) string) string {
	if name := m.body.attributes(ifinfoSize)[unix.IFLA_IFNAME].text(); name != "" {
		return name
	}
	return nameOf(int(m.body.u32(4)))
}

func (m message) describeLink(nameOf func(int) string) (words, key string) {
	const indexAt, flagsAt, changeAt = 4, 8, 12
	attributes := m.body.attributes(ifinfoSize)
	name := m.linkName(nameOf)
	info := attributes[unix.IFLA_LINKINFO].attributes(0)
	if kind := info[unix.IFLA_INFO_KIND].text(); kind != "" {
		words = fmt.Sprintf("a new interface %s of type %s", name, kind)
		const peer = 1 // VETH_INFO_PEER
		other := info[unix.IFLA_INFO_DATA].attributes(0)[peer].attributes(ifinfoSize)
		if kind == "veth" && other[unix.IFLA_IFNAME] != nil {
			words += " with the other end " + other[unix.IFLA_IFNAME].text()
		}
		return words, "link add " + kind
	}
	var done []string
	switch master := attributes[unix.IFLA_MASTER]; {
	case master.u32(0) != 0:
		done = append(done, "is plugged into "+nameOf(int(master.u32(0))))
		key = "link master"
	case master != nil:
		done = append(done, "is unplugged")
		key = "link nomaster"
	}
	if attributes[unix.IFLA_NET_NS_PID] != nil || attributes[unix.IFLA_NET_NS_FD] != nil {
		done = append(done, "moves to another network namespace")
		key = "link netns"
	}
	if title := attributes[unix.IFLA_IFNAME]; title != nil && m.body.u32(indexAt) != 0 {
		done = append(done, "is called "+title.text())
		key = "link name " + title.text()
	}
	if m.body.u32(changeAt)&unix.IFF_UP != 0 {
		state := "down"
		if m.body.u32(flagsAt)&unix.IFF_UP != 0 {
			state = "up"
		}
		done = append(done, "goes "+state)
		key = "link " + state
		if name == "lo" {
			key += " lo"
		}
	}
	if len(done) == 0 && m.body.u32(indexAt) == 0 && attributes[unix.IFLA_IFNAME] == nil {
		return "", "" // of no interface: ip(8) asks so whether the kernel knows such a message
	}
	if len(done) == 0 {
		return "the interface " + name + " is changed", "link set"
	}
	return "the interface " + name + " " + list(done), key
}

// describeAddress reads struct ifaddrmsg.
func (m message) describeAddress(nameOf func(int) string) (words, key string) {
	const size = 8
	attributes := m.body.attributes(size)
	address := attributes[unix.IFA_LOCAL]
	if address == nil {
		address = attributes[unix.IFA_ADDRESS]
	}
	if len(m.body) < size {
		return "", ""
	}
	name := nameOf(int(m.body.u32(4)))
	text := fmt.Sprintf("%s/%d", address.address(), m.body[1])
	if m.kind == unix.RTM_DELADDR {
		return "the interface " + name + " loses the address " + text, "addr del"
	}
	return "the interface " + name + " gets the address " + text, "addr add"
}

// describeRoute reads struct rtmsg.
func (m message) describeRoute(nameOf func(int) string) (words, key string) {
	const size = 12
	if len(m.body) < size {
		return "", ""
	}
	attributes := m.body.attributes(size)
	target := "everywhere else"
	key = "route add default"
	if destination := attributes[unix.RTA_DST]; destination != nil && m.body[1] != 0 {
		target = fmt.Sprintf("%s/%d", destination.address(), m.body[1])
		key = "route add"
	}
	if m.kind == unix.RTM_DELROUTE {
		return "the route to " + target + " is removed", "route del"
	}
	words = "a route to " + target
	if gateway := attributes[unix.RTA_GATEWAY]; gateway != nil {
		words += " by " + gateway.address()
	}
	if out := attributes[unix.RTA_OIF]; out.u32(0) != 0 {
		words += " through " + nameOf(int(out.u32(0)))
	}
	return words, key
}

// describeRule reads what a message of nftables asks for.
func (m message) describeRule() (words, key string) {
	const subsystem, header = unix.NFNL_SUBSYS_NFTABLES, 4
	if m.kind>>8 != subsystem {
		return "", ""
	}
	const table, name = 1, 2 // NFTA_*_TABLE, NFTA_*_NAME
	attributes := m.body.attributes(header)
	in := " in the table " + attributes[table].text()
	switch m.kind & 0xff {
	case unix.NFT_MSG_NEWTABLE:
		return "a table of packet rules: " + attributes[table].text(), "nft add table"
	case unix.NFT_MSG_DELTABLE:
		return "the table of packet rules " + attributes[table].text() + " is removed",
			"nft delete table"
	case unix.NFT_MSG_NEWCHAIN:
		const chain = 3 // NFTA_CHAIN_NAME
		return "a chain " + attributes[chain].text() + in, "nft add chain"
	case unix.NFT_MSG_NEWRULE:
		return "a rule in the chain " + attributes[name].text() + in, "nft add rule"
	case unix.NFT_MSG_NEWSET:
		return "a set " + attributes[name].text() + in, "nft add set"
	case unix.NFT_MSG_NEWSETELEM:
		return "elements of the set " + attributes[name].text() + in, "nft add element"
	case unix.NFT_MSG_DELRULE:
		return "a rule is removed" + in, "nft delete rule"
	}
	return "", ""
}

// configures decodes the older way to configure interfaces (netdevice(7)): struct ifreq.
func (c *call) configures(request string) bool {
	const nameSize = 16
	data := structure(c.memory(c.raw[2], 2*nameSize))
	if len(data) < nameSize {
		return false
	}
	name := data[:nameSize].text()
	switch request {
	case "SIOCSIFFLAGS":
		state := "down"
		if data.u16(nameSize)&unix.IFF_UP != 0 {
			state = "up"
		}
		c.words, c.key = "the interface "+name+" goes "+state, "netlink link "+state
		if name == "lo" {
			c.key += " lo"
		}
	case "SIOCSIFADDR":
		c.words, c.key = "the interface "+name+" gets an address", "netlink addr add"
	case "SIOCBRADDBR":
		name = c.text(2)
		c.words, c.key = "a new bridge "+name, "netlink link add bridge"
	case "SIOCBRADDIF":
		c.words, c.key = "an interface is plugged into "+name, "netlink link master"
	case "TUNSETIFF":
		c.words, c.key = "a new interface "+name+" whose packets the program handles",
			"netlink link add tun"
	}
	c.arg("name", name)
	c.about = strings.TrimPrefix(c.key, "netlink ")
	c.looks |= lookNetwork
	return true
}
