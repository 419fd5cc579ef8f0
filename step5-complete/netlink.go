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

// do sends requests at once and waits until each that asks for it is acknowledged. It returns the bodies of
// what the kernel answers besides. After an error the socket is of no more use: there may be more answers.
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

// refusal is the error that such a message stands for: none for the number 0. The words of the kernel, if
// any, are an attribute behind the header of the request.
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
