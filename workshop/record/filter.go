//go:build linux

package record

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// The places of struct seccomp_data (seccomp(2)). Of an argument the lower half is looked at: both
// architectures are little-endian.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

// A condition says when a call stops, by the lower half of one argument.
type condition struct {
	arg    int
	oneOf  []uint32 // the argument is one of these
	any    uint32   // or one of these bits is set
	none   uint32   // or none of these bits is set
	below  uint32   // or it is lower
	isNot0 bool     // or it is not 0, in either half
}

// conditional is the number of a call that is made too often to stop at each time, with its
// condition.
type conditional struct {
	number int
	condition
}

// conditions are those of all architectures. A call that is recorded and has no condition always
// stops. They are a list because a map would be made at each start of this program.
var conditions = []conditional{
	// A thread is no news, and a Go program starts many.
	{unix.SYS_CLONE, condition{none: unix.CLONE_THREAD}},
	{unix.SYS_PRCTL, condition{oneOf: []uint32{
		unix.PR_SET_PDEATHSIG, unix.PR_SET_NO_NEW_PRIVS, unix.PR_SET_SECCOMP,
		unix.PR_CAPBSET_DROP, unix.PR_CAP_AMBIENT, unix.PR_SET_KEEPCAPS,
		unix.PR_SET_SECUREBITS, unix.PR_SET_DUMPABLE, unix.PR_SET_CHILD_SUBREAPER,
	}}},
	{unix.SYS_IOCTL, condition{arg: 1, oneOf: []uint32{
		unix.TIOCSCTTY, unix.SIOCSIFFLAGS, unix.SIOCSIFADDR, unix.SIOCBRADDBR,
		unix.SIOCBRADDIF, unix.TUNSETIFF,
	}}},
	{unix.SYS_PTRACE, condition{oneOf: []uint32{
		unix.PTRACE_TRACEME, unix.PTRACE_ATTACH, unix.PTRACE_SEIZE,
	}}},
	{unix.SYS_KEYCTL, condition{oneOf: []uint32{unix.KEYCTL_JOIN_SESSION_KEYRING}}},
	{unix.SYS_OPENAT, condition{arg: 2, any: unix.O_WRONLY | unix.O_RDWR}},
	{unix.SYS_PRLIMIT64, condition{arg: 2, isNot0: true}},
	// No file that matters takes more than a page at once.
	{unix.SYS_WRITE, condition{arg: 2, below: ptrace.PageSize}},
	{unix.SYS_PWRITE64, condition{arg: 2, below: ptrace.PageSize}},
}

// conditionOf is the condition of a call, if it has one.
func conditionOf(number int) (c condition, ok bool) {
	for _, list := range [...][]conditional{conditions, conditionsHere} {
		for i := range list {
			if list[i].number == number {
				return list[i].condition, true
			}
		}
	}
	return condition{}, false
}

// newFilter is the filter of seccomp(2) that stops a thread at the calls of these numbers, and lets
// all others pass without a stop.
func newFilter(numbers []int) ([]unix.SockFilter, error) {
	pass := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	stop := bpf.RetConstant{Val: unix.SECCOMP_RET_TRACE}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: dataArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		pass, // a program of 32 bits has other numbers
		bpf.LoadAbsolute{Off: dataNumber, Size: 4},
	}
	slices.Sort(numbers)
	program = append(program, bisect(slices.Compact(numbers), pass, func(n int) []bpf.Instruction {
		if c, ok := conditionOf(n); ok {
			return c.program(pass, stop)
		}
		return []bpf.Instruction{stop}
	})...)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	var filter []unix.SockFilter
	for _, r := range raw {
		filter = append(filter, unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	return filter, nil
}

// bisect finds the number of a call among these, and does what is to be done at it. All other calls
// pass. It halves what is left at each instruction: when a filter is set up, the kernel has each
// number of a call go through it.
func bisect(
	numbers []int, pass bpf.Instruction, body func(number int) []bpf.Instruction,
) []bpf.Instruction {
	if half := len(numbers) / 2; half > 0 {
		low, high := bisect(numbers[:half], pass, body), bisect(numbers[half:], pass, body)
		fork := bpf.JumpIf{
			Cond: bpf.JumpLessThan, Val: uint32(numbers[half]), SkipFalse: uint8(len(low)),
		}
		return slices.Concat([]bpf.Instruction{fork}, low, high)
	}
	found := body(numbers[0])
	isIt := bpf.JumpIf{
		Cond: bpf.JumpNotEqual, Val: uint32(numbers[0]), SkipTrue: uint8(len(found)),
	}
	return slices.Concat([]bpf.Instruction{isIt}, found, []bpf.Instruction{pass})
}

// program looks at the argument, and ends either way.
func (c condition) program(pass, stop bpf.Instruction) []bpf.Instruction {
	offset := uint32(dataArgs + 8*c.arg)
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: offset, Size: 4}}
	switch {
	case c.any != 0:
		p = append(p, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: c.any, SkipFalse: 1}, stop)
	case c.none != 0:
		p = append(p, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: c.none, SkipTrue: 1}, stop)
	case c.below != 0:
		p = append(p, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: c.below, SkipFalse: 1}, stop)
	case c.isNot0:
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
			bpf.LoadAbsolute{Off: offset + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
			stop,
		)
	}
	for _, value := range c.oneOf {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: value, SkipFalse: 1}, stop)
	}
	return append(p, pass)
}
