//go:build linux

package record

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// silenceStops has the kernel send no SIGCHLD when a process that is followed stops: wait4(2) tells
// of that. The runtime of Go handles each signal, mostly in another thread than the one that
// follows, which would wake up at each stop.
func silenceStops() error {
	const noChildStop = 1 // SA_NOCLDSTOP of sigaction(2)
	var action struct {   // the kernel's struct sigaction
		handler, flags, restorer, mask uint64
	}
	errno := sigaction(unix.SIGCHLD, nil, unsafe.Pointer(&action))
	if errno == 0 {
		action.flags |= noChildStop
		errno = sigaction(unix.SIGCHLD, unsafe.Pointer(&action), nil)
	}
	if errno != 0 {
		return fmt.Errorf("sigaction: %w", errno)
	}
	return nil
}

func sigaction(signal unix.Signal, now, before unsafe.Pointer) unix.Errno {
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(now),
		uintptr(before), maskSize, 0, 0)
	return errno
}
