//go:build linux

package inject

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// numbers are those of the calls that have to be seen to find the point of a fault. The fault may
// be nil.
func (f *Fault) numbers() []int {
	if f == nil {
		return nil
	}
	points := []Point{f.Point}
	if f.Latest != (Point{}) {
		points = append(points, f.Latest)
	}
	var all []int
	for _, p := range points {
		all = append(all, p.Number)
		switch p.Number { // as in about
		case unix.SYS_PPOLL:
			all = append(all, unix.SYS_FUTEX)
		case unix.SYS_FCNTL, unix.SYS_FLOCK, unix.SYS_IOCTL:
			all = append(all, unix.SYS_OPENAT, unix.SYS_CLOSE)
		}
		if onFile[p.Number] {
			all = append(all, unix.SYS_OPENAT, unix.SYS_CLOSE)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// newFilter is a filter of seccomp(2) that stops a thread at the calls with these numbers.
func newFilter(numbers []int) []unix.SockFilter {
	const (
		load        = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpIfEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		end         = unix.BPF_RET | unix.BPF_K
	)
	filter := []unix.SockFilter{{Code: load}} // the number comes first in struct seccomp_data
	for _, number := range numbers {
		filter = append(filter,
			unix.SockFilter{Code: jumpIfEqual, Jf: 1, K: uint32(number)},
			unix.SockFilter{Code: end, K: unix.SECCOMP_RET_TRACE},
		)
	}
	return append(filter, unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW})
}

// installFilter has a program that is about to begin take a filter: it makes a call of ours in
// place of its first one, and then its own. It returns false if the kernel refuses: an ordinary
// user may take a filter only by giving up the privileges that programs such as newuidmap(1) have.
func installFilter(program int, filter []unix.SockFilter) bool {
	if toCall(program) != nil {
		return false
	}
	info, infoErr := ptrace.GetSyscallInfo(program)
	before, err := ptrace.GetRegs(program)
	if infoErr != nil || err != nil || info.Op != ptrace.SyscallInfoEntry {
		return false
	}
	at, err := writeFilter(program, info.SP, filter)
	registers := before
	setArguments(&registers, unix.SECCOMP_SET_MODE_FILTER, 0, at)
	err = errors.Join(err, ptrace.SetRegs(program, &registers),
		ptrace.SetSyscall(program, unix.SYS_SECCOMP), toCall(program))
	info, infoErr = ptrace.GetSyscallInfo(program)
	makeAgain(&before)
	err = errors.Join(err, infoErr, ptrace.SetRegs(program, &before))
	return err == nil && info.Op == ptrace.SyscallInfoExit && info.Data[0] == 0
}

// toCall lets a program go on until it begins a call or ends the one that it is in.
func toCall(program int) error {
	var status unix.WaitStatus
	if err := ptrace.Syscall(program, 0); err != nil {
		return err
	}
	if _, err := unix.Wait4(program, &status, unix.WALL, nil); err != nil {
		return err
	}
	if status.StopSignal() != unix.SIGTRAP|0x80 {
		return errors.New("no system call")
	}
	return nil
}

// writeFilter writes struct sock_fprog and the filter to memory that a program does not use yet,
// below its stack. It returns the address.
func writeFilter(program int, stack uint64, filter []unix.SockFilter) (at uint64, err error) {
	const below, headSize, alignment = 4096, 16, 16
	at = (stack - below) &^ (alignment - 1)
	words := []uint64{uint64(len(filter)), at + headSize}
	for _, i := range filter {
		words = append(words, uint64(i.Code)|uint64(i.Jt)<<16|uint64(i.Jf)<<24|uint64(i.K)<<32)
	}
	for i, word := range words {
		err = errors.Join(err, ptrace.WriteWord(program, at+8*uint64(i), word))
	}
	return at, err
}
