//go:build linux

package main

// Chapters f and g: One process hands the other an open file. A message between sockets of the kind
// AF_UNIX can carry descriptors: the receiver gets new ones for the same files (unix(7),
// SCM_RIGHTS).

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// sendFile sends a descriptor, or the news that there is none if it is negative.
func sendFile(socket *os.File, fd int) error {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	return unix.Sendmsg(int(socket.Fd()), []byte("file"), rights, nil, unix.MSG_NOSIGNAL)
}

// receiveFile receives what sendFile sends: a descriptor, or -1.
func receiveFile(socket int) (fd int, err error) {
	text, rights := make([]byte, 4), make([]byte, unix.CmsgSpace(4))
	n, length, _, _, err := unix.Recvmsg(socket, text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if n == 0 {
		return -1, errors.New("the other process is gone")
	}
	messages, err := unix.ParseSocketControlMessage(rights[:length])
	if err != nil || len(messages) == 0 {
		return -1, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}
