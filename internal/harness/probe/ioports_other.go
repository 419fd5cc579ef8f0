//go:build linux && !amd64

package main

import "golang.org/x/sys/unix"

// ioPorts has nothing to ask for: this architecture has no ports.
func ioPorts() error { return unix.ENOSYS }
