//go:build linux

package main

import (
	"errors"
	"flag"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// environment is what the flags -env ask for.
var environment [][2]string

func init() {
	flag.Func("env", "`NAME=VALUE` in the environment", func(s string) error {
		name, value, both := strings.Cut(s, "=")
		if name == "" || !both {
			return errors.New("not NAME=VALUE")
		}
		environment = append(environment, [2]string{name, value})
		return nil
	})
}

// defaultEnvironment is what a program expects. Only the type of the terminal is the caller's.
func defaultEnvironment(hostname string) [][2]string {
	term := os.Getenv("TERM")
	if term == "" {
		term = "xterm"
	}
	return [][2]string{
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"TERM", term}, {"HOSTNAME", hostname},
	}
}

// setEnvironment replaces the environment of the host, and the mask for the modes of new files by the usual
// one.
func setEnvironment(*job) error {
	name, _ := os.Hostname() // by uname(2): the container's, or the host's if that is what the container has
	all := append(defaultEnvironment(name), environment...)
	os.Clearenv()
	for _, variable := range all {
		os.Setenv(variable[0], variable[1])
	}
	unix.Umask(0o022)
	return nil
}
