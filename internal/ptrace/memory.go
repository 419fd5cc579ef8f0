//go:build linux

package ptrace

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// PageSize is the smallest of all architectures: memory within one page is there or is not.
const PageSize = 4096

// ReadMemory reads what a thread has at an address: fewer bytes if there are no more.
func ReadMemory(tid int, address uint64, size int) []byte {
	data := make([]byte, size)
	return data[:ReadInto(data, tid, address)]
}

// ReadInto is ReadMemory with room for the result. It returns how many bytes there were.
func ReadInto(data []byte, tid int, address uint64) int {
	if len(data) == 0 {
		return 0
	}
	local := unix.Iovec{Base: &data[0]}
	local.SetLen(len(data))
	// The kernel reads whole parts, up to the first one that is not there (process_vm_readv(2)).
	var parts []unix.RemoteIovec
	for done := 0; done < len(data); {
		at := address + uint64(done)
		size := min(len(data)-done, int(PageSize-at%PageSize))
		parts = append(parts, unix.RemoteIovec{Base: uintptr(at), Len: size})
		done += size
	}
	n, err := unix.ProcessVMReadv(tid, []unix.Iovec{local}, parts, 0)
	if err != nil {
		return 0
	}
	return n
}

// ReadText reads a text that ends with a zero byte.
func ReadText(tid int, address uint64) string {
	if address == 0 {
		return ""
	}
	var text []byte
	for len(text) < unix.PathMax {
		at := address + uint64(len(text))
		part := ReadMemory(tid, at, min(256, int(PageSize-at%PageSize)))
		if i := strings.IndexByte(string(part), 0); i >= 0 {
			return string(append(text, part[:i]...))
		}
		if len(part) == 0 {
			break
		}
		text = append(text, part...)
	}
	return string(text)
}

// ReadTexts reads a list of addresses of texts, which ends with 0, as execve(2) takes it.
func ReadTexts(tid int, address uint64) (texts []string) {
	const most = 64
	for address != 0 && len(texts) < most {
		at := ReadWord(tid, address)
		if at == 0 {
			break
		}
		texts = append(texts, ReadText(tid, at))
		address += 8
	}
	return texts
}

// ReadWord reads eight bytes, or 0 if they are not there.
func ReadWord(tid int, address uint64) uint64 {
	data := ReadMemory(tid, address, 8)
	if len(data) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(data)
}

// WriteWord writes eight bytes to the memory of a thread.
func WriteWord(tid int, address, word uint64) error {
	var data [8]byte
	binary.NativeEndian.PutUint64(data[:], word)
	local := unix.Iovec{Base: &data[0]}
	local.SetLen(len(data))
	remote := unix.RemoteIovec{Base: uintptr(address), Len: len(data)}
	_, err := unix.ProcessVMWritev(tid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	return err
}
