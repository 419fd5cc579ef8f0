//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Until execve(2) the child has the memory of the runtime, and the program, which is not what it is
// led to.
func TestSharesMemory(t *testing.T) {
	require.True(t, sharesMemory("/proc/thread-self"))
	cmd := exec.Command("sleep", "6100")
	require.NoError(t, cmd.Start())
	process := fmt.Sprint("/proc/", cmd.Process.Pid)
	// Start may come back before that: execve(2) has begun then.
	own, err := os.Readlink("/proc/self/exe")
	require.NoError(t, err)
	for exe := own; exe == own; {
		exe, err = os.Readlink(process + "/exe")
		require.NoError(t, err)
	}
	require.False(t, sharesMemory(process))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.False(t, sharesMemory(process), "it is gone")
}
