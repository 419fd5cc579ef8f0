//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runcFilter writes the seccomp filter of a container of runc to a file, in the form that bubblewrap takes: Docker's
// default profile as libseccomp compiles it, for whoever has no compiler of his own.
func runcFilter(dir string) (file string, err error) {
	pidFile := filepath.Join(dir, "pid")
	cmd := exec.Command("runc", "--root", filepath.Join(dir, "runc"), "run", "--pid-file", pidFile, "filter")
	cmd.Dir = filepath.Join(dir, "bundle", "sleep")
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer func() { _ = cmd.Wait() }()
	pid := 0
	for range 100 { // the filter is the last thing before the command
		text, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(string(text))
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(name)) == "sleep" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	filter, err := filterOf(pid)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := binary.Write(&text, binary.NativeEndian, filter); err != nil {
		return "", err
	}
	file = filepath.Join(dir, "seccomp.bpf")
	return file, os.WriteFile(file, text.Bytes(), 0o644)
}

// filterOf asks the kernel for the filter that a process got last (ptrace(2), PTRACE_SECCOMP_GET_FILTER).
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
		length, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(pid), 0, uintptr(to), 0, 0)
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
