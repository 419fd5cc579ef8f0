//go:build linux

package record

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallInfo is the kernel's struct ptrace_syscall_info (ptrace(2)).
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	// data is the number and the arguments of a call, or its result and whether that is an error.
	data [8]uint64
}

// The values of syscallInfo.op.
const (
	opEntry   = 1
	opExit    = 2
	opSeccomp = 3
)

func getSyscallInfo(tid int) (i syscallInfo, err error) {
	err = ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(i), unsafe.Pointer(&i))
	return i, err
}

func ptrace(request, tid int, address uintptr, data unsafe.Pointer) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), address,
		uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// resumeBy lets a thread go on by one of the requests that take a signal.
func resumeBy(request, tid int, signal unix.Signal) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0,
		uintptr(signal), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// seize begins to follow a thread, which goes on.
func seize(tid, options int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0,
		uintptr(options), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

const pageSize = 4096 // the least of all architectures: what is read in one go does not cross it

// readMemory reads what a thread has at an address: fewer bytes if there are no more.
func readMemory(tid int, address uint64, size int) []byte {
	data := make([]byte, size)
	done := 0
	for done < size {
		at := address + uint64(done)
		part := min(size-done, int(pageSize-at%pageSize))
		local := unix.Iovec{Base: &data[done]}
		local.SetLen(part)
		remote := unix.RemoteIovec{Base: uintptr(at), Len: part}
		n, err := unix.ProcessVMReadv(tid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
		if err != nil || n <= 0 {
			break
		}
		done += n
	}
	return data[:done]
}

// readText reads a text that ends with a zero byte.
func readText(tid int, address uint64) string {
	if address == 0 {
		return ""
	}
	var text []byte
	for len(text) < unix.PathMax {
		at := address + uint64(len(text))
		part := readMemory(tid, at, min(256, int(pageSize-at%pageSize)))
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

// readTexts reads a list of addresses of texts, which ends with 0, as execve(2) takes it.
func readTexts(tid int, address uint64) (texts []string) {
	const most = 64
	for address != 0 && len(texts) < most {
		at := readWord(tid, address)
		if at == 0 {
			break
		}
		texts = append(texts, readText(tid, at))
		address += 8
	}
	return texts
}

func readWord(tid int, address uint64) uint64 {
	data := readMemory(tid, address, 8)
	if len(data) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(data)
}

// writeWord writes to the memory of a thread.
func writeWord(tid int, address, word uint64) error {
	var data [8]byte
	binary.NativeEndian.PutUint64(data[:], word)
	local := unix.Iovec{Base: &data[0]}
	local.SetLen(len(data))
	remote := unix.RemoteIovec{Base: uintptr(address), Len: len(data)}
	_, err := unix.ProcessVMWritev(tid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	return err
}

// processOf is the process that a thread belongs to, or 0 if it is gone.
func processOf(tid int) int {
	status, err := readFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(statusField(string(status), "Tgid"))
	return pid
}
