//go:build linux

package record

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// readInterfaces reads the interfaces of a process with what /proc/PID/net tells of them.
func readInterfaces(p *process) []Interface {
	read := func(name string) string {
		text, _ := readFile(threadFile(p.pid, p.view, "net/"+name)) // an error: not there
		return string(text)
	}
	all := []Interface{}
	for line := range strings.Lines(read("dev")) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			all = append(all, Interface{Name: strings.TrimSpace(name)})
		}
	}
	find := func(name string) *Interface {
		for i := range all {
			if all[i].Name == name {
				return &all[i]
			}
		}
		return &Interface{}
	}
	networks := addRoutes(read("route"), find)
	for _, address := range localAddresses(read("fib_trie")) {
		switch {
		case address.IsLoopback():
			i := find("lo")
			i.Addresses = append(i.Addresses, address.String()+"/8")
		default:
			for _, n := range networks {
				if n.prefix.Contains(address) {
					i := find(n.name)
					text := netip.PrefixFrom(address, n.prefix.Bits()).String()
					i.Addresses = append(i.Addresses, text)
					break
				}
			}
		}
	}
	addAddresses6(read("if_inet6"), find)
	for i := range all {
		all[i].Up = len(all[i].Addresses)+len(all[i].Routes) > 0
	}
	return all
}

// network is what an interface reaches without a gateway.
type network struct {
	name   string
	prefix netip.Prefix
}

// addRoutes reads /proc/PID/net/route: interface, destination, gateway, flags, three numbers and
// the mask, addresses as numbers of the machine.
func addRoutes(text string, find func(string) *Interface) (networks []network) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		destination, ok1 := address4(fields[1])
		gateway, ok2 := address4(fields[2])
		mask, ok3 := address4(fields[7])
		if !ok1 || !ok2 || !ok3 {
			continue // the heading
		}
		prefix := netip.PrefixFrom(destination, maskBits(mask))
		route := prefix.String()
		if prefix.Bits() == 0 {
			route = "default"
		}
		if gateway.IsUnspecified() {
			networks = append(networks, network{name: fields[0], prefix: prefix})
		} else {
			route += " via " + gateway.String()
		}
		i := find(fields[0])
		i.Routes = append(i.Routes, route)
	}
	return networks
}

func address4(text string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return netip.Addr{}, false
	}
	var bytes [4]byte
	binary.NativeEndian.PutUint32(bytes[:], uint32(n))
	return netip.AddrFrom4(bytes), true
}

func maskBits(mask netip.Addr) (bits int) {
	for _, b := range mask.As4() {
		for ; b != 0; b <<= 1 {
			bits++
		}
	}
	return bits
}

// localAddresses reads /proc/PID/net/fib_trie: a line "|-- ADDRESS", and below it what it is.
func localAddresses(text string) (local []netip.Addr) {
	last := netip.Addr{}
	seen := map[netip.Addr]bool{}
	for line := range strings.Lines(text) {
		if _, address, ok := strings.Cut(line, "|-- "); ok {
			last, _ = netip.ParseAddr(strings.TrimSpace(address))
		} else if strings.Contains(line, "/32 host LOCAL") && last.IsValid() && !seen[last] {
			seen[last] = true
			local = append(local, last)
		}
	}
	return local
}

// addAddresses6 reads /proc/PID/net/if_inet6: address, number, length of the prefix, scope, flags
// and the interface, in hexadecimal digits.
func addAddresses6(text string, find func(string) *Interface) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		bytes, err := hex.DecodeString(fields[0])
		address, ok := netip.AddrFromSlice(bytes)
		bits, bitsErr := strconv.ParseInt(fields[2], 16, 16)
		if err != nil || !ok || bitsErr != nil {
			continue
		}
		i := find(fields[5])
		i.Addresses = append(i.Addresses, netip.PrefixFrom(address, int(bits)).String())
	}
}
