//go:build linux

package inject

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// leaveOut has a call that is about to be made not made: its number becomes -1. What it returns
// then is up to a seccomp filter, if there is one.
func leaveOut(tid int) error {
	number := int32(-1)
	vector := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number)), Len: uint64(unsafe.Sizeof(number))}
	return ptrace(unix.PTRACE_SETREGSET, tid, unix.NT_ARM_SYSTEM_CALL, unsafe.Pointer(&vector))
}

// setResult has a call that is over return an error.
func setResult(tid int, errno unix.Errno) error {
	var registers unix.PtraceRegs
	vector := unix.Iovec{
		Base: (*byte)(unsafe.Pointer(&registers)),
		Len:  uint64(unsafe.Sizeof(registers)),
	}
	err := ptrace(unix.PTRACE_GETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
	if err != nil {
		return err
	}
	registers.Regs[0] = -uint64(errno)
	return ptrace(unix.PTRACE_SETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
}
