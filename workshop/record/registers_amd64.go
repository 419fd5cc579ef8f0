//go:build linux

package record

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

const auditArch = unix.AUDIT_ARCH_X86_64

// frameOf returns the frame pointer of a stopped thread, and the return address of a function that
// has no frame of its own.
func frameOf(s *stack) (frame, back uint64) {
	registers, err := ptrace.GetRegs(s.tid)
	if err != nil {
		return 0, 0
	}
	return registers.Rbp, s.word(s.start)
}

// setFirstArgument changes a call that is about to be made.
func setFirstArgument(tid int, value uint64) error {
	registers, err := ptrace.GetRegs(tid)
	if err != nil {
		return err
	}
	registers.Rdi = value
	return ptrace.SetRegs(tid, &registers)
}
