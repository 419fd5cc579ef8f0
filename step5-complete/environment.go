//go:build linux

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// setEnvironment replaces the environment of the host by what a program expects, and the mask for the
// modes of new files by the usual one.
func setEnvironment() {
	term := os.Getenv("TERM")
	if term == "" {
		term = "xterm"
	}
	name, _ := os.Hostname() // by uname(2): the container's, or the host's if that is what the container has
	os.Clearenv()
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("HOME", "/root")
	os.Setenv("TERM", term)
	os.Setenv("HOSTNAME", name)
	unix.Umask(0o022)
}
