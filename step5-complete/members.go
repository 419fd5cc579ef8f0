//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The containers on the bridge are counted by two locks on the network namespace of the host. The kernel drops them
// when a runtime ends, however it does: no list is out of date. That of flock(2) is held while the bridge is made or
// removed, one of fcntl_locking(2), which all can have at the same time, as long as the container is there.
// Anybody in the namespace can have such locks too. So nobody waits for ever, and a bridge that is not there is made
// whoever is counted; one that stays for a false count is there for the next container.

// enter counts this container in. The first one makes the bridge, anew if there is one that a killed runtime left.
func (b *bridge) enter(rt netlink) (err error) {
	host, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	b.host = host
	defer func() {
		if err != nil {
			b.host = nil
			host.Close()
			return
		}
		err = unix.Flock(int(host.Fd()), unix.LOCK_UN)
	}()
	if err := b.lock(); err != nil {
		return err
	}
	alone, err := b.alone()
	if err != nil {
		return err
	}
	if err := unix.FcntlFlock(host.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}); err != nil {
		return fmt.Errorf("fcntl: %w", err)
	}
	if !alone && unix.Access("/proc/sys/net/ipv4/conf/"+bridgeName, unix.F_OK) == nil {
		return nil
	}
	if err := removeBridge(); err != nil {
		return err
	}
	return makeBridge(rt)
}

// lock waits for the lock of flock(2), as long as it can take others to make or remove the bridge.
func (b *bridge) lock() error {
	done := make(chan error, 1)
	go func() { done <- unix.Flock(int(b.host.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		return fmt.Errorf("flock %s: another process keeps its lock on it (lslocks shows which)", b.host.Name())
	}
}

// alone tells whether there is no other container: a lock that cannot be shared could be had.
func (b *bridge) alone() (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(b.host.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("fcntl: %w", err)
	}
	return l.Type == unix.F_UNLCK, nil
}

// leave removes the bridge when the last container is gone. The pair goes with the container's namespace.
func (b *bridge) leave() error {
	if b == nil || b.host == nil {
		return nil
	}
	defer b.host.Close()
	if err := b.lock(); err != nil {
		return fmt.Errorf("network: remove bridge %q: %w", bridgeName, err)
	}
	alone, err := b.alone()
	if err == nil && alone {
		err = removeBridge()
	}
	if err != nil {
		return fmt.Errorf("network: remove bridge %q: %w", bridgeName, err)
	}
	return nil
}
