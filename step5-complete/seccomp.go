//go:build linux

package main

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A seccomp filter is a program that the kernel runs at each system call (seccomp(2)). It sees the number
// and the arguments, and returns a verdict. This one decides as Docker's default profile does; but programs
// for another architecture, such as of 32 bits, do not run at all.

// verdict is what becomes of a system call.
type verdict int

const (
	refuse verdict = iota // EPERM
	allow
	notImplemented // ENOSYS: the C library then does without clone3, whose arguments a filter cannot see
	byCloneFlags
	byPersonality
	bySocketFamily
)

// x32Calls is where the numbers begin that amd64 has for programs with pointers of 32 bits.
const x32Calls = 0x40000000

// verdictsFor returns the verdicts by number, for those that the profile knows.
func verdictsFor(capabilities uint64) []verdict {
	verdicts := make([]verdict, unix.SYS_REMOVEXATTRAT+1) // the highest number that the profile knows
	set := func(v verdict, calls []uint32) {
		for _, number := range calls {
			verdicts[number] = v
		}
	}
	set(allow, allowedCalls)
	set(allow, archCalls)
	set(byCloneFlags, []uint32{unix.SYS_CLONE})
	set(byPersonality, []uint32{unix.SYS_PERSONALITY})
	set(bySocketFamily, []uint32{unix.SYS_SOCKET})
	set(notImplemented, []uint32{unix.SYS_CLONE3})
	for _, c := range capabilityCalls {
		if capabilities>>c.capability&1 == 1 {
			set(allow, c.calls)
		}
	}
	return verdicts
}

// block is a part of the filter: the program for the numbers from first on.
type block struct {
	first   uint32
	program []unix.SockFilter
}

// seccompFilter returns the filter for a container with these capabilities.
func seccompFilter(capabilities uint64) []unix.SockFilter {
	var blocks []block
	verdicts := verdictsFor(capabilities)
	for number, v := range verdicts {
		if number == 0 || v != verdicts[number-1] {
			blocks = append(blocks, block{uint32(number), programs(v)})
		}
	}
	// Calls that are younger than the profile do not exist: runc says so too, and programs then try others.
	blocks = append(blocks, block{uint32(len(verdicts)), programs(notImplemented)}, block{x32Calls, programs(refuse)})
	return slices.Concat([]unix.SockFilter{
		load(offsetArch), ifEqual(auditArch, 1, 0), result(unix.SECCOMP_RET_KILL_PROCESS), load(offsetNumber),
	}, search(blocks))
}

// search finds the block of a number by halves: the kernel has to take seven steps instead of hundreds.
func search(blocks []block) []unix.SockFilter {
	if len(blocks) == 1 {
		return blocks[0].program
	}
	middle := len(blocks) / 2
	below, above := search(blocks[:middle]), search(blocks[middle:])
	return slices.Concat([]unix.SockFilter{ifAtLeast(blocks[middle].first, len(below), 0)}, below, above)
}

// installSeccomp makes the filter that of this thread and of all that it will execute, for good.
func installSeccomp(capabilities uint64) error {
	filter := seccompFilter(capabilities)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	trace("seccomp filter of %d instructions", len(filter))
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
