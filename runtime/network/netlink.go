//go:build linux

package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// netlink is a socket to the part of the kernel that a protocol stands for (netlink(7)).
type netlink int

func openNetlink(protocol int) (netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("netlink: %w", err)
	}
	// The kernel is to give a reason when it refuses, and not to repeat the request.
	return netlink(fd), errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1))
}

func (n netlink) close() { unix.Close(int(n)) }

// do sends requests at once and waits until each that asks for it is acknowledged. It returns the
// bodies of what the kernel answers besides. After an error the socket is of no more use: there may
// be more answers.
func (n netlink) do(requests ...request) (answers [][]byte, err error) {
	var all []byte
	expected := 0
	for _, r := range requests {
		binary.NativeEndian.PutUint32(r, uint32(len(r)))
		if binary.NativeEndian.Uint16(r[6:])&unix.NLM_F_ACK != 0 {
			expected++
		}
		all = append(all, r...)
	}
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(int(n), all, 0, kernel); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1<<15)
	for expected > 0 {
		length, _, err := unix.Recvfrom(int(n), buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:length])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE: // the latter after the last of many answers
				if err := refusal(m); err != nil {
					return nil, err
				}
				expected--
			default:
				answers = append(answers, bytes.Clone(m.Data))
			}
		}
	}
	return answers, nil
}

// refusal is the error that such a message stands for: none for the number 0. The words of the
// kernel, if any, are an attribute behind the header of the request.
func refusal(m syscall.NetlinkMessage) error {
	number := unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
	if number == 0 {
		return nil
	}
	words := attribute(m.Data, 4+16, unix.NLMSGERR_ATTR_MSG)
	if m.Header.Flags&unix.NLM_F_ACK_TLVS != 0 && words != nil {
		return fmt.Errorf("%w (%s)", number, bytes.TrimRight(words, "\x00"))
	}
	return number
}

// request is a message to the kernel: a header of 16 bytes, a body of fixed size, and attributes,
// whose values may be attributes again.
type request []byte

func newRequest(kind, flags uint16, body []byte) request {
	r := make(request, 16, 512)
	binary.NativeEndian.PutUint16(r[4:], kind)
	binary.NativeEndian.PutUint16(r[6:], unix.NLM_F_REQUEST|flags)
	return append(r, body...)
}

// add adds an attribute; its value is padded to four bytes.
func (r request) add(kind uint16, value []byte) request {
	r = binary.NativeEndian.AppendUint16(r, uint16(4+len(value)))
	r = binary.NativeEndian.AppendUint16(r, kind)
	r = append(r, value...)
	return append(r, make([]byte, -len(value)&3)...)
}

func (r request) addText(kind uint16, text string) request {
	return r.add(kind, append([]byte(text), 0))
}

func (r request) addNumber(kind uint16, number uint32) request {
	return r.add(kind, binary.NativeEndian.AppendUint32(nil, number))
}

// attribute finds the value of an attribute in the body of a message; the attributes begin at
// offset.
func attribute(body []byte, offset int, kind uint16) []byte {
	for offset+4 <= len(body) {
		length := int(binary.NativeEndian.Uint16(body[offset:]))
		if length < 4 || offset+length > len(body) {
			break
		}
		if binary.NativeEndian.Uint16(body[offset+2:]) == kind {
			return body[offset+4 : offset+length]
		}
		offset += (length + 3) &^ 3
	}
	return nil
}

// The requests to rtnetlink(7) that a bridge and a pair of interfaces take.

const makeNew = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL

// linkBody is the struct ifinfomsg of an interface that is up. Without an index, an attribute has
// its name.
func linkBody(index int) []byte {
	body := make([]byte, 16)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP) // of the flags, change this one
	return body
}

// hardwareAddress is a local one (IEEE 802) that ends in the IP address. So an address has the same
// one whoever gets it next, and nobody on the bridge remembers a wrong one (arp(7)).
func hardwareAddress(ip [4]byte) []byte { return append([]byte{2, 0}, ip[:]...) }

