//go:build linux

package record

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/sys/capability"
)

// allCapabilities are the bits of the capabilities that this kernel knows.
var allCapabilities = sync.OnceValue(func() uint64 {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	last, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || convErr != nil || last >= 63 {
		return ^uint64(0)
	}
	return 1<<(last+1) - 1
})

// capabilityName is the name of a capability, without CAP_.
func capabilityName(n int) string {
	for _, c := range capability.ListKnown() {
		if int(c) == n {
			return strings.ToUpper(c.String())
		}
	}
	return fmt.Sprintf("%d", n)
}

// capabilityNames are the names of a set. The set of all is one name, "all".
func capabilityNames(mask uint64) []string {
	names := []string{}
	if all := allCapabilities(); mask&all == all {
		return []string{"all"}
	}
	for n := range 64 {
		if mask&(1<<n) != 0 {
			names = append(names, capabilityName(n))
		}
	}
	return names
}
