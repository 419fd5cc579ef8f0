//go:build linux

package main

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/files"
)

// A runtime that waits for its container needs next to nothing of its program. What it has read of
// it would stay mapped, one copy for all, but counted for each: a megabyte and a half for a list of
// system calls that is long made.

// forgetAfter is how many milliseconds a container runs before its runtime gives memory back. One
// that ends at once does not have to pay for it.
const forgetAfter = 100

// forget gives back the memory of the list, and the pages of this program's file: the kernel reads
// those that are needed again from its cache (MADV_DONTNEED of madvise(2)).
func (h *thisHost) forget() {
	h.plan.Free()
	maps, _ := files.Read("/proc/self/maps") // none: everything stays
	for line := range strings.Lines(maps) {
		// proc_pid_maps(5): 00400000-00540000 r-xp 00000000 fe:00 1234    /path
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[4] == "0" || fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		end, endErr := strconv.ParseUint(to, 16, 64)
		if err == nil && endErr == nil {
			size := uintptr(end - start)
			// An error means that these pages stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), size, unix.MADV_DONTNEED)
		}
	}
}
