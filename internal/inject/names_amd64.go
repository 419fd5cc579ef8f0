//go:build linux

package inject

import "golang.org/x/sys/unix"

// namesHere are those of calls that other architectures do not have.
var namesHere = map[int]string{
	unix.SYS_ARCH_PRCTL: "arch_prctl",
	unix.SYS_GETRLIMIT:  "getrlimit",
}
