//go:build linux

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
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

// TestMakeDir removes the directories of processes that were killed, and not its own.
func TestMakeDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	first, err := makeDir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(first)) })
	const nobody = 1<<22 + 1 // as above
	stale := filepath.Join(baseDir(), fmt.Sprintf("%s%d-%d-1", dirPrefix(), pidNamespace(), nobody))
	require.NoError(t, os.MkdirAll(filepath.Join(stale, "work"), 0o755))
	// The same numbers on another machine, with which this one shares the directory.
	other := filepath.Join(baseDir(), fmt.Sprintf("container-test-%d-%d-1", pidNamespace(), nobody))
	require.NoError(t, os.Mkdir(other, 0o755))
	t.Cleanup(func() { require.NoError(t, os.Remove(other)) })
	second, err := makeDir()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(second))
	require.NoDirExists(t, stale)
	require.DirExists(t, first)
	require.DirExists(t, other)
	require.Regexp(t, `^container-test-[1-9][0-9]*-[1-9][0-9]*-[1-9]`, filepath.Base(first))
}

// TestProcOfAnother finds out that /proc is that of another pid namespace, in which the numbers of
// processes are others: nobody can tell there which subtrees are stale.
func TestProcOfAnother(t *testing.T) {
	const inside = "TEST_PROC_OF_ANOTHER"
	if os.Getenv(inside) != "" {
		require.Equal(t, 1, os.Getpid())
		require.Zero(t, pidNamespace())
		return
	}
	if os.Geteuid() != 0 {
		skip.Lacking(t, "asks for root: a pid namespace is made")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestProcOfAnother$")
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
