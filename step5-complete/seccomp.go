//go:build linux

package main

// Chapter e: System calls. The kernel has hundreds, of which programs need some and attackers the
// others. A filter is a program that the kernel runs at each call (seccomp(2)): it sees the
// architecture, the number and the arguments, and returns a verdict. This one allows what Docker's
// default profile allows to root of a container: calls.go has the list.

import (
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The verdicts.
var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	refuse = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	noCall = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)} // "use another one"
	kill   = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

// What a filter can see of a call: the fields of struct seccomp_data. An argument has 64 bits; this
// is the lower half of the first.
var (
	loadNumber   = bpf.LoadAbsolute{Off: 0, Size: 4}
	loadArch     = bpf.LoadAbsolute{Off: 4, Size: 4}
	loadArgument = bpf.LoadAbsolute{Off: 16, Size: 4}
)

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// filter returns the program.
func filter() []bpf.Instruction {
	// A call has another number on another architecture, and a process may make calls of two.
	program := []bpf.Instruction{
		loadArch,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		kill,
		loadNumber,
	}
	for _, number := range slices.Concat(allowedCalls, archCalls) {
		program = append(program, onCall(number, allow)...)
	}
	return slices.Concat(
		program,
		onCall(unix.SYS_CLONE,
			loadArgument,
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: newNamespaces, SkipFalse: 1},
			refuse,
			allow),
		// The flags of clone3 lie in memory, where a filter cannot look.
		onCall(unix.SYS_CLONE3, noCall),
		// Two kinds of sockets reach past each network namespace: to the hypervisor, and to the
		// kernel's cryptography.
		onCall(unix.SYS_SOCKET,
			loadArgument,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_ALG, SkipTrue: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_VSOCK, SkipTrue: 1},
			refuse,
			allow),
		[]bpf.Instruction{
			// Calls that are newer than the list.
			bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: lastCall, SkipFalse: 1},
			noCall,
			refuse,
		},
	)
}

// onCall returns the lines that decide about one call. Those below decide about the others.
func onCall(number uint32, lines ...bpf.Instruction) []bpf.Instruction {
	unlessItIs := bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: uint8(len(lines))}
	return append([]bpf.Instruction{unlessItIs}, lines...)
}

// filterCalls has the kernel run the filter at each call of this thread, and of all that it
// executes and starts, for good.
func filterCalls() {
	program, err := bpf.Assemble(filter())
	must(err, "seccomp filter")
	fprog := unix.SockFprog{
		Len:    uint16(len(program)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])), // of the same form
	}
	err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&fprog)), 0, 0)
	must(err, "PR_SET_SECCOMP")
}