// addBridge makes a bridge. By default it takes the hardware address of some port, and another when
// that one goes.
func addBridge(name string, ip [4]byte) request {
	info := request(nil).addText(unix.IFLA_INFO_KIND, "bridge")
	return newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).
		add(unix.IFLA_ADDRESS, hardwareAddress(ip)).
		add(unix.IFLA_LINKINFO, info)
}

// setAlias keeps a text with an interface.
func setAlias(name, text string) request {
	return newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).
		addText(unix.IFLA_IFALIAS, text)
}

// addVeth makes a pair (veth(4)): eth0, in the network namespace and up, and its peer, which is
// down.
func addVeth(peer string, netns int, ip [4]byte) request {
	const vethInfoPeer = 1 // the kernel's VETH_INFO_PEER, an ifinfomsg and attributes
	other := request(make([]byte, 16)).addText(unix.IFLA_IFNAME, peer)
	info := request(nil).
		addText(unix.IFLA_INFO_KIND, "veth").
		add(unix.IFLA_INFO_DATA, request(nil).add(vethInfoPeer, other))
	return newRequest(unix.RTM_NEWLINK, makeNew, linkBody(0)).
		addText(unix.IFLA_IFNAME, "eth0").
		add(unix.IFLA_ADDRESS, hardwareAddress(ip)).
		addNumber(unix.IFLA_NET_NS_FD, uint32(netns)).
		add(unix.IFLA_LINKINFO, info)
}

// makePort makes an interface a port of the bridge, and sets it up.
func makePort(name string, bridge int) request {
	return newRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkBody(0)).
		addText(unix.IFLA_IFNAME, name).
		addNumber(unix.IFLA_MASTER, uint32(bridge))
}

// addAddress gives an interface an address, and with it a route to its network.
func addAddress(index int, a prefix) request {
	body := make([]byte, 8) // struct ifaddrmsg: the scope is RT_SCOPE_UNIVERSE, 0
	body[0], body[1] = unix.AF_INET, byte(a.bits)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	return newRequest(unix.RTM_NEWADDR, makeNew, body).add(unix.IFA_LOCAL, a.ip[:]).
		add(unix.IFA_ADDRESS, a.ip[:])
}

// getLink asks for the interface with this name.
func getLink(name string) request {
	return newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, 16)).
		addText(unix.IFLA_IFNAME, name)
}

// linkIndex is the index in an answer to getLink, an ifinfomsg.
func linkIndex(answers [][]byte) int { return int(binary.NativeEndian.Uint32(answers[0][4:])) }

// getPeer asks for the other one of a pair, which may be in another network namespace. link is the
// answer to getLink.
func getPeer(link []byte) request {
	body := make([]byte, 16)
	copy(body[4:8], attribute(link, 16, unix.IFLA_LINK))
	r := newRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, body)
	if namespace := attribute(link, 16, unix.IFLA_LINK_NETNSID); namespace != nil {
		r = r.add(unix.IFLA_IF_NETNSID, namespace)
	}
	return r
}

// isDown tells whether an interface can neither send nor receive (RFC 2863, ifOperStatus). link is
// the answer to getLink.
func isDown(link []byte) bool {
	const up = 6 // the kernel's IF_OPER_UP
	return !bytes.Equal(attribute(link, 16, unix.IFLA_OPERSTATE), []byte{up})
}

// isSetDown tells whether an interface is not even to be up (netdevice(7)). link is the answer to
// getLink, an ifinfomsg.
func isSetDown(link []byte) bool {
	const flagsAt = 8
	return binary.NativeEndian.Uint32(link[flagsAt:])&unix.IFF_UP == 0
}

// getRoutes asks for all routes of IPv4. An answer is a struct rtmsg, with attributes behind it.
func getRoutes() request {
	body := append([]byte{unix.AF_INET}, make([]byte, 11)...)
	return newRequest(unix.RTM_GETROUTE, unix.NLM_F_ACK|unix.NLM_F_DUMP, body)
}

// routePrefix is the destination of a route, which a default route has not, and whether packets for
// it are dropped: the types from RTN_BLACKHOLE on do so, or have another table decide.
func routePrefix(answer []byte) (destination prefix, dropped, ok bool) {
	ip := attribute(answer, 12, unix.RTA_DST)
	if len(ip) != 4 {
		return destination, false, false
	}
	return prefix{[4]byte(ip), int(answer[1])}, answer[7] >= unix.RTN_BLACKHOLE, true
}

