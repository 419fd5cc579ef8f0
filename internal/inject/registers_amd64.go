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
	registers.Rax = -uint64(errno)
	return ptrace.SetRegs(tid, &registers)
}

// setArguments changes the arguments of a call that is about to be made.
func setArguments(r *unix.PtraceRegs, first, second, third uint64) {
	r.Rdi, r.Rsi, r.Rdx = first, second, third
}

// makeAgain has a thread with the registers that it had at a call make the call again.
func makeAgain(r *unix.PtraceRegs) {
	const instructionSize = 2 // syscall
	r.Rip -= instructionSize
	r.Rax = r.Orig_rax
	r.Orig_rax = ^uint64(0) // it is in no call
}
