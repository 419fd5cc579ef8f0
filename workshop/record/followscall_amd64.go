//go:build linux

package record

import (
	"encoding/binary"

	"container.example/workshop/internal/ptrace"
)

// callTarget is where the instruction before an address calls, if it says so itself or reads it
// from a place beside it; 0 if not.
func callTarget(tid int, pc uint64) uint64 {
	const size, near = 6, 0xe8
	code := ptrace.ReadMemory(tid, pc-size, size)
	if len(code) < size {
		return 0
	}
	offset := uint64(int64(int32(binary.LittleEndian.Uint32(code[2:]))))
	switch {
	case code[1] == near:
		return pc + offset
	case code[0] == 0xff && code[1] == 0x15: // by an address in memory
		return ptrace.ReadWord(tid, pc+offset)
	}
	return 0
}

// followsCall tells whether the instruction before an address is one that calls a function.
func followsCall(tid int, pc uint64) bool {
	const longest = 7
	code := ptrace.ReadMemory(tid, pc-longest, longest)
	if len(code) < longest {
		return false
	}
	const near, indirect = 0xe8, 0xff
	if code[longest-5] == near {
		return true
	}
	for size := 2; size <= longest; size++ {
		if code[longest-size] == indirect && code[longest-size+1]>>3&7 == 2 {
			return true
		}
	}
	return false
}
