//go:build linux

// Package nofile remembers how many files the caller lets its programs open (RLIMIT_NOFILE of
// getrlimit(2)). Package syscall raises that soft limit for this program before main begins, and
// lowers it again for what it executes itself; but the command is executed by the child. Packages
// begin in the order of their import paths, once those that they import have begun: so this one
// imports none, and is earlier than package syscall.
package nofile

// A Limit is the kernel's struct rlimit.
type Limit struct{ Soft, Hard uint64 }

// callers is that of the caller, and errno the error of getrlimit(2), or 0.
var callers, errno = get()

func get() (l Limit, errno uintptr) {
	if result := getrlimit(&l); result < 0 {
		errno = uintptr(-result)
	}
	return l, errno
}

// getrlimit is prlimit(2) of this process, in assembly: package syscall would begin earlier.
//
//go:noescape
func getrlimit(l *Limit) int

// Callers returns the limit that this program was started with, and the number of an error, or 0.
func Callers() (l Limit, errorNumber uintptr) { return callers, errno }
