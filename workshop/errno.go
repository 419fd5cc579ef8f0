//go:build linux

package main

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/lazyregexp"
)

// This file has the names of errors and of system calls in the words of programs.

// errnos are the errors of the kernel in the words of Go and of strerror(3), the longest words
// first: some of them are the beginning of others.
var errnos = sync.OnceValue(func() (all []namedError) {
	const last = unix.EHWPOISON
	for e := unix.Errno(1); e <= last; e++ {
		// ENOTTY is what shells say where there is no terminal, and go on.
		if name := unix.ErrnoName(e); name != "" && e != unix.ENOTTY {
			all = append(all, namedError{strings.ToLower(e.Error()), name})
		}
	}
	slices.SortStableFunc(all, func(a, b namedError) int { return len(b.words) - len(a.words) })
	return all
})

type namedError struct{ words, name string }

// errnoRE matches an error by its name, as in ENOENT, or by its number, as in "os error 2".
var errnoRE = lazyregexp.New(`\b(E[A-Z0-9]{3,})\b|(?i:\b(?:errno|os error)[ :=]+(\d+))`)

func errnoIn(text string) string {
	lower := strings.ToLower(text)
	for _, e := range errnos() {
		if strings.Contains(lower, e.words) {
			return e.name
		}
	}
	for _, m := range errnoRE.FindAllStringSubmatch(text, -1) {
		name := m[1]
		if n, err := strconv.Atoi(m[2]); err == nil {
			name = unix.ErrnoName(unix.Errno(n))
		}
		isIt := func(e namedError) bool { return e.name == name }
		if slices.ContainsFunc(errnos(), isIt) {
			return name
		}
	}
	return ""
}

// callNames are the ways in which programs name system calls.
var callNames = []struct {
	words lazyregexp.Regexp
	call  string
}{
	{lazyregexp.New(`(?i)pivot_?root`), "pivot_root"},
	{lazyregexp.New(`\bwrite /sys/fs/cgroup`), "write"}, // in Go
	{lazyregexp.New(`(?i)\bchroot`), "chroot"},
	{lazyregexp.New(`(?i)\bu(n)?mount`), "umount2"},
	{lazyregexp.New(`(?i)\bmount`), "mount"},
	{lazyregexp.New(`(?i)\bmkdir|\bcreate_dir\b|\bcreate_directory\b|\bmake_path\b`), "mkdirat"},
	{lazyregexp.New(`(?i)\bchdir`), "chdir"},
	{lazyregexp.New(`(?i)sethostname`), "sethostname"},
	{lazyregexp.New(`(?i)\bunshare`), "unshare"},
	{lazyregexp.New(`(?i)fork/exec|\bexecv|\bexec:`), "execve"},
	{lazyregexp.New(`(?i)\bclone\b`), "clone"},
	{lazyregexp.New(`(?i)/sys/fs/cgroup`), "openat"},
}

func callIn(text string) string {
	for _, c := range callNames {
		if c.words.MatchString(text) {
			return c.call
		}
	}
	return ""
}
