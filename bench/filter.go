//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/rights"
)

// bubblewrap has no filter of its own, and takes one in the form of the kernel. It gets that of a
// container of ours, and, as most programs would have it, Docker's default profile as libseccomp
// compiles it, which has six times as many instructions.

// writeOurFilter writes the filter of a container of ours to a file.
func (b *bench) writeOurFilter() (file string, err error) {
	file = b.path("filter-ours")
	return file, writeFilter(file, rights.Filter(config.DefaultCapabilities))
}

// writeRuncFilter writes the filter of a container of runc to a file.
func (b *bench) writeRuncFilter() (file string, err error) {
	file = b.path("filter-runc")
	pidFile := b.path("pid")
	c := b.oci("", "runc")
	c.args = append(c.args[:len(c.args)-1], "--pid-file", pidFile, "ID")
	p, err := b.prepare(c, sleep...)
	if err != nil {
		return "", err
	}
	if err := p.start(); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.wait()) }()
	pid := 0
	for range 40 { // the filter is the last thing before the command
		time.Sleep(10 * time.Millisecond)
		text, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(string(text))
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(name)) == sleep[0] {
			break
		}
	}
	filter, err := filterOf(pid)
	if err != nil {
		return "", err
	}
	return file, writeFilter(file, filter)
}

func writeFilter(file string, filter []unix.SockFilter) error {
	if len(filter) == 0 {
		return errors.New("no filter")
	}
	size := len(filter) * int(unsafe.Sizeof(filter[0]))
	return os.WriteFile(file, unsafe.Slice((*byte)(unsafe.Pointer(&filter[0])), size), 0o644)
}

// filterOf asks the kernel for the filter that a process got last (PTRACE_SECCOMP_GET_FILTER of
// ptrace(2)).
func filterOf(pid int) (filter []unix.SockFilter, err error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	if err := unix.PtraceAttach(pid); err != nil {
		return nil, fmt.Errorf("ptrace %d: %w", pid, err)
	}
	defer func() { err = errors.Join(err, unix.PtraceDetach(pid)) }()
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		return nil, fmt.Errorf("wait: %w", err)
	}
	get := func(to unsafe.Pointer) (n int, err error) {
		length, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER,
			uintptr(pid), 0, uintptr(to), 0, 0)
		if errno != 0 {
			return 0, fmt.Errorf("ptrace seccomp_get_filter %d: %w", pid, errno)
		}
		return int(length), nil
	}
	n, err := get(nil)
	if err != nil || n == 0 {
		return nil, err
	}
	filter = make([]unix.SockFilter, n)
	_, err = get(unsafe.Pointer(&filter[0]))
	return filter, err
}
