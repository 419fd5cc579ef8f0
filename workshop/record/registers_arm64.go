//go:build linux

package record

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

const auditArch = unix.AUDIT_ARCH_AARCH64

// frameOf returns the frame pointer of a stopped thread, and the return address of a function that
// has no frame of its own.
func frameOf(s *stack) (frame, back uint64) {
	registers, err := ptrace.GetRegs(s.tid)
	if err != nil {
		return 0, 0
	}
	return registers.Regs[29], registers.Regs[30]
}

// frameBelowC would be the last frame of Go of a thread that is in C. Where C keeps the address to
// which it returns is not known here.
func (*loaded) frameBelowC(*stack) uint64 { return 0 }

// setFirstArgument changes a call that is about to be made.
func setFirstArgument(tid int, value uint64) error {
	registers, err := ptrace.GetRegs(tid)
	if err != nil {
		return err
	}
	registers.Regs[0] = value
	return ptrace.SetRegs(tid, &registers)
}
