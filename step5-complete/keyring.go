//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// newSessionKeyring gives this thread, and so the child, a session keyring without the keys of the caller
// (session-keyring(7)). It is the parent that makes it: the user of the container would share a quota of
// 200 keys with all containers. A kernel may be built without keys.
func newSessionKeyring() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // 0: one without a name
	if err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("join session keyring: %w", err)
	}
	return nil
}
