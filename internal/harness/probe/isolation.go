//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The first thread is the one that execve(2) was called in. Others do not have its PDEATHSIG.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "isolation" {
		runtime.LockOSThread()
	}
}

// isolation prints all by which this process is isolated, so that two containers can be compared.
// What differs from one container to the next is left out, but for the numbers of the namespaces.
func isolation() {
	var b bytes.Buffer
	openFiles(&b) // first, when nothing else is open
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, err := os.Readlink("/proc/self/ns/" + name)
		fmt.Fprintln(&b, "namespace", name, link, message(err))
	}
	for _, line := range lines("/proc/self/status") {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "CapAmb", "CapBnd", "CapEff", "CapInh", "CapPrm", "Gid", "Groups", "NoNewPrivs",
			"Seccomp", "Seccomp_filters", "SigBlk", "SigIgn", "Uid", "Umask":
			fmt.Fprintln(&b, line)
		}
	}
	for _, option := range []struct {
		name   string
		number int
	}{
		{"PDEATHSIG", unix.PR_GET_PDEATHSIG},
		{"DUMPABLE", unix.PR_GET_DUMPABLE},
		{"SECUREBITS", unix.PR_GET_SECUREBITS},
	} {
		fmt.Fprintln(&b, "prctl", option.name, prctl(option.number))
	}
	for _, line := range lines("/proc/self/stat") {
		_, line, _ = strings.Cut(line, ") ")
		fmt.Fprintln(&b, "parent, group, session, terminal", strings.Fields(line)[1:5])
	}
	for _, line := range lines("/proc/self/mountinfo") {
		fields := strings.SplitN(line, " ", 4) // numbers of the mount, its parent and its device
		fmt.Fprintln(&b, "mount", fields[len(fields)-1])
	}
	for _, file := range []string{
		"/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups",
		"/proc/self/oom_score_adj", "/proc/self/limits", "/proc/self/cgroup", "/proc/net/route",
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
	} {
		for _, line := range lines(file) {
			fmt.Fprintf(&b, "%s: %s\n", file, line)
		}
	}
	limits(&b)
	directory(&b, "/")
	directory(&b, "/dev")
	for _, pattern := range []string{
		"/sys/class/net/*/flags",
		"/proc/sys/net/ipv6/conf/*/disable_ipv6",
	} {
		files, err := filepath.Glob(pattern)
		fail(err)
		for _, file := range files {
			fmt.Fprintf(&b, "%s: %s\n", file, strings.Join(lines(file), " "))
		}
	}
	wd, err := os.Getwd()
	fmt.Fprintln(&b, "working directory", wd, message(err))
	name, err := os.Hostname()
	fmt.Fprintln(&b, "host name", name, message(err))
	for _, variable := range os.Environ() {
		fmt.Fprintf(&b, "environment %q\n", variable)
	}
	fmt.Fprintln(&b, "end of the isolation")
	_, err = os.Stdout.Write(b.Bytes())
	fail(err)
}

// lines are those of a file; an error is one, too.
func lines(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{message(err)}
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// openFiles prints the descriptors of this process.
func openFiles(b *bytes.Buffer) {
	dir, err := unix.Open("/proc/self/fd", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	fail(err)
	defer unix.Close(dir)
	var names []string
	for buffer := make([]byte, 4096); ; {
		n, err := unix.ReadDirent(dir, buffer)
		fail(err)
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
	link := make([]byte, 256)
	for _, fd := range names { // in the order of their numbers (proc_pid_fd(5))
		n, err := unix.Readlinkat(dir, fd, link)
		if err != nil || fd == fmt.Sprint(dir) {
			continue
		}
		kind, _, _ := strings.Cut(string(link[:n]), ":[")   // pipe:[1234]
		if !strings.HasPrefix(kind, "/sys/fs/cgroup/cpu") { // Go keeps its own limit open
			fmt.Fprintln(b, "descriptor", fd, kind)
		}
	}
}

func prctl(option int) string {
	var n int32 // where PR_GET_PDEATHSIG writes to
	result, err := unix.PrctlRetInt(option, uintptr(unsafe.Pointer(&n)), 0, 0, 0)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(result, n)
}

// limits prints those of the cgroups that are in sight.
func limits(b *bytes.Buffer) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintln(b, message(err))
			return nil
		}
		switch name := entry.Name(); {
		case strings.HasSuffix(name, ".max"), strings.HasSuffix(name, "limit_in_bytes"),
			strings.HasPrefix(name, "cpu.cfs_"):
			fmt.Fprintf(b, "%s: %s\n", path, strings.Join(lines(path), " "))
		}
		return nil
	})
}

// directory prints who may do what with the files of a directory.
func directory(b *bytes.Buffer, dir string) {
	entries, err := os.ReadDir(dir)
	fmt.Fprintln(b, "directory", dir, message(err))
	for _, entry := range entries {
		var stat unix.Stat_t
		path := filepath.Join(dir, entry.Name())
		if err := unix.Lstat(path, &stat); err != nil {
			fmt.Fprintln(b, path, err)
			continue
		}
		fmt.Fprintf(b, "%s: %#o of %d:%d, device %#x\n", path, stat.Mode, stat.Uid, stat.Gid,
			stat.Rdev)
	}
}
