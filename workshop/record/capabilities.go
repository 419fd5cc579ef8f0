//go:build linux

package record

import (
	"math/bits"
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

// allNames are the names of the bits, without CAP_.
var allNames = sync.OnceValue(func() (names [64]string) {
	for n := range names {
		names[n] = strconv.Itoa(n)
	}
	for _, c := range capability.ListKnown() {
		names[c] = strings.ToUpper(c.String())
	}
	return names
})

// capabilityName is the name of a capability, without CAP_.
func capabilityName(n int) string {
	if names := allNames(); 0 <= n && n < len(names) {
		return names[n]
	}
	return strconv.Itoa(n)
}

// capabilityNames are the names of a set. The set of all is one name, "all".
func capabilityNames(mask uint64) []string {
	if all := allCapabilities(); mask&all == all {
		return []string{"all"}
	}
	names := make([]string, 0, bits.OnesCount64(mask))
	for n, name := range allNames() {
		if mask&(1<<n) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// capabilitySets are the names of the sets that were seen: most processes have the same ones.
type capabilitySets map[uint64][]string

// names are the names of a set in hexadecimal digits.
func (s capabilitySets) names(digits string) []string {
	mask, _ := strconv.ParseUint(digits, 16, 64)
	names, known := s[mask]
	if !known {
		names = capabilityNames(mask)
		s[mask] = names
	}
	return names
}
