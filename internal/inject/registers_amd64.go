//go:build linux

package inject

import "golang.org/x/sys/unix"

// leaveOut has a call that is about to be made not made: its number becomes -1. What it returns
// then is up to a seccomp filter, if there is one.
func leaveOut(tid int) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &registers); err != nil {
		return err
	}
	registers.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(tid, &registers)
}

// setResult has a call that is over return an error.
func setResult(tid int, errno unix.Errno) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &registers); err != nil {
		return err
	}
	registers.Rax = -uint64(errno)
	return unix.PtraceSetRegs(tid, &registers)
}
