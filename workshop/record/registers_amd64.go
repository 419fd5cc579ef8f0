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

// frameBelowC is the last frame of Go of a thread that is in C, or 0 if it is not found. C runs on
// another stack than the goroutine: where the one begins, runtime.asmcgocall has left how deep the
// other one is, and struct g, which begins with the bounds of that. Before Go 1.24 they are
// elsewhere, and are not found.
func (l *loaded) frameBelowC(s *stack) uint64 {
	const depthAt, gAt, highAt = 8, 16, 8
	for at := 0; at+gAt+8 <= len(s.top); at += 8 {
		pc := s.top.u64(at)
		if !l.holds(pc) || l.golang.functionName(pc-1-l.bias) != "runtime.asmcgocall" {
			continue
		}
		frame := s.word(s.top.u64(at+gAt)+highAt) - s.top.u64(at+depthAt)
		if l.golang.functionName(s.word(frame+8)-1-l.bias) == "runtime.cgocall" {
			return frame
		}
	}
	return 0
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
