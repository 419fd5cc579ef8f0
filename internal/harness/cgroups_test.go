//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRemoveStale removes what a thread has left that is gone, and nothing else: the same number
// may be in use in another pid namespace.
func TestRemoveStale(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 1<<22 + 1 // above the largest pid_max (proc_sys_kernel(5))
	named := func(namespace uint64, tid int) string {
		return fmt.Sprintf("%s%d-%d", cgroupPrefix, namespace, tid)
	}
	own := pidNamespace()
	require.NotZero(t, own)
	stays := []string{
		cgroupName(), named(own, os.Getpid()), named(own+1, nobody), named(0, nobody),
		cgroupPrefix + "1234567890",
	}
	dir, goes := t.TempDir(), named(own, nobody)
	for _, name := range append(stays, goes) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "below"), 0o755))
	}
	removeStale(dir)
	for _, name := range stays {
		require.DirExists(t, filepath.Join(dir, name))
	}
	require.NoDirExists(t, filepath.Join(dir, goes))
}
