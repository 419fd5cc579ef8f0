//go:build linux

package main

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
	// A refusal is to come with words, and without the message that is refused.
	return netlink(fd), errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1))
}

func (n netlink) close() { unix.Close(int(n)) }

// request is a message to the kernel: a header of 16 bytes, a body of fixed size, and attributes.
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

// do sends requests at once and waits for the answer to each. It returns the body of the last that has one.
func (n netlink) do(requests ...request) (answer []byte, err error) {
	var all []byte
	expected := 0
	for _, r := range requests {
		binary.NativeEndian.PutUint32(r, uint32(len(r)))
		if binary.NativeEndian.Uint16(r[6:])&unix.NLM_F_ACK != 0 {
			expected++
		}
		all = append(all, r...)
	}
	if err := unix.Sendto(int(n), all, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1<<15)
	for expected > 0 {
		length, _, err := unix.Recvfrom(int(n), buffer, 0)
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:length])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR {
				answer = append([]byte(nil), m.Data...)
				continue
			}
			if err := refusal(m); err != nil {
				return nil, err
			}
			expected--
		}
	}
	return answer, nil
}

// refusal is the error that a message of the type NLMSG_ERROR stands for: none for the number 0. The words
// of the kernel, if any, are an attribute behind the header of the request.
func refusal(m syscall.NetlinkMessage) error {
	number := unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
	if number == 0 {
		return nil
	}
	if words := attribute(m.Data, 4+16, unix.NLMSGERR_ATTR_MSG); m.Header.Flags&unix.NLM_F_ACK_TLVS != 0 && words != nil {
		return fmt.Errorf("%w (%s)", number, bytes.TrimRight(words, "\x00"))
	}
	return number
}

// attribute finds the value of an attribute in the body of a message; the attributes begin at offset.
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
