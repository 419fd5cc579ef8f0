//go:build linux

package ptrace

// SetSyscall changes the number of a call that a thread is about to make. -1 leaves the call out:
// what it returns then is up to a filter of seccomp(2), if there is one.
func SetSyscall(tid, number int) error {
	registers, err := GetRegs(tid)
	if err != nil {
		return err
	}
	registers.Orig_rax = uint64(number)
	return SetRegs(tid, &registers)
}
