//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The rule of nftables by which the containers reach what is beyond the host, under the address of the host.
// `nft list ruleset` shows it as
//
//	table ip container0 {
//		chain postrouting {
//			type nat hook postrouting priority srcnat; policy accept;
//			ip saddr 10.200.0.0/16 oifname != "container0" masquerade
//		}
//	}
//
// Where another table drops what the host forwards, as that of Docker does, it is dropped all the same: the rules of
// others are not changed.

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

func masquerade(gateway netip.Prefix) error {
	subnet := gateway.Addr().AsSlice()[:2] // it is a /16
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, bridgeName)
	rule := request(nil).
		// Load the first two bytes of the source address and compare them,
		addExpression("payload", numbers(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1, unix.NFTA_PAYLOAD_BASE,
			unix.NFT_PAYLOAD_NETWORK_HEADER, unix.NFTA_PAYLOAD_OFFSET, 12, unix.NFTA_PAYLOAD_LEN, 2)).
		addExpression("cmp", compare(unix.NFT_CMP_EQ, subnet)).
		// the same with the interface by which the packet leaves,
		addExpression("meta", numbers(unix.NFTA_META_DREG, unix.NFT_REG_1, unix.NFTA_META_KEY, unix.NFT_META_OIFNAME)).
		addExpression("cmp", compare(unix.NFT_CMP_NEQ, name)).
		addExpression("masq", nil)
	hook := numbers(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_POST_ROUTING, unix.NFTA_HOOK_PRIORITY, 100) // srcnat
	const flags = unix.NLM_F_ACK | unix.NLM_F_CREATE
	err := inBatch(
		nftRequest(unix.NFT_MSG_NEWTABLE, flags).addText(unix.NFTA_TABLE_NAME, bridgeName),
		nftRequest(unix.NFT_MSG_NEWCHAIN, flags).addText(unix.NFTA_CHAIN_TABLE, bridgeName).
			addText(unix.NFTA_CHAIN_NAME, "postrouting").addText(unix.NFTA_CHAIN_TYPE, "nat").
			add(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, hook),
		nftRequest(unix.NFT_MSG_NEWRULE, flags|unix.NLM_F_APPEND).addText(unix.NFTA_RULE_TABLE, bridgeName).
			addText(unix.NFTA_RULE_CHAIN, "postrouting").add(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, rule))
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

func removeMasquerade() error {
	err := inBatch(nftRequest(unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK).addText(unix.NFTA_TABLE_NAME, bridgeName))
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
	return numbers(unix.NFTA_CMP_SREG, unix.NFT_REG_1, unix.NFTA_CMP_OP, operator).add(unix.NFTA_CMP_DATA|unix.NLA_F_NESTED, data)
}

func (r request) addExpression(name string, data request) request {
	expression := request(nil).addText(unix.NFTA_EXPR_NAME, name).add(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, data)
	return r.add(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, expression)
}
