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
