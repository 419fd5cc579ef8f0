//go:build linux

package main

import "golang.org/x/sys/unix"

// Where the kernel's struct seccomp_data has its fields (seccomp(2)); an argument is 64 bits, here with the
// lower half first.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgLow = 16
	offsetArgUp  = 20
)

// The instructions of a classic BPF program: a jump says how many to skip if true, and if not.

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func result(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

func ifEqual(k uint32, then, otherwise int) unix.SockFilter {
	return jump(unix.BPF_JEQ, k, then, otherwise)
}

func ifAtLeast(k uint32, then, otherwise int) unix.SockFilter {
	return jump(unix.BPF_JGE, k, then, otherwise)
}

func ifAnyBit(k uint32, then, otherwise int) unix.SockFilter {
	return jump(unix.BPF_JSET, k, then, otherwise)
}

func jump(condition uint16, k uint32, then, otherwise int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | condition, K: k, Jt: uint8(then), Jf: uint8(otherwise)}
}

// newNamespaces are the flags of clone(2) for namespaces, but for CLONE_NEWTIME, which it does not take.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// programs returns the instructions for a verdict. Those that look at the first argument end in two results.
func programs(v verdict) []unix.SockFilter {
	yes, no := result(unix.SECCOMP_RET_ALLOW), result(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
	switch v {
	case allow:
		return []unix.SockFilter{yes}
	case notImplemented:
		return []unix.SockFilter{result(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))}
	case byCloneFlags:
		return []unix.SockFilter{load(offsetArgLow), ifAnyBit(newNamespaces, 0, 1), no, yes}
	case byPersonality: // Linux, its two legacy variants of 32 bits, and the question which one it is
		return []unix.SockFilter{
			load(offsetArgUp), ifEqual(0, 0, 6), load(offsetArgLow),
			ifEqual(0, 5, 0), ifEqual(linux32, 4, 0), ifEqual(uname26, 3, 0),
			ifEqual(linux32|uname26, 2, 0), ifEqual(0xffffffff, 1, 0), no, yes,
		}
	case bySocketFamily: // those that Docker allows: not AF_ALG and AF_VSOCK, nor what the kernel has given up
		n := len(refusedFamilies)
		program := []unix.SockFilter{
			load(offsetArgUp), ifEqual(0, 0, n+3), load(offsetArgLow), ifAtLeast(unix.AF_MCTP+1, n+1, 0),
		}
		for i, family := range refusedFamilies {
			program = append(program, ifEqual(family, n-i, 0))
		}
		return append(program, yes, no)
	}
	return []unix.SockFilter{no}
}

var refusedFamilies = []uint32{
	unix.AF_AX25, unix.AF_IPX, unix.AF_APPLETALK, unix.AF_NETROM, unix.AF_ROSE, unix.AF_DECnet, unix.AF_ECONET, unix.AF_ATMSVC,
	unix.AF_IRDA, unix.AF_WANPIPE, unix.AF_ISDN, unix.AF_CAIF, unix.AF_ALG, unix.AF_VSOCK,
}

// Execution domains of personality(2), where they have the names PER_LINUX32 and UNAME26.
const linux32, uname26 = 0x8, 0x20000
