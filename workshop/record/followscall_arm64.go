//go:build linux

package record

// followsCall tells whether the instruction before an address is one that calls a function.
func followsCall(tid int, pc uint64) bool {
	code := structure(readMemory(tid, pc-4, 4)).u32(0)
	const bl, blr = 0x94000000, 0xd63f0000
	return code&0xfc000000 == bl || code&0xfffffc1f == blr
}
