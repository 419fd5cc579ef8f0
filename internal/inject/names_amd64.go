//go:build linux

package inject

import "golang.org/x/sys/unix"

// namesHere are those of calls that other architectures do not have.
var namesHere = [...]string{
	unix.SYS_ACCESS:     "access",
	unix.SYS_ARCH_PRCTL: "arch_prctl",
	unix.SYS_DUP2:       "dup2",
	unix.SYS_FORK:       "fork",
	unix.SYS_GETRLIMIT:  "getrlimit",
	unix.SYS_LSTAT:      "lstat",
	unix.SYS_MKDIR:      "mkdir",
	unix.SYS_MKNOD:      "mknod",
	unix.SYS_OPEN:       "open",
	unix.SYS_READLINK:   "readlink",
	unix.SYS_RMDIR:      "rmdir",
	unix.SYS_STAT:       "stat",
	unix.SYS_VFORK:      "vfork",
}
