//go:build linux

package inject

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// setResult has a call that is over return an error.
func setResult(tid int, errno unix.Errno) error {
	registers, err := ptrace.GetRegs(tid)
	if err != nil {
		return err
	}
	registers.Regs[0] = -uint64(errno)
	return ptrace.SetRegs(tid, &registers)
}

// setArguments changes the arguments of a call that is about to be made.
func setArguments(r *unix.PtraceRegs, first, second, third uint64) {
	r.Regs[0], r.Regs[1], r.Regs[2] = first, second, third
}

// makeAgain has a thread with the registers that it had at a call make the call again.
func makeAgain(r *unix.PtraceRegs) {
	const instructionSize = 4 // svc
	r.Pc -= instructionSize
}
