//go:build linux

package record

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const auditArch = unix.AUDIT_ARCH_AARCH64

// frameOf returns the frame pointer of a stopped thread, and the return address of a function that
// has no frame of its own.
func frameOf(tid int, _ uint64) (frame, back uint64) {
	registers, err := getRegisters(tid)
	if err != nil {
		return 0, 0
	}
	return registers.Regs[29], registers.Regs[30]
}

// setFirstArgument changes a call that is about to be made.
func setFirstArgument(tid int, value uint64) error {
	registers, err := getRegisters(tid)
	if err != nil {
		return err
	}
	registers.Regs[0] = value
	vector := registerVector(&registers)
	return ptrace(unix.PTRACE_SETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
}

func getRegisters(tid int) (registers unix.PtraceRegs, err error) {
	vector := registerVector(&registers)
	err = ptrace(unix.PTRACE_GETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
	return registers, err
}

func registerVector(registers *unix.PtraceRegs) unix.Iovec {
	return unix.Iovec{
		Base: (*byte)(unsafe.Pointer(registers)),
		Len:  uint64(unsafe.Sizeof(*registers)),
	}
}
