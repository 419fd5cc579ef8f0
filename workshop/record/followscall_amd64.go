//go:build linux

package record

// followsCall tells whether the instruction before an address is one that calls a function.
func followsCall(tid int, pc uint64) bool {
	const longest = 7
	code := readMemory(tid, pc-longest, longest)
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
