//go:build linux

package rights

import (
	"fmt"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// ParseCapability returns the capability with that name, as in NET_ADMIN or CAP_NET_ADMIN, or ALL.
func ParseCapability(name string) (mask config.Capabilities, err error) {
	short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for _, known := range capability.ListKnown() {
		if short == "ALL" || short == strings.ToUpper(known.String()) {
			mask |= 1 << known
		}
	}
	if mask == 0 {
		return 0, fmt.Errorf("unknown capability %q: must be ALL, or one of "+
			"capabilities(7) as in NET_ADMIN", name)
	}
	return mask, nil
}

// CapabilityNames returns the names of those in the mask, as in CAP_NET_ADMIN.
func CapabilityNames(mask config.Capabilities) (names []string) {
	for _, known := range capability.ListKnown() {
		if mask.Has(int(known)) {
			names = append(names, "CAP_"+strings.ToUpper(known.String()))
		}
	}
	return names
}

// boundCapabilities takes the other capabilities out of the bounding set, so that no execve(2)
// brings them back.
func boundCapabilities(p *plan.Plan, keep config.Capabilities) {
	p.About("drop capability", "")
	for number := range unix.CAP_LAST_CAP + 1 {
		if !keep.Has(number) {
			p.Prctl(unix.PR_CAPBSET_DROP, uintptr(number))
			p.Allow(unix.EINVAL) // the kernel has no such capability
		}
	}
}

// permitted returns those of the mask that the child can have. In a user namespace of its own it
// has all; without one those of this process, and what there is not cannot be added.
func permitted(c *config.Container) (config.Capabilities, error) {
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		return c.Capabilities, nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	own := config.Capabilities(data[1].Permitted)<<32 | config.Capabilities(data[0].Permitted)
	return c.Capabilities & own, nil
}
