//go:build linux

package inject

import "golang.org/x/sys/unix"

// namesHere are those of calls that some architectures do not have.
var namesHere = [...]string{unix.SYS_GETRLIMIT: "getrlimit"}
