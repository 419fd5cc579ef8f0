//go:build linux

package ptrace

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SyscallInfo is the kernel's struct ptrace_syscall_info.
type SyscallInfo struct {
	Op     uint8
	_      [3]uint8
	Arch   uint32
	IP, SP uint64
	// Data is the number and the arguments of a call, or its result and whether that is an error.
	Data [8]uint64
}

// The values of SyscallInfo.Op: PTRACE_SYSCALL_INFO_*.
const (
	SyscallInfoEntry   = 1
	SyscallInfoExit    = 2
	SyscallInfoSeccomp = 3
)

// GetSyscallInfo returns the system call that a thread has stopped at.
func GetSyscallInfo(tid int) (i SyscallInfo, err error) {
	err = request(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(i), unsafe.Pointer(&i))
	return i, err
}

// FaultAddress returns the address in memory because of which a thread gets SIGSEGV or SIGBUS. The
// thread has stopped for that signal (si_addr of sigaction(2)).
func FaultAddress(tid int) (address uint64, err error) {
	var info struct {
		signal, errno, code, _ int32
		address                uint64
		_                      [104]byte
	}
	err = request(unix.PTRACE_GETSIGINFO, tid, 0, unsafe.Pointer(&info))
	return info.address, err
}

// Seize begins to follow a thread, which goes on.
func Seize(tid, options int) error { return requestNumber(unix.PTRACE_SEIZE, tid, options) }

// Cont lets a thread go on, with a signal that it gets or 0.
func Cont(tid int, signal unix.Signal) error {
	return requestNumber(unix.PTRACE_CONT, tid, int(signal))
}

// Syscall lets a thread go on as Cont does, until it begins a system call or ends the one that it
// is in.
func Syscall(tid int, signal unix.Signal) error {
	return requestNumber(unix.PTRACE_SYSCALL, tid, int(signal))
}

// Listen leaves a thread of a stopped process where it is, until SIGCONT comes.
func Listen(tid int) error { return requestNumber(unix.PTRACE_LISTEN, tid, 0) }

// GetRegs reads the registers of a thread.
func GetRegs(tid int) (registers unix.PtraceRegs, err error) {
	vector := vectorOf(&registers)
	err = request(unix.PTRACE_GETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
	return registers, err
}

// SetRegs writes the registers of a thread.
func SetRegs(tid int, registers *unix.PtraceRegs) error {
	vector := vectorOf(registers)
	return request(unix.PTRACE_SETREGSET, tid, unix.NT_PRSTATUS, unsafe.Pointer(&vector))
}

// vectorOf tells the requests for sets of registers where the set is.
func vectorOf[T any](set *T) unix.Iovec {
	return unix.Iovec{
		Base: (*byte)(unsafe.Pointer(set)),
		Len:  uint64(unsafe.Sizeof(*set)),
	}
}

func request(number, tid int, address uintptr, data unsafe.Pointer) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(number), uintptr(tid), address,
		uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// requestNumber makes a request whose data is a number.
func requestNumber(number, tid, data int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(number), uintptr(tid), 0,
		uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
