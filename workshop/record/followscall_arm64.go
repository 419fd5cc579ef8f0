//go:build linux

package record

import "container.example/workshop/internal/ptrace"

// callTarget is where the instruction before an address calls, if it says so itself; 0 if not.
func callTarget(tid int, pc uint64) uint64 {
	code := structure(ptrace.ReadMemory(tid, pc-4, 4)).u32(0)
	const bl, offsetBits = 0x94000000, 26
	if code&0xfc000000 != bl {
		return 0
	}
	offset := int64(int32(code<<(32-offsetBits))) >> (32 - offsetBits)
	return pc - 4 + uint64(4*offset)
}

// followsCall tells whether the instruction before an address is one that calls a function.
func followsCall(tid int, pc uint64) bool {
	code := structure(ptrace.ReadMemory(tid, pc-4, 4)).u32(0)
	const bl, blr = 0x94000000, 0xd63f0000
	return code&0xfc000000 == bl || code&0xfffffc1f == blr
}
