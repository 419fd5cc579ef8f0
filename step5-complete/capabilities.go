//go:build linux

package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"
)

// capabilities are those that root has in the container (capabilities(7)), bit n for number n. At first they
// are Docker's.
var capabilities = capabilityMask(
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE,
	unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE)

func capabilityMask(numbers ...int) (mask uint64) {
	for _, number := range numbers {
		mask |= 1 << number
	}
	return mask
}

func init() {
	flag.Func("cap-add", "`CAPABILITY` to add, as in NET_ADMIN, or ALL", func(name string) error {
		mask, err := parseCapability(name)
		capabilities |= mask
		return err
	})
	flag.Func("cap-drop", "`CAPABILITY` to take away, or ALL", func(name string) error {
		mask, err := parseCapability(name)
		capabilities &^= mask
		return err
	})
}

func parseCapability(name string) (mask uint64, err error) {
	name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for _, known := range capability.ListKnown() {
		if name == "ALL" || name == strings.ToUpper(known.String()) {
			mask |= 1 << known
		}
	}
	if mask == 0 {
		return 0, fmt.Errorf("unknown capability %q", name)
	}
	return mask, nil
}

// boundCapabilities takes the other capabilities out of the bounding set, so that no execve(2) brings them
// back.
func boundCapabilities() error {
	for number := uintptr(0); number <= unix.CAP_LAST_CAP; number++ {
		if capabilities>>number&1 == 1 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, number, 0, 0, 0)
		if err == unix.EINVAL { // a kernel that does not know this one
			break
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", number, err)
		}
	}
	return nil
}

// setCapabilities leaves this thread those in the mask, none of them inheritable or ambient.
func setCapabilities(mask uint64) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range data { // what there is not, such as for an ordinary user without a namespace, cannot be added
		permitted := data[i].Permitted & uint32(mask>>(32*i))
		data[i] = unix.CapUserData{Effective: permitted, Permitted: permitted}
	}
	trace("capset %#x", mask)
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
