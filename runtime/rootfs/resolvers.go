//go:build linux

package rootfs

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
)

// resolvers is the resolv.conf(5) of the host, without the servers that only the host can reach:
// the container has another loopback interface, and other links. Where systemd-resolved is the only
// server, on the loopback interface, it keeps a file with those behind it.
func (r *Root) resolvers() (string, error) {
	read := files.ReadIfExists
	if r.c.Network == config.NoNetwork { // which does without one that cannot be read
		read = func(path string) (string, error) {
			text, err := files.ReadIfThere(path)
			if errors.Is(err, unix.EFBIG) {
				return "", nil
			}
			return text, err
		}
	}
	text, err := read("/etc/resolv.conf")
	if err != nil || !r.c.Namespaces.Has(unix.CLONE_NEWNET) {
		return text, err
	}
	kept, servers, isStub := withoutHost(text)
	if servers == 0 && isStub {
		behind, err := read("/run/systemd/resolve/resolv.conf")
		if err != nil {
			return "", err
		}
		if behind != "" {
			kept, _, _ = withoutHost(behind)
		}
	}
	return kept, nil
}

// withoutHost leaves out the servers that mean something else, or nothing, in another network
// namespace. It returns how many are left, and whether systemd-resolved is one of the others.
func withoutHost(text string) (kept string, servers int, isStub bool) {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch isServer := len(fields) > 1 && fields[0] == "nameserver"; {
		case isServer && isOfHost(fields[1]):
			isStub = isStub || fields[1] == "127.0.0.53" || fields[1] == "127.0.0.54"
			continue
		case isServer:
			servers++
		}
		lines.WriteString(line)
	}
	return lines.String(), servers, isStub
}

// isOfHost tells whether an address means something else, or nothing, in another network namespace:
// one of the loopback interface, the unspecified one, which stands for it, or one on a link that is
// named (fe80::1%eth0).
func isOfHost(address string) bool {
	if strings.Contains(address, "%") {
		return true
	}
	ip := parseIPv6(address)
	if ip == nil {
		return isIPv4OfHost(parseIPv4(address))
	}
	if mapped := append(make([]byte, 10), 0xff, 0xff); bytes.HasPrefix(ip, mapped) {
		return isIPv4OfHost(ip[len(mapped):])
	}
	return bytes.Equal(ip[:15], make([]byte, 15)) && ip[15] <= 1 // :: and ::1
}

func isIPv4OfHost(ip []byte) bool {
	return ip != nil && (ip[0] == 127 || bytes.Equal(ip, make([]byte, 4)))
}

// parseIPv4 parses an address in any of the forms of inet_aton(3), as the C library does with that
// of a server, and returns nil for others: 127.1 is 127.0.0.1. (Package netip knows one of these
// forms, and takes long to be there.)
func parseIPv4(text string) []byte {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return nil
	}
	ip := uint64(0)
	for i, part := range parts {
		bits := 8 // and the last one has all that are left
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(part, 0, bits) // also 0x7f and 0177
		if err != nil {
			return nil
		}
		ip = ip<<bits | n
	}
	return []byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}
}

// parseIPv6 parses an address in the form of inet_pton(3), and returns nil for others.
func parseIPv6(text string) []byte {
	left, right, short := strings.Cut(text, "::")
	head, ok := parseGroups(left)
	tail, tailOK := parseGroups(right)
	missing := 16 - len(head) - len(tail)
	if !ok || !tailOK || short && missing < 2 || !short && missing != 0 {
		return nil
	}
	return append(append(head, make([]byte, missing)...), tail...)
}

// parseGroups parses groups of four hexadecimal digits; the last may be an address of IPv4.
func parseGroups(text string) (ip []byte, ok bool) {
	if text == "" {
		return nil, true
	}
	groups := strings.Split(text, ":")
	for i, group := range groups {
		if i == len(groups)-1 && strings.Contains(group, ".") {
			v4 := parseIPv4(group)
			return append(ip, v4...), v4 != nil
		}
		n, err := strconv.ParseUint(group, 16, 16)
		if err != nil {
			return nil, false
		}
		ip = append(ip, byte(n>>8), byte(n))
	}
	return ip, true
}
