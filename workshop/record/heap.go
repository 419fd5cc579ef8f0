//go:build linux

package record

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// heapChunk is the size of the chunks by which the runtime of Go enlarges its heap, and to which
// they are aligned (pallocChunkBytes of package runtime).
const heapChunk = 4 << 20

var ofHeap *byte // is on the heap, because it is global

// PrepareHeap puts the first part of this program's heap into huge pages. While the recorder takes
// memory for what it sees, the command waits, and each small page of it costs a page fault, which
// takes long in a virtual machine. Where the kernel has no huge pages to give (MADV_HUGEPAGE and
// MADV_COLLAPSE of madvise(2)), the heap stays as it is.
func PrepareHeap() {
	ofHeap = new(byte)
	chunk := uintptr(unsafe.Pointer(ofHeap)) &^ (heapChunk - 1)
	for _, advice := range []uintptr{unix.MADV_HUGEPAGE, unix.MADV_COLLAPSE} {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, chunk, heapChunk, advice)
	}
}
