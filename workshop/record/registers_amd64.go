//go:build linux

package record

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// frameOf returns the frame pointer of a stopped thread, and the return address of a function that
// has no frame of its own.
func frameOf(tid int, sp uint64) (frame, back uint64) {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &registers); err != nil {
		return 0, 0
	}
	return registers.Rbp, readWord(tid, sp)
}

// setFirstArgument changes a call that is about to be made.
func setFirstArgument(tid int, value uint64) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &registers); err != nil {
		return err
	}
	registers.Rdi = value
	return unix.PtraceSetRegs(tid, &registers)
}
