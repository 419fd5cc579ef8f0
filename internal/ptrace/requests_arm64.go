//go:build linux

package ptrace

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetSyscall changes the number of a call that a thread is about to make. -1 leaves the call out:
// what it returns then is up to a filter of seccomp(2), if there is one.
func SetSyscall(tid, number int) error {
	set := int32(number)
	vector := vectorOf(&set)
	return request(unix.PTRACE_SETREGSET, tid, unix.NT_ARM_SYSTEM_CALL, unsafe.Pointer(&vector))
}