// The rule of nftables by which the containers reach what is beyond the host, under the address of
// the host. `nft list ruleset` shows it as
//
//	table ip container0 {
//		chain postrouting {
//			type nat hook postrouting priority srcnat; policy accept;
//			ip saddr 10.200.0.0/16 oifname != "container0" masquerade
//		}
//	}
//
// Where another table drops what the host forwards, as that of Docker does, it is dropped all the
// same: the rules of others are not changed.

// nftRequest is a request to nf_tables: their numbers have the subsystem in the upper byte.
func nftRequest(kind, flags uint16) request {
	return newRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, []byte{unix.NFPROTO_IPV4, 0, 0, 0})
}

// inBatch puts requests into a transaction: all or none of them.
func inBatch(requests ...request) error {
	mark := []byte{0, 0, 0, unix.NFNL_SUBSYS_NFTABLES}
	batch := append([]request{newRequest(unix.NFNL_MSG_BATCH_BEGIN, 0, mark)}, requests...)
	batch = append(batch, newRequest(unix.NFNL_MSG_BATCH_END, 0, mark))
	nf, err := openNetlink(unix.NETLINK_NETFILTER)
	defer nf.close()
	if err != nil {
		return err
	}
	_, err = nf.do(batch...)
	return err
}

func addMasquerade(gateway prefix) error {
	subnet := gateway.ip[:2] // it is a /16
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, bridgeName)
	rule := request(nil).
		// Load the first two bytes of the source address and compare them,
		addExpression("payload", numbers(
			unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1,
			unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER,
			unix.NFTA_PAYLOAD_OFFSET, 12,
			unix.NFTA_PAYLOAD_LEN, 2)).
		addExpression("cmp", compare(unix.NFT_CMP_EQ, subnet)).
		// the same with the interface by which the packet leaves,
		addExpression("meta", numbers(
			unix.NFTA_META_DREG, unix.NFT_REG_1,
			unix.NFTA_META_KEY, unix.NFT_META_OIFNAME)).
		addExpression("cmp", compare(unix.NFT_CMP_NEQ, name)).
		addExpression("masq", nil)
	hook := numbers(
		unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_POST_ROUTING,
		unix.NFTA_HOOK_PRIORITY, 100) // srcnat
	const flags = unix.NLM_F_ACK | unix.NLM_F_CREATE
	err := inBatch(
		nftRequest(unix.NFT_MSG_NEWTABLE, flags).
			addText(unix.NFTA_TABLE_NAME, bridgeName),
		nftRequest(unix.NFT_MSG_NEWCHAIN, flags).
			addText(unix.NFTA_CHAIN_TABLE, bridgeName).
			addText(unix.NFTA_CHAIN_NAME, "postrouting").
			addText(unix.NFTA_CHAIN_TYPE, "nat").
			add(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, hook),
		nftRequest(unix.NFT_MSG_NEWRULE, flags|unix.NLM_F_APPEND).
			addText(unix.NFTA_RULE_TABLE, bridgeName).
			addText(unix.NFTA_RULE_CHAIN, "postrouting").
			add(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, rule))
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

func removeMasquerade() error {
	err := inBatch(nftRequest(unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK).
		addText(unix.NFTA_TABLE_NAME, bridgeName))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

// numbers are attributes with numbers, in the order of the network: kind, number, kind, number.
func numbers(pairs ...uint32) (r request) {
	for i := 0; i < len(pairs); i += 2 {
		r = r.add(uint16(pairs[i]), binary.BigEndian.AppendUint32(nil, pairs[i+1]))
	}
	return r
}

func compare(operator uint32, with []byte) request {
	data := request(nil).add(unix.NFTA_DATA_VALUE, with)
	return numbers(unix.NFTA_CMP_SREG, unix.NFT_REG_1, unix.NFTA_CMP_OP, operator).
		add(unix.NFTA_CMP_DATA|unix.NLA_F_NESTED, data)
}

func (r request) addExpression(name string, data request) request {
	expression := request(nil).addText(unix.NFTA_EXPR_NAME, name).
		add(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, data)
	return r.add(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, expression)
}
