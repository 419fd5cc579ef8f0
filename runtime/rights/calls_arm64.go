//go:build linux

package rights

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// This architecture has no others.
var archCalls, rawIOCalls []uint32
