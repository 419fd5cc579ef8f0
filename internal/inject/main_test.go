//go:build linux

package inject

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain keeps from the programs what this process has open without having asked for it: a shell
// may have left descriptors open. The programs would use other numbers then.
func TestMain(m *testing.M) {
	entries, _ := os.ReadDir("/proc/self/fd") // without /proc nothing works here anyway
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	os.Exit(m.Run())
}
